//! The lock of the pager: a futex mutex that keeps every signal out while it is held.
//!
//! A signal handler of the program may touch an absent page at any moment; if it could run while
//! its own thread holds the lock, the fault would wait for itself. So signals are blocked before the
//! lock is taken and let in after it is released.
//!
//! The word: 0 free, 1 held, 2 held and somebody may sleep.

use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::futex;
use crate::sys::thread::Quiet;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};

/// Attempts before a thread sleeps. To loom, which tries every order, one stands for all.
const SPINS: u32 = if cfg!(loom) { 1 } else { 100 };

/// A value that one thread at a time may use.
pub struct Lock<T> {
    word: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands its value to one thread at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

/// The right to use the value; dropping it releases the lock.
pub struct Guard<'a, T> {
    lock: &'a Lock<T>,
    /// Signals come back when the lock is free again: fields are dropped after `drop` has run.
    _quiet: Option<Quiet>,
}

impl<T> Lock<T> {
    /// A free lock around `value`.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Lock<T> {
        Lock { word: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }

    /// The same with loom's atomics, which are not made by the compiler.
    #[cfg(loom)]
    pub fn new(value: T) -> Lock<T> {
        Lock { word: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }

    /// Waits until the lock is free and takes it, with every signal blocked.
    pub fn hold(&self) -> Guard<'_, T> {
        let quiet = Quiet::begin();
        self.acquire();
        Guard { lock: self, _quiet: Some(quiet) }
    }

    /// The same for a caller that has every signal blocked already, and keeps them so for longer.
    pub fn hold_in<'q>(&'q self, _quiet: &'q Quiet) -> Guard<'q, T> {
        self.acquire();
        Guard { lock: self, _quiet: None }
    }

    fn acquire(&self) {
        // Acquire: pairs with the release in `Guard::drop`.
        if self.word.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return;
        }
        for _ in 0..SPINS {
            core::hint::spin_loop();
            if self.word.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return;
            }
        }
        while self.word.swap(2, Ordering::Acquire) != 0 {
            futex::wait(&self.word, 2);
        }
    }

    /// Releases the lock of a guard that was forgotten; signals stay as they are.
    ///
    /// # Safety
    /// The calling thread holds the lock and has forgotten its guard.
    pub unsafe fn release(&self) {
        // Release: as in `Guard::drop`.
        if self.word.swap(0, Ordering::Release) == 2 {
            futex::wake_one(&self.word);
        }
    }

    /// Makes the lock free in a child process, where its holder may not exist.
    ///
    /// # Safety
    /// Only while no other thread of this process exists and nobody here holds the lock.
    pub unsafe fn reset(&self) {
        self.word.store(0, Ordering::Relaxed);
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // Release: pairs with the acquire of the next holder.
        if self.lock.word.swap(0, Ordering::Release) == 2 {
            futex::wake_one(&self.lock.word);
        }
    }
}
