//! `sync/futex.rs` with the kernel's part played by loom: a queue of sleepers for each word.

use super::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::sync::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// The kernel's queue of sleepers on one word.
#[derive(Default)]
struct Queue {
    lock: Mutex<()>,
    sleepers: Condvar,
}

loom::lazy_static! {
    /// The queues by the addresses of their words. Loom switches nowhere while the list is held, so its lock need not be loom's.
    static ref QUEUES: std::sync::Mutex<BTreeMap<usize, Arc<Queue>>> = std::sync::Mutex::default();
}

/// An execution begins: the list is made before there is a second thread, so that it orders nothing between threads.
pub fn begin() {
    drop(QUEUES.lock());
}

fn queue<T>(word: &T) -> Arc<Queue> {
    let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(queues.entry(std::ptr::from_ref(word) as usize).or_default())
}

/// Sleeps if `as_expected` is true at a moment when nobody can wake.
fn sleep<T>(word: &T, as_expected: impl FnOnce() -> bool) {
    let queue = queue(word);
    if let Ok(lock) = queue.lock.lock() {
        if as_expected() {
            drop(queue.sleepers.wait(lock));
        }
    };
}

fn wake<T>(word: &T, how: fn(&Condvar)) {
    let queue = queue(word);
    drop(queue.lock.lock());
    how(&queue.sleepers);
}

/// Sleeps while `*word == expected`, until somebody wakes the word.
pub fn wait(word: &AtomicU32, expected: u32) {
    sleep(word, || word.load(Ordering::SeqCst) == expected);
}

/// Wakes one thread that sleeps on `word`.
pub fn wake_one(word: &AtomicU32) {
    wake(word, Condvar::notify_one);
}

/// Wakes everybody who sleeps on `word`.
pub fn wake_all(word: &AtomicU32) {
    wake(word, Condvar::notify_all);
}

/// Sleeps while the low half of `word` is that of `expected`: a futex compares 32 bits.
pub fn wait_low_half(word: &AtomicU64, expected: u64) {
    sleep(word, || word.load(Ordering::SeqCst) as u32 == expected as u32);
}

/// Wakes everybody who sleeps on the low half of `word`.
pub fn wake_low_half(word: &AtomicU64) {
    wake(word, Condvar::notify_all);
}
