//! Threads: futexes, signal masks, barriers.

use super::{syscall, Result};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// A set of signals as the kernel keeps it: bit `n - 1` is signal `n`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: SignalSet = SignalSet(0);
    /// Every signal.
    pub const ALL: SignalSet = SignalSet(!0);

    /// The same set without `signal`.
    pub const fn without(self, signal: i32) -> SignalSet {
        SignalSet(self.0 & !(1 << (signal - 1)))
    }

    /// The same set with `signal`.
    pub const fn with(self, signal: i32) -> SignalSet {
        SignalSet(self.0 | 1 << (signal - 1))
    }

    /// Whether `signal` is in it.
    pub const fn has(self, signal: i32) -> bool {
        self.0 & 1 << (signal - 1) != 0
    }
}

/// Sets the thread's signal mask and returns the one before.
pub fn set_signal_mask(set: SignalSet) -> SignalSet {
    let mut old = SignalSet::EMPTY;
    let new = set;
    // SAFETY: both sets are eight bytes, as the last argument says.
    let _ = unsafe { syscall!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const new, &raw mut old, 8) };
    old
}

/// The thread's signal mask.
pub fn signal_mask() -> SignalSet {
    let mut set = SignalSet::EMPTY;
    // SAFETY: the set is eight bytes, as the last argument says; no new one is given.
    let _ = unsafe { syscall!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, 0usize, &raw mut set, 8) };
    set
}

/// Every signal is blocked as long as this lives: whoever holds the token of a page or a lock of the pager
/// shows one, since a handler of the program that touched the page would wait for its own thread.
///
/// Those that begin in the middle of another end before it.
#[must_use = "signals come back when this is dropped"]
pub struct Quiet(Option<SignalSet>);

impl Quiet {
    /// From now on.
    pub fn begin() -> Quiet {
        Quiet(Some(set_signal_mask(SignalSet::ALL)))
    }

    /// They are blocked already, and stay so beyond the end of this: in a signal handler of ours, say.
    pub const fn already() -> Quiet {
        Quiet(None)
    }

    /// They are blocked already if `masked`; else from now on.
    pub fn unless(masked: bool) -> Quiet {
        if masked {
            Quiet::already()
        } else {
            Quiet::begin()
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            set_signal_mask(before);
        }
    }
}

/// Sleeps while `*word == expected`, at most `limit` if given.
pub fn futex_wait(word: &AtomicU32, expected: u32, limit: Option<&libc::timespec>) {
    waiting();
    let limit = limit.map_or(core::ptr::null(), core::ptr::from_ref);
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word lives as long as the reference, and so does the time.
    let _ = unsafe { syscall!(libc::SYS_futex, word.as_ptr(), operation, expected, limit) };
}

/// Wakes up to `n` threads that sleep on `word`.
pub fn futex_wake(word: &AtomicU32, n: i32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word lives as long as the reference.
    let _ = unsafe { syscall!(libc::SYS_futex, word.as_ptr(), operation, n) };
}

/// About where the caller's stack frame lies.
#[inline(always)]
pub fn stack_pointer() -> usize {
    let pointer;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}

/// Called by whoever waits in our own code, with the address of a `fn()`; 0 for none.
static WHILE_WAITING: AtomicUsize = AtomicUsize::new(0);

/// From now on `hook` is called by every thread that waits in our own code.
pub fn while_waiting(hook: fn()) {
    // Relaxed: the hook is code, which was always there.
    WHILE_WAITING.store(hook as usize, Ordering::Relaxed);
}

fn waiting() {
    let hook = WHILE_WAITING.load(Ordering::Relaxed);
    if hook != 0 {
        // SAFETY: stored by `while_waiting`.
        unsafe { core::mem::transmute::<usize, fn()>(hook)() }
    }
}

/// Lets another thread run.
pub fn yield_now() {
    waiting();
    // SAFETY: no arguments.
    let _ = unsafe { syscall!(libc::SYS_sched_yield) };
}

/// Sleeps for a millisecond.
pub fn nap() {
    waiting();
    let time = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    // SAFETY: the time lives through the call.
    let _ = unsafe { syscall!(libc::SYS_nanosleep, &raw const time, 0) };
}

/// The kernel's number of this thread.
pub fn id() -> u32 {
    // SAFETY: no arguments.
    unsafe { syscall!(libc::SYS_gettid) }.unwrap_or(0) as u32
}

/// The process's number.
pub fn process_id() -> u32 {
    // SAFETY: no arguments.
    unsafe { syscall!(libc::SYS_getpid) }.unwrap_or(0) as u32
}

/// Announces that this process will use [`barrier`].
pub fn register_barrier() -> Result<()> {
    // SAFETY: no pointers.
    unsafe { syscall!(libc::SYS_membarrier, libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0).map(|_| ()) }
}

/// A full memory barrier on every running thread of the process.
pub fn barrier() -> Result<()> {
    // SAFETY: no pointers.
    unsafe { syscall!(libc::SYS_membarrier, libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0).map(|_| ()) }
}

/// Monotonic time in nanoseconds.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: time has room for the answer.
    let _ = unsafe { syscall!(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
