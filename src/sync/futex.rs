//! Futexes: sleeping on a word until somebody says that it changed.

use crate::sync::atomic::{AtomicU32, AtomicU64};
use crate::sys::thread::{futex_wait, futex_wake};

/// Sleeps while `*word == expected`, until somebody wakes the word, or for no reason.
pub fn wait(word: &AtomicU32, expected: u32) {
    futex_wait(word, expected, None);
}

/// Wakes one thread that sleeps on `word`.
pub fn wake_one(word: &AtomicU32) {
    futex_wake(word, 1);
}

/// Wakes everybody who sleeps on `word`.
pub fn wake_all(word: &AtomicU32) {
    futex_wake(word, i32::MAX);
}

/// Sleeps while the low half of `word` is that of `expected`: a futex compares 32 bits.
pub fn wait_low_half(word: &AtomicU64, expected: u64) {
    wait(low_half(word), expected as u32);
}

/// Wakes everybody who sleeps on the low half of `word`.
pub fn wake_low_half(word: &AtomicU64) {
    wake_all(low_half(word));
}

fn low_half(word: &AtomicU64) -> &AtomicU32 {
    let word: *const AtomicU64 = word;
    // SAFETY: on little-endian x86-64 the low half of the word begins at its address, aligned for 32 bits;
    // only the kernel reads it as such, to compare it.
    unsafe { &*word.cast::<AtomicU32>() }
}
