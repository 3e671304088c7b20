//! What the pager learns about its guesses: how many pages should be read ahead.
//!
//! Of every few clusters of pages that are read ahead one is *watched*. The more of the watched pages are used, the larger the
//! window; with too few it closes, but for a trial now and then. Pure: numbers to decide by, so every ordering is relaxed.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Pages that come with one, at the most.
pub const MOST: u32 = 15;
/// One cluster in so many is watched.
const WATCHED: u32 = 4;
/// With the window closed, one miss in so many tries again.
const TRIAL: u32 = 64;
/// The window of a trial, and of the beginning.
const LITTLE: u32 = 3;
/// So many watched pages decide on the window, and of them so many must have been used to open it, or to keep it open.
const JUDGED: u32 = 32;
const MANY: u32 = 20;
const FEW: u32 = 12;

/// What was learned of read-ahead.
pub struct ReadAhead {
    window: AtomicU32,
    misses: AtomicU32,
    /// Watched pages since the last judgement: all, and those used.
    judged: AtomicU32,
    used: AtomicU32,
}

impl ReadAhead {
    /// Nothing is known: a small window.
    pub const fn new() -> ReadAhead {
        ReadAhead {
            window: AtomicU32::new(LITTLE),
            misses: AtomicU32::new(0),
            judged: AtomicU32::new(0),
            used: AtomicU32::new(0),
        }
    }

    /// How many pages may come with the next, and whether they are watched.
    pub fn plan(&self) -> (usize, bool) {
        let miss = self.misses.fetch_add(1, Relaxed);
        match self.window.load(Relaxed) {
            0 if miss.is_multiple_of(TRIAL) => (LITTLE as usize, true),
            window => (window as usize, miss.is_multiple_of(WATCHED)),
        }
    }

    /// A watched page was used, or left unused.
    pub fn judge(&self, used: bool) {
        self.used.fetch_add(u32::from(used), Relaxed);
        if self.judged.fetch_add(1, Relaxed) + 1 < JUDGED {
            return;
        }
        self.judged.store(0, Relaxed);
        let window = self.window.load(Relaxed);
        self.window.store(
            match self.used.swap(0, Relaxed) {
                MANY.. => (window * 2 + 1).clamp(LITTLE, MOST),
                FEW.. => window,
                _ => window / 2,
            },
            Relaxed,
        );
    }
}

impl Default for ReadAhead {
    fn default() -> Self {
        ReadAhead::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(verdicts: impl Iterator<Item = bool>) -> usize {
        let ahead = ReadAhead::new();
        verdicts.for_each(|used| ahead.judge(used));
        ahead.misses.store(1, Relaxed);
        ahead.plan().0
    }

    #[test]
    fn the_window_opens_with_use_and_closes_without() {
        assert_eq!(after(std::iter::empty()), LITTLE as usize);
        assert_eq!(after((0..1000).map(|_| true)), MOST as usize);
        assert_eq!(after((0..1000).map(|_| false)), 0);
        assert_eq!(after((0..1000).map(|i| i % 2 == 0)), LITTLE as usize, "half of them keep it as it is");
    }

    #[test]
    fn a_closed_window_is_tried_again() {
        let ahead = ReadAhead::new();
        (0..200).for_each(|_| ahead.judge(false));
        let trials: Vec<_> = (0..2 * TRIAL).map(|_| ahead.plan()).filter(|(window, _)| *window > 0).collect();
        assert_eq!(trials, [(LITTLE as usize, true); 2]);
        (0..JUDGED).for_each(|_| ahead.judge(true));
        assert!(ahead.plan().0 > 0);
    }
}
