//! The ways in which this library ends the process.

use core::ffi::c_int;
use vmcore::config::{ConfigError, EXIT_BAD_CONFIG};
use vmcore::report::say;

/// Ends the process with that status, without a word to anybody.
pub fn exit(status: c_int) -> ! {
    loop {
        // SAFETY: the call has no pointers, and does not return.
        unsafe { vmcore::sys::call(libc::SYS_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
    }
}

/// The program does not start because of a bad setting.
pub fn refuse(error: &ConfigError<'_>) -> ! {
    say(format_args!("{error}"));
    refuse_start()
}

/// The program does not start; somebody has said why.
pub fn refuse_start() -> ! {
    exit(c_int::from(EXIT_BAD_CONFIG))
}

/// Ends the program with SIGABRT.
pub fn abort() -> ! {
    // SAFETY: abort(3) may be called at any moment, and does not return.
    unsafe { libc::abort() }
}
