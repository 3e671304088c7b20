//! The gate of a region: its owner passes almost for free, others may close it for a while.
//!
//! A biased lock. The owner announces itself with two plain stores and one load; another thread that
//! needs the region (to give its free memory to somebody else, or to fork) closes the gate, issues a
//! process-wide memory barrier, and waits until the owner is out. The barrier makes the owner's
//! missing fence good: after it, either the owner sees the closed gate or we see the owner inside.
//!
//! Others exclude each other by [`Closer`], which one thread holds at a time.

use crate::lock::{Guard, Lock};
use crate::sys::thread;
use core::sync::atomic::{compiler_fence, AtomicU32, Ordering};

/// The gate of one region. All zero: open, nobody inside.
#[repr(C)]
pub struct Gate {
    inside: AtomicU32,
    closed: AtomicU32,
}

/// The one lock of those who close gates.
static CLOSERS: Lock<()> = Lock::new(());

/// The right to close gates.
pub struct Closer(#[allow(dead_code)] Guard<'static, ()>);

impl Closer {
    /// Waits for the right to close gates.
    pub fn hold() -> Closer {
        Closer(CLOSERS.hold())
    }

    /// Makes the right available in a child process.
    ///
    /// # Safety
    /// As [`Lock::reset`].
    pub unsafe fn reset() {
        // SAFETY: the caller's promise.
        unsafe { CLOSERS.reset() }
    }
}

impl Gate {
    /// The owner enters. False when it is inside already: a signal handler interrupted it there.
    #[inline]
    pub fn enter(&self) -> bool {
        // Relaxed: this thread is the only one to write `inside`.
        if self.inside.load(Ordering::Relaxed) != 0 {
            return false;
        }
        self.inside.store(1, Ordering::Relaxed);
        // Compiler only: the processor's half of this fence is the barrier in `close`.
        compiler_fence(Ordering::SeqCst);
        if self.closed.load(Ordering::Acquire) != 0 {
            self.enter_slowly();
        }
        true
    }

    /// As [`Gate::enter`], but false as well while the gate is closed: no call, no wait.
    #[inline(always)]
    pub fn try_enter(&self) -> bool {
        // As in `enter`.
        if self.inside.load(Ordering::Relaxed) != 0 {
            return false;
        }
        self.inside.store(1, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        if self.closed.load(Ordering::Acquire) != 0 {
            // Release: as in `leave`.
            self.inside.store(0, Ordering::Release);
            return false;
        }
        true
    }

    #[cold]
    fn enter_slowly(&self) {
        loop {
            self.inside.store(0, Ordering::Release);
            while self.closed.load(Ordering::Acquire) != 0 {
                thread::futex_wait(&self.closed, 1, None);
            }
            self.inside.store(1, Ordering::SeqCst);
            if self.closed.load(Ordering::SeqCst) == 0 {
                return;
            }
        }
    }

    /// The owner leaves.
    #[inline(always)]
    pub fn leave(&self) {
        // Release: pairs with the acquire in `close`.
        self.inside.store(0, Ordering::Release);
    }

    /// Whether the owner is inside at this moment.
    pub fn is_inside(&self) -> bool {
        self.inside.load(Ordering::Acquire) != 0
    }

    /// Keeps the owner out and waits until it is; `own` when the caller is the owner itself.
    pub fn close(&self, _closer: &Closer, own: bool) {
        if own {
            return;
        }
        self.closed.store(1, Ordering::SeqCst);
        // Pairs with the compiler fence in `enter`.
        if thread::barrier().is_err() {
            // Without the barrier the owner's store may still be on its way: give it time.
            for _ in 0..1000 {
                thread::yield_now();
            }
        }
        while self.inside.load(Ordering::Acquire) != 0 {
            thread::yield_now();
        }
    }

    /// Lets the owner in again.
    pub fn open(&self, _closer: &Closer) {
        // Release: pairs with the acquire in `enter`.
        if self.closed.swap(0, Ordering::Release) != 0 {
            thread::futex_wake(&self.closed, i32::MAX);
        }
    }

    /// An open gate with nobody inside, in a child process whose other threads are gone.
    pub fn reset(&self) {
        self.inside.store(0, Ordering::Relaxed);
        self.closed.store(0, Ordering::Relaxed);
    }
}
