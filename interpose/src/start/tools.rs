//! Tools that watch memory keep malloc for themselves: whether the program runs under one.

use core::ffi::c_void;

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

/// The name of the tool.
pub fn tool() -> Option<&'static str> {
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
