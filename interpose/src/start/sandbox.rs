//! Sandboxes (seccomp filters) refuse system calls. What there is another way for is done that way:
//! Syscall User Dispatch, membarrier, process_vm_readv, copy_file_range, fallocate. The calls here have
//! none, so they are tried before the engine is made.

use crate::syscalls::table;
use core::ffi::{c_int, c_long};
use vmcore::sys;

/// A call with arguments that change nothing, and the error that it should answer with; 0 for none.
type Trial = (c_long, [usize; 6], c_int);

const NOWHERE: usize = usize::MAX;

const TRIALS: [Trial; 6] = [
    (libc::SYS_rt_sigaction, [libc::SIGSEGV as usize, 0, 0, 8, 0, 0], 0),
    (libc::SYS_rt_sigprocmask, [0, 0, 0, 8, 0, 0], 0),
    (libc::SYS_sigaltstack, [0; 6], 0),
    (libc::SYS_gettid, [0; 6], 0),
    (libc::SYS_pread64, [NOWHERE, 0, 0, 0, 0, 0], libc::EBADF),
    (libc::SYS_pwrite64, [NOWHERE, 0, 0, 0, 0, 0], libc::EBADF),
];

/// The name of a call that is refused and that nothing can replace.
pub fn refused_call() -> Option<&'static str> {
    let is_refused = |(number, args, error): &Trial| {
        // SAFETY: null pointers and no descriptor.
        let result = unsafe { sys::call(*number, *args) };
        result < 0 && -result as c_int != *error
    };
    TRIALS.iter().find(|trial| is_refused(trial)).map(|(number, ..)| table::find(*number).name)
}
