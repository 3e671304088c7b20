//! Stepping aside: tools that watch memory keep malloc for themselves, and a sandbox may forbid what an
//! arena needs. Then there is no engine, and every door does the native thing.

use crate::next;
use core::ffi::c_void;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};
use vmcore::report::say;

static ASIDE: AtomicBool = AtomicBool::new(false);

/// The address of a symbol that may be defined nowhere: null then. Bound by the loader: a dlsym that finds
/// nothing allocates, and a malloc of the program's own may not be ready for that before main.
macro_rules! if_defined {
    ($name:literal) => {{
        let address: *const c_void;
        // SAFETY: loads a word that the loader has written.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $name),
                concat!("mov {}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                out(reg) address,
                options(pure, readonly, nostack, preserves_flags)
            );
        }
        address
    }};
}

/// Whether this library stays out of the program's way.
pub fn is_on() -> bool {
    // Relaxed: set once, by the process's only thread.
    ASIDE.load(Ordering::Relaxed)
}

/// Decides, once, before the engine is made; says so if the library steps aside.
pub fn decide() -> bool {
    let Some(tool) = tool() else {
        return false;
    };
    step(format_args!("{tool} keeps malloc for itself"));
    true
}

/// Steps aside, and says why.
pub fn step(why: core::fmt::Arguments<'_>) {
    ASIDE.store(true, Ordering::Relaxed);
    say(format_args!("{why}: this program runs without vmalloc"));
}

fn tool() -> Option<&'static str> {
    if is_under_valgrind() {
        return Some("valgrind");
    }
    // What a program that was built for such a tool defines.
    let built_with = [
        (if_defined!("__asan_init"), "AddressSanitizer"),
        (if_defined!("__hwasan_init"), "HWAddressSanitizer"),
        (if_defined!("__lsan_init"), "LeakSanitizer"),
        (if_defined!("__msan_init"), "MemorySanitizer"),
        (if_defined!("__tsan_init"), "ThreadSanitizer"),
    ];
    built_with.iter().find(|(address, _)| !address.is_null()).map(|(_, tool)| *tool)
}

/// Valgrind's client request RUNNING_ON_VALGRIND: instructions that change nothing on a processor.
fn is_under_valgrind() -> bool {
    let request: [usize; 6] = [0x1001, 0, 0, 0, 0, 0];
    let mut answer = 0usize;
    // SAFETY: four rotations by 128 bits in all, and an exchange of a register with itself.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") request.as_ptr(),
            inout("rdx") answer,
            out("rdi") _,
            options(nostack)
        );
    }
    answer != 0
}

/// A block of the next malloc; `None` also when the library does not stand aside.
pub fn allocate(size: usize, align: usize, zero: bool) -> Option<NonNull<u8>> {
    if !is_on() {
        return None;
    }
    let block = if zero && align <= 16 {
        let next = next!(c"calloc", unsafe extern "C" fn(usize, usize) -> *mut c_void)?;
        // SAFETY: calloc may be called at any time.
        unsafe { next(1, size) }
    } else {
        let next = next!(c"memalign", unsafe extern "C" fn(usize, usize) -> *mut c_void)?;
        // SAFETY: a power of two.
        unsafe { next(align.max(16), size) }
    };
    NonNull::new(block.cast())
}

/// Frees a block of the next malloc; whether the library stands aside.
pub fn free(address: usize) -> bool {
    if let Some(free) = next!(c"free", unsafe extern "C" fn(*mut c_void)).filter(|_| is_on()) {
        // SAFETY: the program's own block.
        unsafe { free(address as *mut c_void) };
    }
    is_on()
}

/// realloc of the next malloc.
pub fn reallocate(address: usize, size: usize) -> Option<NonNull<u8>> {
    let next = next!(c"realloc", unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void)?;
    // SAFETY: the program's own block.
    NonNull::new(unsafe { next(address as *mut c_void, size) }.cast())
}

/// malloc_usable_size of the next malloc.
pub fn usable_size(address: usize) -> Option<usize> {
    let next = next!(c"malloc_usable_size", unsafe extern "C" fn(*mut c_void) -> usize).filter(|_| is_on())?;
    // SAFETY: the program's own block.
    Some(unsafe { next(address as *mut c_void) })
}
