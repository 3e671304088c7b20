//! The kernel's futex: sleeping on a word, if it still says what was expected.

use loom::sync::{Condvar, Mutex};

/// The kernel's queue of sleepers on one word.
#[derive(Default)]
pub struct Futex {
    queue: Mutex<()>,
    sleepers: Condvar,
}

impl Futex {
    /// Sleeps if `as_expected` is true at a moment when nobody can wake (`sys::thread::futex_wait`).
    pub fn wait(&self, as_expected: impl FnOnce() -> bool) {
        if let Ok(queue) = self.queue.lock() {
            if as_expected() {
                drop(self.sleepers.wait(queue));
            }
        }
    }

    /// Wakes one sleeper (`sys::thread::futex_wake` with 1).
    pub fn wake_one(&self) {
        drop(self.queue.lock());
        self.sleepers.notify_one();
    }

    /// Wakes all sleepers (`sys::thread::futex_wake` with `i32::MAX`).
    pub fn wake_all(&self) {
        drop(self.queue.lock());
        self.sleepers.notify_all();
    }
}
