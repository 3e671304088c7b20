//! Calls that are trapped whether the guard is armed or not: those that make children or execute a program, so
//! that the children are guarded, or get their copy, at the very call.

use crate::shared::guarded::ARMED;
use crate::shared::kernel::{self, OURS};
use crate::shared::thread::{self, Thread};
use crate::signals::claims;
use core::sync::atomic::Ordering;
use vmcore::sys::thread::SignalSet;

/// The thread's calls are trapped although the guard may not be armed; what its selector was.
pub fn trap_from_now(thread: &'static Thread) -> u8 {
    // A trap without our handler kills, and so does one while SIGSYS is blocked; the program may have done
    // either by a call of its own (Chromium's children, before they execute).
    claims::insist();
    if let Ok(old) = kernel::change_mask(libc::SIG_UNBLOCK, Some(SignalSet(OURS))) {
        if old.0 & OURS != 0 {
            thread.signals().blocked.set(thread.signals().blocked.get() | old.0 & OURS);
        }
    }
    thread.selector.swap(1, Ordering::SeqCst)
}

/// The selector is again what it was, unless the guard has been armed meanwhile.
pub fn trap_no_longer(thread: &Thread, was: u8) {
    if was == 0 && !ARMED.load(Ordering::SeqCst) {
        thread.selector.store(0, Ordering::SeqCst);
        // SeqCst: as in `enter_thread`.
        if ARMED.load(Ordering::SeqCst) {
            super::guard_self(thread);
        }
    }
}

/// As long as this lives, the running thread's calls are trapped: those that libc makes for a wrapper which
/// makes children, so that the children are guarded, or get their copy, at the very call.
pub struct Trapping(Option<(&'static Thread, u8)>);

impl Trapping {
    /// From now on.
    pub fn begin() -> Trapping {
        let thread = thread::current().filter(|thread| thread.guard().dispatched.load(Ordering::Relaxed));
        Trapping(thread.map(|thread| (thread, trap_from_now(thread))))
    }
}

impl Drop for Trapping {
    fn drop(&mut self) {
        if let Some((thread, was)) = self.0 {
            trap_no_longer(thread, was);
        }
    }
}

/// Whether the running thread's calls are trapped now.
pub fn is_trapping() -> bool {
    // Relaxed: the thread's own calls.
    thread::current().is_some_and(|thread| thread.selector.load(Ordering::Relaxed) != 0)
}
