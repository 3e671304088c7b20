//! The commit charge: what may still be promised.
//!
//! A page of a block is backed by a frame or a slot from the moment malloc returns, so that no later touch can
//! fail for want of space. Every page of a block, and every frame of growing bookkeeping, takes one of `available`
//! until it is released; `available + promised` never changes. `docs/ARCHITECTURE.md`, section 8, proves that a
//! toucher then always gets on.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Frames that are never promised: a page can always come in before another must leave.
const RESERVE: u64 = 8;

/// What was promised, and what may be. Relaxed throughout: the numbers alone decide, nothing is read on the
/// strength of them.
pub struct CommitCharge {
    available: AtomicU64,
    promised: AtomicU64,
    /// Promises that need no slot.
    by_frames: u64,
}

impl CommitCharge {
    /// For a heap: `frames` less a reserve, and `slots`.
    pub fn with_reserve(frames: u64, slots: u64) -> CommitCharge {
        let by_frames = frames - RESERVE.min(frames);
        CommitCharge { available: AtomicU64::new(by_frames + slots), promised: AtomicU64::new(0), by_frames }
    }

    /// For who counts: a slot for each page, or a frame if there are more of them.
    pub fn exact(frames: u64, slots: u64) -> CommitCharge {
        CommitCharge { available: AtomicU64::new(frames.max(slots)), promised: AtomicU64::new(0), by_frames: frames }
    }

    /// Promises `n`: how many are promised in all, or `None` when so many are not left.
    #[must_use]
    pub fn take(&self, n: u64) -> Option<u64> {
        self.available.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(n)).ok()?;
        Some(self.promised.fetch_add(n, Relaxed) + n)
    }

    /// Takes `n` promises back.
    pub fn give(&self, n: u64) {
        self.promised.fetch_sub(n, Relaxed);
        self.available.fetch_add(n, Relaxed);
    }

    /// How many slots `promised` pages need at the least: those that frames alone cannot back.
    pub fn slots_for(&self, promised: u64) -> u64 {
        promised.saturating_sub(self.by_frames)
    }

    /// What is promised.
    pub fn promised(&self) -> u64 {
        self.promised.load(Relaxed)
    }

    /// What may still be promised.
    pub fn available(&self) -> u64 {
        self.available.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_end_where_frames_and_slots_do() {
        let charge = CommitCharge::with_reserve(20, 5);
        assert_eq!(charge.take(12), Some(12));
        assert_eq!((charge.slots_for(12), charge.slots_for(13)), (0, 1));
        assert_eq!(charge.take(6), None);
        assert_eq!(charge.take(5), Some(17));
        charge.give(17);
        assert_eq!((charge.promised(), charge.available()), (0, 17));
        assert_eq!(CommitCharge::exact(3, 7).available(), 7);
        assert_eq!(CommitCharge::with_reserve(3, 0).available(), 0);
    }
}
