//! Stretches of granules: finding free ones, promising their pages, and giving both back.

use super::{class, granules, space, Ground, Heap, NoRoom};
use crate::page::table::{Usage, GROUP_PAGES};
use core::sync::atomic::Ordering;

impl Heap {
    /// The lowest group in which a run of `n` may begin.
    pub(super) fn hint(&mut self, n: u64) -> u64 {
        if self.lowest_freed != 0 {
            // A freed stretch may continue a run that begins in the group before.
            let lowest = self.lowest_freed.saturating_sub(2);
            for hint in &mut self.hints {
                *hint = lowest.min(*hint);
            }
            self.lowest_freed = 0;
        }
        self.hints.get(class(n)).map_or(0, |hint| u64::from(*hint))
    }

    pub(super) fn find(&mut self, ground: &impl Ground, n: u64, align: u64) -> Result<u64, NoRoom> {
        let first = self.hint(n);
        let found =
            space::first_fit(ground, n, align, first).or_else(|| space::first_fit(ground, n, align, 0)).ok_or(NoRoom::Region)?;
        if align <= 1 {
            let group = (found >> ground.page_shift()) / GROUP_PAGES;
            if let Some(hint) = self.hints.get_mut(class(n.next_power_of_two())) {
                *hint = (*hint).max(group as u32);
            }
        }
        Ok(found)
    }

    /// How many granules from `start` on, below `end`, are free.
    pub(super) fn free_len(&self, ground: &impl Ground, start: u64, end: u64) -> u64 {
        let shift = ground.page_shift();
        let mut at = start;
        while at < end {
            let stop = (((at >> shift) + 1) << shift).min(end);
            let free = match Heap::usage(ground, at >> shift) {
                Usage::Free => stop - at,
                Usage::Blocks(_) => granules::free_from(ground, at, stop),
                Usage::Large { .. } | Usage::Tail { .. } | Usage::Slab { .. } => 0,
            };
            at += free;
            if at < stop {
                break;
            }
        }
        at.max(start) - start
    }

    /// Whether `start .. start + n` is free and inside the region.
    pub(super) fn is_free(&self, ground: &impl Ground, start: u64, n: u64) -> bool {
        let end = start + n;
        end <= ground.pages() << ground.page_shift() && self.free_len(ground, start, end) == n
    }

    /// Makes sure that the free stretch `start .. start + n` has granule words and promised pages.
    /// True when its bytes are known to be zero.
    pub(super) fn occupy(&mut self, ground: &impl Ground, start: u64, n: u64) -> Result<bool, NoRoom> {
        let shift = ground.page_shift();
        let (first, last) = (start >> shift, (start + n - 1) >> shift);
        if !ground.back(first, last - first + 1, true) {
            return Err(NoRoom::Backing);
        }
        let mut zero = true;
        let mut page = first;
        while page <= last {
            if Heap::usage(ground, page) != Usage::Free {
                zero &= start.max(page << shift) >= self.frontier;
                self.set_usage(ground, page, Usage::Blocks(None));
                page += 1;
                continue;
            }
            let mut n = 1;
            while page + n <= last && Heap::usage(ground, page + n) == Usage::Free {
                n += 1;
            }
            let Some(known_zero) = ground.promise(page, n, false) else {
                self.abandon(ground, first, page);
                return Err(NoRoom::Backing);
            };
            zero &= known_zero;
            self.pages += n;
            for fresh in page..page + n {
                self.set_usage(ground, fresh, Usage::Blocks(None));
            }
            page += n;
        }
        self.frontier = self.frontier.max(start + n);
        Ok(zero)
    }

    /// Gives back the pages from `first` to `end` that hold no block.
    pub(super) fn abandon(&mut self, ground: &impl Ground, first: u64, end: u64) {
        let words = (1u64 << ground.page_shift()) / granules::PER_WORD;
        let mut empty_from = first;
        let mut empties = 0;
        for page in first..end {
            let blocks = matches!(Heap::usage(ground, page), Usage::Blocks(_));
            let empty = blocks && (page * words..(page + 1) * words).all(|w| ground.word(w).load(Ordering::Relaxed) == 0);
            if empty {
                self.pages -= 1;
                self.set_usage(ground, page, Usage::Free);
                if empties == 0 {
                    empty_from = page;
                }
                empties += 1;
            } else {
                if blocks {
                    self.set_usage(ground, page, Usage::Blocks(None));
                }
                if empties > 0 {
                    ground.release(empty_from, empties);
                    empties = 0;
                }
            }
        }
        if empties > 0 {
            ground.release(empty_from, empties);
        }
    }

    /// Frees the granules of a parked or live stretch that lies in no slab, and the pages that they leave empty.
    pub(super) fn vacate_stretch(&mut self, ground: &impl Ground, start: u64, n: u64) {
        let shift = ground.page_shift();
        granules::clear(ground, start, n);
        self.held -= n;
        let (first, last) = (start >> shift, (start + n - 1) >> shift);
        self.note_freed(first);
        // Most often its neighbours in the same word show that the page is not empty.
        let word = ground.word(start / granules::PER_WORD).load(Ordering::Relaxed);
        if first == last && word != 0 {
            self.set_usage(ground, first, Usage::Blocks(None));
        } else {
            self.abandon(ground, first, last + 1);
        }
    }

    pub(super) fn note_freed(&mut self, page: u64) {
        let group = (page / GROUP_PAGES) as u32 + 1;
        if self.lowest_freed == 0 || group < self.lowest_freed {
            self.lowest_freed = group;
        }
    }
}
