//! Raw system calls: they neither allocate nor set errno, and are issued from this library's own
//! text, so that the system-call guard can tell them from the program's.
//!
//! The files stand in their order, each using only those above it.

pub mod thread;

pub mod limits;
pub mod torture;

pub mod memory;

pub mod file;

pub mod medium;

/// A system call's error number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub i32);

/// The result of a system call.
pub type Result<T> = core::result::Result<T, Errno>;

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("vmalloc knows the system calls and fault frames of x86-64 Linux only");

/// Issues the system call `number`.
///
/// # Safety
/// As the call itself: the arguments must be valid for it.
#[inline(always)]
pub unsafe fn call(number: i64, args: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = args;
    let result: isize;
    // SAFETY: the x86-64 Linux convention; the kernel clobbers rcx and r11 only. The caller promises that the arguments
    // are valid for the call, so the kernel accesses no memory but what they name.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    result
}

/// Turns what the kernel returned into a value or an error number.
#[inline(always)]
pub fn check(result: isize) -> Result<usize> {
    if (-4095..0).contains(&result) {
        Err(Errno(-result as i32))
    } else {
        Ok(result as usize)
    }
}

macro_rules! syscall {
    ($number:expr $(, $arg:expr)* $(,)?) => {{
        let given = [$($arg as usize),*];
        let mut args = [0usize; 6];
        let mut i = 0;
        while i < given.len() {
            args[i] = given[i];
            i += 1;
        }
        $crate::sys::check($crate::sys::call($number as i64, args))
    }};
}
pub(crate) use syscall;
