//! Torture: what a build with the feature `torture` does to itself, to find what holds only by luck.
//!
//! - [`pause`]: delays at the transitions of pages and at the gates, from some loops to a millisecond,
//!   so that threads meet where they seldom do.
//! - [`cut`]: transfers that end short.
//! - [`strikes`]: asked at every allocation and system call, now and then says yes; then
//!   `Engine::torment` evicts pages that nobody needed to evict, a few ([`victims`]) or as many as a small arena has.
//!
//! `scripts/torture` makes such a build and runs the test programs on it. In any other build all of
//! this is empty and inline. The dice are the process's own: a run cannot be repeated, only prolonged.
#![forbid(unsafe_code)]

use crate::sys::thread;
use core::sync::atomic::{AtomicU64, Ordering};

/// Whether this build tortures itself.
pub const ON: bool = cfg!(feature = "torture");

static SEED: AtomicU64 = AtomicU64::new(0);

/// The next random number: splitmix64 over a counter that all threads advance.
fn roll() -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    // Relaxed: any number will do.
    let mut x = SEED.fetch_add(STEP, Ordering::Relaxed);
    if x == 0 {
        x = thread::now();
        SEED.fetch_add(x, Ordering::Relaxed);
    }
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A delay, perhaps: this is a moment at which another thread might come in between.
#[inline(always)]
pub fn pause() {
    if ON {
        delay();
    }
}

#[cold]
fn delay() {
    let dice = roll();
    match dice % 4096 {
        0 => thread::nap(),
        1..=127 => thread::yield_now(),
        128..=1023 => (0..dice >> 32 & 0xfff).for_each(|_| core::hint::spin_loop()),
        _ => {}
    }
}

/// So many of `len` bytes a transfer may move at once.
#[inline(always)]
pub fn cut(len: usize) -> usize {
    if ON && len > 1 && roll().is_multiple_of(4) {
        1 + roll() as usize % (len - 1)
    } else {
        len
    }
}

/// Whether pages are to be evicted now: about every `every`-th time.
#[inline(always)]
pub fn strikes(every: u64) -> bool {
    ON && roll().is_multiple_of(every)
}

/// How many pages are to be evicted, if any.
#[inline(always)]
pub fn victims() -> u32 {
    match roll() % 4 {
        0 => 64,
        dice => dice as u32,
    }
}
