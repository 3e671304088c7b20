//! Where the next blocks come from when none is at hand: holes in pages that have some, the next fresh
//! page, or the lowest room there is.

use super::granules::{self, Granule};
use super::space::{self, Room};
use super::{Ground, Heap, NoRoom, Run, PROBES};
use crate::page::table::{Usage, GROUP_PAGES};
use crate::page::State;

impl Heap {
    /// Sees to it that a block of `n` granules is at hand.
    #[cold]
    pub(super) fn refill(&mut self, ground: &impl Ground, n: u64) -> Result<(), NoRoom> {
        self.drop_run(ground);
        if self.refill_from_holes(ground, n) {
            return Ok(());
        }
        let page = 1u64 << ground.page_shift();
        let rest = self.frontier.next_multiple_of(page) - self.frontier;
        let len = if rest >= n { rest } else { rest + page };
        let full_below = self.frontier.div_ceil(page) <= self.pages + self.slabs.pages + self.large;
        let grows = full_below && !self.is_loose(ground) && self.frontier + len <= ground.pages() * page;
        if grows && self.is_free(ground, self.frontier, len) {
            let start = self.frontier;
            if let Ok(zero) = self.occupy(ground, start, len) {
                return self.begin_run(ground, start, len, zero);
            }
        }
        // The lowest room there is, up to the end of its page; or just what is needed, if the next
        // page cannot be had any more.
        let start = self.find(ground, n, 1)?;
        let end = (start + n).next_multiple_of(page).min(ground.pages() * page);
        let len = n + self.free_len(ground, start + n, end);
        if let Ok(zero) = self.occupy(ground, start, len) {
            return self.begin_run(ground, start, len, zero);
        }
        let zero = self.occupy(ground, start, n)?;
        self.begin_run(ground, start, n, zero)
    }

    /// From this page on, blocks of granules lie too high: they came there when the room below was used
    /// up, and now cut the room for large blocks. Nothing is put beside them, so that they get fewer.
    pub(super) fn outlying(&self) -> u64 {
        (self.pages + self.slabs.pages) / 4 * 5 + 64
    }

    /// Whether so much of the heap is holes that they are searched before it grows: three eighths, or
    /// an eighth once half of the region is used up, where room for large blocks gets scarce.
    pub(super) fn is_loose(&self, ground: &impl Ground) -> bool {
        let page = 1u64 << ground.page_shift();
        let eighths = if self.frontier > ground.pages() * page / 2 { 7 } else { 5 };
        self.pages > 32 && self.held < self.pages * page / 8 * eighths
    }

    /// Takes room for blocks of `n` granules from the next of the pages that have any, unless it is in
    /// swap and the room is not worth a swap-in.
    pub(super) fn refill_from_holes(&mut self, ground: &impl Ground, n: u64) -> bool {
        let page = 1u64 << ground.page_shift();
        let pages = (ground.backed_groups() * GROUP_PAGES).min(self.frontier.div_ceil(page)).min(self.outlying());
        if pages == 0 || self.held >= self.pages * page / 16 * 15 {
            return false;
        }
        for _ in 0..PROBES.min(pages) {
            if self.cursor >= pages {
                self.cursor = 0;
            }
            let group = ground.group(self.cursor / GROUP_PAGES);
            let entry = group.pages.get((self.cursor % GROUP_PAGES) as usize);
            let fits = entry.is_some_and(|entry| space::page_runs(ground, self.cursor, entry).max >= n);
            if fits && self.refill_from_page(ground, self.cursor, n) {
                return true;
            }
            self.cursor += 1;
        }
        false
    }

    pub(super) fn refill_from_page(&mut self, ground: &impl Ground, page: u64, n: u64) -> bool {
        let shift = ground.page_shift();
        let granules = 1u64 << shift;
        let (first, end) = (page << shift, (page + 1) << shift);
        let entry = ground.group(page / GROUP_PAGES).pages.get((page % GROUP_PAGES) as usize);
        let in_swap = entry.is_some_and(|entry| matches!(entry.entry.load().state(), State::Swapped | State::Leaving));
        if !matches!(Heap::usage(ground, page), Usage::Blocks(_)) {
            return false;
        }
        let worth = if in_swap { granules / 4 } else { n };
        let mut at = first;
        let mut found = false;
        while let Some(Room { start, len }) = space::next_run(ground, at, end, n) {
            if len >= (granules / 4).max(n) {
                // A long run serves requests of every length: it becomes the run at hand.
                if self.run.len == 0 && self.occupy(ground, start, len).is_ok() {
                    found |= self.begin_run(ground, start, len, false).is_ok();
                }
            } else if worth == n {
                // Short runs are cut for this length at once.
                let cut = (len / n.max(1)).min(self.bins.room(n) as u64);
                for i in 0..cut {
                    granules::fill(ground, start + i * n, n, Granule::Parked);
                    found |= self.bins.keep(start + i * n, n);
                }
                self.held += cut * n;
                // Behind it, the rest of the page is as it came.
                self.frontier = self.frontier.max(start + cut * n);
                if cut > 0 {
                    self.set_usage(ground, page, Usage::Blocks(None));
                }
            }
            at = start + len;
        }
        found
    }

    pub(super) fn begin_run(&mut self, ground: &impl Ground, start: u64, len: u64, zero: bool) -> Result<(), NoRoom> {
        granules::fill(ground, start, len, Granule::Parked);
        self.held += len;
        self.run = Run { start, len, zero };
        Ok(())
    }

    pub(super) fn drop_run(&mut self, ground: &impl Ground) {
        let Run { start, len, .. } = core::mem::take(&mut self.run);
        if len > 0 {
            self.vacate(ground, start, len);
        }
    }
}
