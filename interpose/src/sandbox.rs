//! Sandboxes (seccomp filters) refuse system calls. What there is another way for is done that way:
//! Syscall User Dispatch, membarrier, process_vm_readv, copy_file_range, fallocate. The calls here have
//! none, so they are tried before the program starts.

use core::ffi::c_int;
use vmcore::report::say;
use vmcore::sys;

/// A call with arguments that change nothing, and the error that it should answer with; 0 for none.
type Trial = (&'static str, i64, [usize; 6], c_int);

const NOWHERE: usize = usize::MAX;

const TRIALS: [Trial; 6] = [
    ("rt_sigaction", libc::SYS_rt_sigaction, [libc::SIGSEGV as usize, 0, 0, 8, 0, 0], 0),
    ("rt_sigprocmask", libc::SYS_rt_sigprocmask, [0, 0, 0, 8, 0, 0], 0),
    ("sigaltstack", libc::SYS_sigaltstack, [0; 6], 0),
    ("gettid", libc::SYS_gettid, [0; 6], 0),
    ("pread64", libc::SYS_pread64, [NOWHERE, 0, 0, 0, 0, 0], libc::EBADF),
    ("pwrite64", libc::SYS_pwrite64, [NOWHERE, 0, 0, 0, 0, 0], libc::EBADF),
];

/// Ends the program, before it starts, if a call is refused that nothing can replace.
pub fn refuse_without_calls() {
    for (name, number, args, error) in TRIALS {
        // SAFETY: null pointers and no descriptor.
        let result = unsafe { sys::call(number, args) };
        if result < 0 && -result as c_int != error {
            refuse(name);
        }
    }
}

/// Says which call is refused; the program does not start.
pub fn refuse(name: &str) -> ! {
    say(format_args!(
        "a sandbox refuses the system call {name}, without which no memory can be paged: allow it, or run without vmalloc"
    ));
    crate::engine::exit()
}
