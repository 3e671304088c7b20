//! The next malloc in the search order: the C library's, or that of an allocator which the program is linked with or which
//! was preloaded behind this library.
//!
//! It serves a process in which the library stands aside. And blocks that are none of ours may be its own: such an
//! allocator's `operator new` does not ask malloc, but its `operator delete` calls free, which is ours; a library in a
//! namespace of its own, or a program that asked the C library by its handle, hands on blocks of another heap. They go back to whom they came from.

use super::lookup;
use crate::shared::aside::is_on;
use crate::shared::next::Next;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, Ordering};
use vmcore::sys;
use vmcore::units::SYSTEM_PAGE;

/// The next allocator's function of this name, if it can be had now.
macro_rules! next {
    ($name:literal, $type:ty) => {{
        static NEXT: Next = Next::new($name);
        // SAFETY: the function has the type that its manual says; an Option of a function pointer is null for none.
        unsafe { core::mem::transmute::<*mut c_void, Option<$type>>(lookup::look_up(&NEXT)) }
    }};
}

/// A block of the next malloc; `None` also when the library does not stand aside.
pub fn allocate(size: usize, align: usize, zero: bool) -> Option<NonNull<u8>> {
    if !is_on() {
        return None;
    }
    if lookup::is_under_way() {
        return lookup::allocate(size, align);
    }
    // A sanitizer that is not ready yet has malloc and calloc for who calls it that early, and nothing else.
    let block = if align > 16 {
        let next = next!(c"memalign", unsafe extern "C" fn(usize, usize) -> *mut c_void)?;
        // SAFETY: a power of two.
        unsafe { next(align, size) }
    } else if zero {
        let next = next!(c"calloc", unsafe extern "C" fn(usize, usize) -> *mut c_void)?;
        // SAFETY: calloc may be called at any time.
        unsafe { next(1, size) }
    } else {
        let next = next!(c"malloc", unsafe extern "C" fn(usize) -> *mut c_void)?;
        // SAFETY: malloc may be called at any time.
        unsafe { next(size) }
    };
    NonNull::new(block.cast())
}

/// A block for the next allocator itself, whose code calls `aligned_alloc` by that name and means its own; `None` if the
/// call does not come from there, or that allocator has no memory.
pub fn allocate_for(caller: usize, align: usize, size: usize) -> Option<NonNull<u8>> {
    if next_is_libc() {
        return None;
    }
    let next = next!(c"aligned_alloc", unsafe extern "C" fn(usize, usize) -> *mut c_void)?;
    if object_of(caller)? != object_of(next as usize)? {
        return None;
    }
    // SAFETY: aligned_alloc may be called at any time.
    NonNull::new(unsafe { next(align, size) }.cast())
}

/// Frees a block that is not ours; false if it is not the next malloc's either.
pub fn free(address: usize) -> bool {
    if lookup::is_under_way() || lookup::rest(address).is_some() {
        return true;
    }
    let Some(free) = next!(c"free", unsafe extern "C" fn(*mut c_void)).filter(|_| owns(address)) else {
        return false;
    };
    // SAFETY: the program frees a block of that malloc.
    unsafe { free(address as *mut c_void) };
    true
}

/// realloc of a block that is not ours; `None` if it is not the next malloc's either.
pub fn reallocate(address: usize, size: usize) -> Option<Option<NonNull<u8>>> {
    if let Some(rest) = lookup::rest(address) {
        let new = allocate(size, 1, false);
        if let Some(new) = new {
            // SAFETY: the room's bytes are readable to its end, and the new block is another.
            unsafe { core::ptr::copy(address as *const u8, new.as_ptr(), rest.min(size)) };
        }
        return Some(new);
    }
    let next = next!(c"realloc", unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void).filter(|_| owns(address))?;
    // SAFETY: the program's own block of that malloc.
    Some(NonNull::new(unsafe { next(address as *mut c_void, size) }.cast()))
}

/// The bytes of a block that is not ours; `None` if it is not the next malloc's either.
pub fn usable_size(address: usize) -> Option<usize> {
    let next = next!(c"malloc_usable_size", unsafe extern "C" fn(*mut c_void) -> usize).filter(|_| owns(address))?;
    // SAFETY: the program's own block of that malloc.
    Some(unsafe { next(address as *mut c_void) })
}

/// Whether what lies at `address`, which is not ours, may be a block of the next malloc. An allocator that is not the C
/// library's is believed to know its own.
fn owns(address: usize) -> bool {
    is_on() || !next_is_libc() || is_chunk(address)
}

/// Whether the next malloc is the C library's.
fn next_is_libc() -> bool {
    const UNKNOWN: u8 = 0;
    const LIBC: u8 = 1;
    const ANOTHER: u8 = 2;
    static NEXT: AtomicU8 = AtomicU8::new(UNKNOWN);
    // Relaxed: every look-up finds the same.
    let mut known = NEXT.load(Ordering::Relaxed);
    if known == UNKNOWN {
        let Some(free) = next!(c"free", unsafe extern "C" fn(*mut c_void)) else {
            return true;
        };
        let libc = libc::gnu_get_libc_version as *const () as usize;
        known = if object_of(free as usize) == object_of(libc) { LIBC } else { ANOTHER };
        NEXT.store(known, Ordering::Relaxed);
    }
    known == LIBC
}

/// Where the program or library lies that `address` is in.
fn object_of(address: usize) -> Option<usize> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the loader compares the address, and fills the structure if it finds it.
    let found: c_int = unsafe { libc::dladdr(address as *const c_void, info.as_mut_ptr()) };
    // SAFETY: all zero is valid, and the loader may have filled it.
    (found != 0).then(|| unsafe { info.assume_init() }.dli_fbase as usize)
}

/// Whether the bytes before `address` are those that glibc puts before a block: its length, which leads to another
/// block behind that says that this one is in use. What looks so and is none, glibc reports itself.
fn is_chunk(address: usize) -> bool {
    const IN_USE: usize = 1;
    const MAPPED: usize = 2;
    const LEAST: usize = 32;
    let Some([before, word]) = address.checked_sub(16).and_then(peek).filter(|_| address.is_multiple_of(16)) else {
        return false;
    };
    let (len, flags) = (word & !15, word & 15);
    let end = address.checked_add(len);
    if len < LEAST || flags > 7 || end.is_none() {
        return false;
    }
    if flags & MAPPED != 0 {
        let begin = (address - 16).checked_sub(before);
        return begin.is_some_and(|begin| begin.is_multiple_of(SYSTEM_PAGE))
            && (before.wrapping_add(len)).is_multiple_of(SYSTEM_PAGE);
    }
    end.and_then(|end| peek(end - 16)).is_some_and(|[_, next]| next & IN_USE != 0)
}

/// Two words of this process's memory; `None` if nothing is there.
fn peek(address: usize) -> Option<[usize; 2]> {
    let mut words = [0usize; 2];
    let to = libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: size_of_val(&words) };
    let from = libc::iovec { iov_base: address as *mut c_void, iov_len: size_of_val(&words) };
    let args = [sys::thread::process_id() as usize, &raw const to as usize, 1, &raw const from as usize, 1, 0];
    // SAFETY: the kernel writes to `words` only, and refuses what it cannot read.
    let read = unsafe { sys::call(libc::SYS_process_vm_readv, args) };
    (read as usize == size_of_val(&words)).then_some(words)
}
