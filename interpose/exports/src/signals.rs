//! Signals.

use core::ffi::{c_int, c_void};
use interposer::wrappers::signals::{actions, jumps, old, waits};
use libc::{epoll_event, fd_set, nfds_t, pollfd, siginfo_t, sigset_t, stack_t, timespec};

type Set = *const sigset_t;
type Time = *const timespec;
type Polls = *mut pollfd;
type Descriptors = *mut fd_set;
type Events = *mut epoll_event;

calls! { actions:
    fn sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int;
    fn sigprocmask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> c_int;
    fn pthread_sigmask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> c_int;
    fn sigpending(set: *mut sigset_t) -> c_int;
    fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> c_int;
    fn __sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int;
}

calls! { old:
    fn signal(signal: c_int, handler: usize) -> usize;
    fn sysv_signal(signal: c_int, handler: usize) -> usize;
    fn sigset(signal: c_int, handler: usize) -> usize;
    fn sigignore(signal: c_int) -> c_int;
    fn siginterrupt(signal: c_int, interrupts: c_int) -> c_int;
    fn sighold(signal: c_int) -> c_int;
    fn sigrelse(signal: c_int) -> c_int;
    fn sigblock(mask: c_int) -> c_int;
    fn sigsetmask(mask: c_int) -> c_int;
    fn siggetmask() -> c_int;
    fn __sysv_signal(signal: c_int, handler: usize) -> usize;
    fn bsd_signal(signal: c_int, handler: usize) -> usize;
    fn ssignal(signal: c_int, handler: usize) -> usize;
}

calls! { waits:
    fn sigsuspend(mask: Set) -> c_int;
    fn __sigsuspend(mask: Set) -> c_int;
    fn ppoll(polls: Polls, n: nfds_t, time: Time, mask: Set) -> c_int;
    fn __ppoll_chk(polls: Polls, n: nfds_t, time: Time, mask: Set, len: usize) -> c_int;
    fn pselect(n: c_int, read: Descriptors, write: Descriptors, other: Descriptors, time: Time, mask: Set) -> c_int;
    fn epoll_pwait(fd: c_int, events: Events, n: c_int, time: c_int, mask: Set) -> c_int;
    fn epoll_pwait2(fd: c_int, events: Events, n: c_int, time: Time, mask: Set) -> c_int;
    fn sigpause(mask: c_int) -> c_int;
    fn __xpg_sigpause(signal: c_int) -> c_int;
    fn __sigpause(argument: c_int, is_signal: c_int) -> c_int;
    fn sigtimedwait(set: Set, info: *mut siginfo_t, time: Time) -> c_int;
    fn sigwaitinfo(set: Set, info: *mut siginfo_t) -> c_int;
    fn sigwait(set: Set, signal: *mut c_int) -> c_int;
}

calls! { jumps:
    fn longjmp(jump: *mut c_void, value: c_int) -> !;
    fn __longjmp_chk(jump: *mut c_void, value: c_int) -> !;
    fn siglongjmp(jump: *mut c_void, value: c_int) -> !;
    fn setcontext(context: *mut c_void) -> c_int;
    fn _longjmp(jump: *mut c_void, value: c_int) -> !;
}

jumps! { jumps:
    fn __sigsetjmp(jump: *mut c_void, saves: c_int) -> c_int;
    fn setjmp(jump: *mut c_void) -> c_int;
    fn getcontext(context: *mut c_void) -> c_int;
    fn swapcontext(from: *mut c_void, to: *mut c_void) -> c_int;
}
