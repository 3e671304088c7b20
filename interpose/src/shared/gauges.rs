//! Two gauges of the whole process that belong to no counter of the engine: what is allocated, and how many
//! threads there were.

use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

static BYTES: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);
static THREADS: AtomicU64 = AtomicU64::new(0);

// Relaxed everywhere: a gauge orders nothing.

/// Adds to what is allocated.
pub fn note_bytes(bytes: i64) {
    let now = BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

/// Bytes allocated and not freed, to within a batch a thread.
pub fn bytes_in_use() -> usize {
    BYTES.load(Ordering::Relaxed).max(0) as usize
}

/// The most bytes that were in use at once.
pub fn bytes_peak() -> u64 {
    PEAK.load(Ordering::Relaxed).max(0) as u64
}

/// Counts one thread more.
pub fn count_thread() {
    THREADS.fetch_add(1, Ordering::Relaxed);
}

/// How many threads there were, with those that have ended.
pub fn threads() -> u64 {
    THREADS.load(Ordering::Relaxed)
}

/// A forked child begins with one thread.
pub fn survive_fork() {
    THREADS.store(1, Ordering::Relaxed);
}
