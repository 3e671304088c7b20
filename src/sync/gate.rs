//! The gate of a heap: its owner passes almost for free, others may close it for a while.
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

use super::lock::{Guard, Lock};
use crate::sync::atomic::{compiler_fence, fence, statics, AtomicBool, AtomicU32, Ordering};
use crate::sync::futex;
use crate::sys::{thread, torture};
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};

/// What one owner uses, behind a gate. All zero: open, nobody inside; a new one is still to be [`Gate::reset`].
#[repr(C)]
pub struct Gate<T> {
    inside: AtomicU32,
    closed: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: one thread at a time gets to the value: the owner inside, or who closed the gate with the owner out.
unsafe impl<T: Send> Sync for Gate<T> {}

/// The owner is inside until this is dropped.
pub struct Inside<'g, T> {
    gate: &'g Gate<T>,
}

/// The owner is kept out until this is dropped.
pub struct Closed<'g, T> {
    gate: &'g Gate<T>,
    closer: &'g Closer,
}

/// Nobody keeps the owner out.
const OPEN: u32 = 0;
/// Somebody does.
const CLOSED: u32 = 1;
/// As open, but the owner issues a fence of its own.
const FENCED: u32 = 2;

statics! {
    /// There is no process-wide barrier.
    static NO_BARRIER: AtomicBool = AtomicBool::new(false);
    /// The one lock of those who close gates.
    static CLOSERS: Lock<()> = Lock::new(());
}

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
    /// Only while no other thread of this process exists and nobody here has the right.
    pub unsafe fn reset() {
        // SAFETY: the caller promises that it is alone, and that it does not hold this lock.
        unsafe { CLOSERS.reset() }
    }
}

impl<T> Gate<T> {
    /// An open gate around `value`. Those of heaps lie in bookkeeping that is all zero, so only models make one.
    #[cfg(loom)]
    pub fn new(value: T) -> Gate<T> {
        Gate { inside: AtomicU32::new(0), closed: AtomicU32::new(OPEN), value: UnsafeCell::new(value) }
    }

    /// The owner enters; `None` when it is inside already, since a signal handler interrupted it there.
    ///
    /// # Safety
    /// The calling thread owns what is behind the gate: no other thread enters.
    #[inline]
    pub unsafe fn enter(&self) -> Option<Inside<'_, T>> {
        // Relaxed: this thread is the only one to write `inside`.
        if self.inside.load(Ordering::Relaxed) != 0 {
            return None;
        }
        self.inside.store(1, Ordering::Relaxed);
        // Compiler only: the processor's half of this fence is the barrier in `shut`.
        compiler_fence(Ordering::SeqCst);
        torture::pause();
        // Acquire: pairs with the release in `open`.
        if self.closed.load(Ordering::Acquire) != OPEN {
            self.enter_slowly();
        }
        Some(Inside { gate: self })
    }

    /// As [`Gate::enter`], but `None` as well while the gate is closed or wants fences: no call, no wait.
    ///
    /// # Safety
    /// As [`Gate::enter`].
    #[inline(always)]
    pub unsafe fn try_enter(&self) -> Option<Inside<'_, T>> {
        // As in `enter`.
        if self.inside.load(Ordering::Relaxed) != 0 {
            return None;
        }
        self.inside.store(1, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        if self.closed.load(Ordering::Acquire) != OPEN {
            // Release: as where `Inside` is dropped.
            self.inside.store(0, Ordering::Release);
            return None;
        }
        Some(Inside { gate: self })
    }

    #[cold]
    fn enter_slowly(&self) {
        loop {
            // Pairs with the fence in `shut`: either we see the gate closed, or we are seen inside.
            fence(Ordering::SeqCst);
            // Acquire: as in `enter`.
            if self.closed.load(Ordering::Acquire) != CLOSED {
                return;
            }
            // Release: as where `Inside` is dropped.
            self.inside.store(0, Ordering::Release);
            while self.closed.load(Ordering::Acquire) == CLOSED {
                futex::wait(&self.closed, CLOSED);
            }
            // Relaxed: the fence above follows.
            self.inside.store(1, Ordering::Relaxed);
        }
    }

    /// Keeps the owner out and waits until it is; `own` when the caller is the owner itself, outside.
    pub fn close<'g>(&'g self, closer: &'g Closer, own: bool) -> Closed<'g, T> {
        self.shut(closer, own);
        Closed { gate: self, closer }
    }

    /// The same, until [`Gate::open`]: for a fork, which closes them all.
    pub fn shut(&self, _closer: &Closer, own: bool) {
        if own {
            return;
        }
        // SeqCst: before the barrier and the fence below.
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
        // Acquire: pairs with the release where `Inside` is dropped.
        while self.inside.load(Ordering::Acquire) != 0 {
            thread::yield_now();
        }
    }

    /// Lets the owner in again.
    pub fn open(&self, _closer: &Closer) {
        // Relaxed: only who holds the right to close gates writes `closed`.
        if self.closed.load(Ordering::Relaxed) == CLOSED {
            // Release: pairs with the acquire in `enter`.
            self.closed.store(open_word(), Ordering::Release);
            futex::wake_all(&self.closed);
        }
    }

    /// What is behind the gate of which nobody is the owner; whoever becomes it waits for the right that
    /// the caller holds.
    ///
    /// # Safety
    /// Nobody owns it, or the calling thread does and is outside.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn unowned(&self, _closer: &Closer) -> &mut T {
        // SAFETY: the owner, if there is one, is the caller, and only one thread has the right to close gates.
        unsafe { &mut *self.value.get() }
    }

    /// An open gate with nobody inside: of a new region, or in a child process whose other threads are
    /// gone.
    pub fn reset(&self) {
        // Relaxed: who comes after learns of the gate by something stronger.
        self.inside.store(0, Ordering::Relaxed);
        self.closed.store(open_word(), Ordering::Relaxed);
    }
}

impl<T> Deref for Inside<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the owner is inside, says the existence of this, so nobody else is at the value.
        unsafe { &*self.gate.value.get() }
    }
}

impl<T> DerefMut for Inside<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { &mut *self.gate.value.get() }
    }
}

impl<T> Drop for Inside<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // Release: pairs with the acquire in `shut`.
        self.gate.inside.store(0, Ordering::Release);
    }
}

impl<T> Deref for Closed<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the owner is out and kept out, and only one thread has the right to close gates.
        unsafe { &*self.gate.value.get() }
    }
}

impl<T> DerefMut for Closed<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { &mut *self.gate.value.get() }
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        self.gate.open(self.closer);
    }
}
