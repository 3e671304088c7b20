//! The running thread's errno, and results in the form in which the C library's functions give them.

use core::ffi::c_int;
use vmcore::sys::{self, Result};

/// The running thread's errno.
pub fn errno() -> c_int {
    // SAFETY: libc answers with its own place for the running thread's errno, which lives as long as the thread.
    unsafe { *libc::__errno_location() }
}

/// Sets the running thread's errno.
pub fn set_errno(error: c_int) {
    // SAFETY: libc answers with its own place for the running thread's errno, and nobody else refers to it.
    unsafe { *libc::__errno_location() = error };
}

/// A result of the kernel as libc's functions return it: the value, or -1 and errno.
#[inline(always)]
pub fn returned(result: isize) -> isize {
    match sys::check(result) {
        Ok(value) => value as isize,
        Err(error) => fail(error.0) as isize,
    }
}

/// As libc's functions answer that have nothing to tell: 0, or -1 and errno.
pub fn answer<T>(result: Result<T>) -> c_int {
    match result {
        Ok(_) => 0,
        Err(error) => fail(error.0),
    }
}

/// Sets errno and answers -1.
pub fn fail(error: c_int) -> c_int {
    set_errno(error);
    -1
}
