//! The malloc family as libc's manual asks for it ("Replacing malloc"), with glibc's edges.

use super::blocks::{self, Bad};
use super::{misuse, native, resizing};
use crate::shared::errno::set_errno;
use core::ffi::{c_int, c_void};
use core::ptr::{null_mut, NonNull};
use vmcore::units::SYSTEM_PAGE;

#[inline]
fn answer(block: Option<NonNull<u8>>) -> *mut c_void {
    match block {
        Some(block) => block.as_ptr().cast(),
        None => {
            set_errno(libc::ENOMEM);
            null_mut()
        }
    }
}

/// malloc(3).
#[inline(always)]
pub fn malloc(size: usize) -> *mut c_void {
    match blocks::allocate_at_hand(size) {
        Some(block) => block.as_ptr().cast(),
        None => malloc_slowly(size),
    }
}

#[inline(never)]
fn malloc_slowly(size: usize) -> *mut c_void {
    answer(blocks::allocate(size, 1, false))
}

/// calloc(3).
pub fn calloc(count: usize, size: usize) -> *mut c_void {
    answer(count.checked_mul(size).and_then(|bytes| blocks::allocate(bytes, 1, true)))
}

/// free(3); errno stays as it is.
#[inline(always)]
pub fn free(block: *mut c_void) {
    if !blocks::free_at_hand(block as usize) {
        free_slowly(block);
    }
}

#[inline(never)]
fn free_slowly(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    if let Err(bad) = blocks::free(block as usize) {
        misuse::die("free", block as usize, bad);
    }
}

/// realloc(3): size 0 frees and returns NULL, as glibc does.
pub fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        return malloc(size);
    }
    if size == 0 {
        free(block);
        return null_mut();
    }
    match resizing::reallocate(block as usize, size) {
        Ok(moved) => answer(moved),
        Err(bad) => misuse::die("realloc", block as usize, bad),
    }
}

/// reallocarray(3). As the C library's it calls the realloc that the program knows, which is another allocator's if one
/// was preloaded before this library.
///
/// # Safety
/// `block` must be null or a block of that allocator.
pub unsafe fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    let Some(bytes) = count.checked_mul(size) else {
        return answer(None);
    };
    let realloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
    // SAFETY: loads the word in which the loader has written the address of the first realloc in the search order. Not as a
    // call, for that would be bound to the one in this library.
    unsafe {
        core::arch::asm!("mov {}, qword ptr [rip + realloc@GOTPCREL]", out(reg) realloc, options(pure, readonly, nostack, preserves_flags));
    }
    // SAFETY: null or a block of that allocator, as the caller promises.
    unsafe { realloc(block, bytes) }
}

/// A block at a multiple of `align`, rounded up to a power of two as glibc does.
fn aligned(align: usize, size: usize) -> Option<NonNull<u8>> {
    blocks::allocate(size, align.checked_next_power_of_two()?, false)
}

/// memalign(3).
pub fn memalign(align: usize, size: usize) -> *mut c_void {
    if align > usize::MAX / 2 + 1 {
        set_errno(libc::EINVAL);
        return null_mut();
    }
    answer(aligned(align, size))
}

/// aligned_alloc(3), for who returns to `caller`; glibc 2.36 takes any alignment that memalign takes.
///
/// # Safety
/// `caller` is any address: it is looked up, not used.
pub unsafe extern "C" fn aligned_alloc(align: usize, size: usize, caller: usize) -> *mut c_void {
    match native::allocate_for(caller, align, size) {
        Some(own) => own.as_ptr().cast(),
        None => memalign(align, size),
    }
}

/// posix_memalign(3). Where there is no memory errno says so too, as with glibc.
///
/// # Safety
/// `place` must have room for a pointer.
pub unsafe fn posix_memalign(place: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_multiple_of(size_of::<usize>()) || !align.is_power_of_two() {
        return libc::EINVAL;
    }
    match aligned(align, size) {
        Some(block) => {
            // SAFETY: the caller promises room for a pointer at `place`.
            unsafe { place.write(block.as_ptr().cast()) };
            0
        }
        None => {
            set_errno(libc::ENOMEM);
            libc::ENOMEM
        }
    }
}

/// valloc(3).
pub fn valloc(size: usize) -> *mut c_void {
    answer(aligned(SYSTEM_PAGE, size))
}

/// pvalloc(3).
pub fn pvalloc(size: usize) -> *mut c_void {
    answer(size.max(1).checked_next_multiple_of(SYSTEM_PAGE).and_then(|size| aligned(SYSTEM_PAGE, size)))
}

/// malloc_usable_size(3).
pub fn malloc_usable_size(block: *mut c_void) -> usize {
    if block.is_null() {
        return 0;
    }
    resizing::usable_size(block as usize).unwrap_or_else(|bad: Bad| misuse::die("malloc_usable_size", block as usize, bad))
}

/// free under its old name.
pub fn cfree(block: *mut c_void) {
    free(block);
}

/// free with a size that C23 lets the caller tell.
pub fn free_sized(block: *mut c_void, _size: usize) {
    free(block);
}

/// free with a size and an alignment that C23 lets the caller tell.
pub fn free_aligned_sized(block: *mut c_void, _align: usize, _size: usize) {
    free(block);
}
