//! The gate of a region: its owner passes almost for free, others may close it for a while.
//!
//! A biased lock. The owner announces itself with two plain stores and one load; another thread that
//! needs the region (to give its free memory to somebody else, or to fork) closes the gate, issues a
//! process-wide memory barrier, and waits until the owner is out. The barrier makes the owner's
//! missing fence good: after it, either the owner sees the closed gate or we see the owner inside.
//!
//! Where the kernel refuses that barrier (a sandbox), gates stand at `FENCED` instead of `OPEN`: then
//! the owner always takes the slow way in, which has the fence.
//!
//! Others exclude each other by [`Closer`], which one thread holds at a time.

use crate::lock::{Guard, Lock};
use crate::sys::{thread, torture};
use core::sync::atomic::{compiler_fence, fence, AtomicBool, AtomicU32, Ordering};

/// The gate of one region. All zero: open, nobody inside; a new one is still to be [`Gate::reset`].
#[repr(C)]
pub struct Gate {
    inside: AtomicU32,
    closed: AtomicU32,
}

/// Nobody keeps the owner out.
const OPEN: u32 = 0;
/// Somebody does.
const CLOSED: u32 = 1;
/// As open, but the owner issues a fence of its own.
const FENCED: u32 = 2;

/// There is no process-wide barrier.
static NO_BARRIER: AtomicBool = AtomicBool::new(false);

/// Asks for the process-wide barrier; to be called before there is a gate.
pub fn prepare() {
    let has_barrier = thread::register_barrier().and_then(|()| thread::barrier()).is_ok();
    // Relaxed: the process has one thread, or stays with what it had.
    NO_BARRIER.store(!has_barrier, Ordering::Relaxed);
}

/// What an open gate stands at.
fn open_word() -> u32 {
    if NO_BARRIER.load(Ordering::Relaxed) {
        FENCED
    } else {
        OPEN
    }
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
        torture::pause();
        // Acquire: pairs with the release in `open`.
        if self.closed.load(Ordering::Acquire) != OPEN {
            self.enter_slowly();
        }
        true
    }

    /// As [`Gate::enter`], but false as well while the gate is closed or wants fences: no call, no wait.
    #[inline(always)]
    pub fn try_enter(&self) -> bool {
        // As in `enter`.
        if self.inside.load(Ordering::Relaxed) != 0 {
            return false;
        }
        self.inside.store(1, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        if self.closed.load(Ordering::Acquire) != OPEN {
            // Release: as in `leave`.
            self.inside.store(0, Ordering::Release);
            return false;
        }
        true
    }

    #[cold]
    fn enter_slowly(&self) {
        loop {
            // Pairs with the fence in `close`: either we see the gate closed, or we are seen inside.
            fence(Ordering::SeqCst);
            // Acquire: as in `enter`.
            if self.closed.load(Ordering::Acquire) != CLOSED {
                return;
            }
            // Release: as in `leave`.
            self.inside.store(0, Ordering::Release);
            while self.closed.load(Ordering::Acquire) == CLOSED {
                thread::futex_wait(&self.closed, CLOSED, None);
            }
            // Relaxed: the fence above follows.
            self.inside.store(1, Ordering::Relaxed);
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
        let was = self.closed.swap(CLOSED, Ordering::SeqCst);
        if was == OPEN && thread::barrier().is_err() {
            // The barrier has been taken from us since the start. The owner may have come in without a
            // fence, this once: its store is on its way for some nanoseconds, and we wait a million.
            NO_BARRIER.store(true, Ordering::Relaxed);
            thread::nap();
        }
        // Pairs with the fence in `enter_slowly`, and the barrier with the compiler fence in `enter`.
        fence(Ordering::SeqCst);
        torture::pause();
        while self.inside.load(Ordering::Acquire) != 0 {
            thread::yield_now();
        }
    }

    /// Lets the owner in again.
    pub fn open(&self, _closer: &Closer) {
        // Release: pairs with the acquire in `enter`.
        if self.closed.load(Ordering::Relaxed) == CLOSED {
            self.closed.store(open_word(), Ordering::Release);
            thread::futex_wake(&self.closed, i32::MAX);
        }
    }

    /// An open gate with nobody inside: of a new region, or in a child process whose other threads are
    /// gone.
    pub fn reset(&self) {
        self.inside.store(0, Ordering::Relaxed);
        self.closed.store(open_word(), Ordering::Relaxed);
    }
}
