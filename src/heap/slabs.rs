//! Slabs: pages of blocks of one class, for lengths that a program asks for often.
//!
//! The first page's worth of each class is carved from the run at hand, like rare lengths. From then on the class has
//! pages of its own, its slabs, that are filled in the order of addresses, one after the other: blocks that are used
//! alike lie together, and few pages hold them. Blocks are cut from the *slab at hand*, a binful at a time; behind it comes the lowest slab of
//! the class of which enough is free, else a fresh page. A slab that is in swap must offer more, to be worth a swap-in.
//!
//! A slab's blocks lie at multiples of their length from the page's begin. The page table tells the class, and how many blocks
//! are live or parked; the granules tell which. A slab without blocks is given back at once. When memory or the region is used up
//! slabs are dissolved: they become pages like others, and what is free in them serves every length.

use super::classes::{short_class, short_len, SHORT};
use super::granules;
use super::{bins, space, Ground, Heap, NoRoom};
use crate::page::table::{Usage, GROUP_PAGES};
use crate::page::State;

/// What a heap knows of its slabs, class by class. All zero: there are none.
#[repr(C)]
pub(super) struct Slabs {
    /// 1 + the granule where the search for free blocks goes on in the slab at hand; 0: there is none.
    at: [u32; SHORT],
    /// No slab before this page is to be looked at.
    lowest: [u32; SHORT],
    /// Granules that were carved from the run at hand.
    carved: [u16; SHORT],
    /// How often slabs were dissolved.
    dissolved: u32,
    /// Pages that are slabs.
    pub pages: u64,
    /// No page below the frontier and before this one is free.
    pub lowest_free: u64,
}

impl Slabs {
    pub const EMPTY: Slabs =
        Slabs { at: [0; SHORT], lowest: [0; SHORT], carved: [0; SHORT], dissolved: 0, pages: 0, lowest_free: 0 };
}

/// Classes whose slabs would be dissolved again and again need more requests for one, up to so many times (log2).
const PATIENCE: u32 = 7;

impl Heap {
    /// Whether blocks of `n` granules are asked for so often that their class has slabs.
    pub(super) fn is_frequent(&self, ground: &impl Ground, n: u64) -> bool {
        let enough = 1u64 << (ground.page_shift() + self.slabs.dissolved);
        self.slabs.carved.get(short_class(n)).is_some_and(|carved| u64::from(*carved) >= enough)
    }

    /// A block of `n` granules was carved from the run at hand.
    #[inline]
    pub(super) fn note_carved(&mut self, n: u64) {
        if let Some(carved) = self.slabs.carved.get_mut(short_class(n)) {
            *carved = carved.saturating_add(n as u16);
        }
    }

    /// Fills the empty bin of `n` from the slab at hand; false if there is none, or nothing is free in the rest of it.
    pub(super) fn cut_from_slab(&mut self, ground: &impl Ground, n: u64) -> bool {
        let class = short_class(n);
        let (n, shift) = (short_len(class), ground.page_shift());
        let Some(first) = self.slabs.at.get(class).and_then(|at| u64::from(*at).checked_sub(1)) else {
            return false;
        };
        let (page, end) = (first >> shift, ((first >> shift) + 1) << shift);
        let (mut starts, mut cut, mut at) = ([0u32; bins::SLOTS], 0, first);
        while cut < starts.len() {
            let Some(room) = space::next_run(ground, at, end, n) else {
                at = end;
                break;
            };
            let count = (room.len / n).min((starts.len() - cut) as u64);
            granules::lay(ground, room.start, n, count);
            at = room.start + count * n;
            for (slot, start) in starts.iter_mut().skip(cut).zip((room.start..at).step_by(n as usize)) {
                *slot = start as u32;
            }
            cut += count as usize;
        }
        self.bins.stock(class, starts.get(..cut).unwrap_or_default());
        self.set_slab_at(class, if at < end { at + 1 } else { 0 });
        if let Some(entry) = ground.group(page / GROUP_PAGES).pages.get((page % GROUP_PAGES) as usize) {
            if let Usage::Slab { class, used } = entry.usage() {
                entry.set_usage(Usage::Slab { class, used: used + cut as u64 });
            }
        }
        cut > 0
    }

    /// Sees to it that the bin of `n` has blocks: of a slab that has room, or of a fresh one.
    #[cold]
    pub(super) fn restock_from_slabs(&mut self, ground: &impl Ground, n: u64) -> Result<(), NoRoom> {
        while self.find_slab(ground, short_class(n)) {
            if self.cut_from_slab(ground, n) {
                return Ok(());
            }
        }
        self.begin_slab(ground, short_class(n))?;
        if self.cut_from_slab(ground, n) {
            Ok(())
        } else {
            Err(NoRoom::Region)
        }
    }

    fn set_slab_at(&mut self, class: usize, at: u64) {
        if let Some(slab) = self.slabs.at.get_mut(class) {
            *slab = at as u32;
        }
    }

    /// Takes the lowest slab of `class` that has enough room as the one at hand.
    fn find_slab(&mut self, ground: &impl Ground, class: usize) -> bool {
        let Some(lowest) = self.slabs.lowest.get_mut(class) else {
            return false;
        };
        let mut from = u64::from(*lowest);
        let found = loop {
            let Some(page) = space::next_roomy(ground, from) else {
                break None;
            };
            from = page + 1;
            let group = ground.group(page / GROUP_PAGES);
            let Some(entry) = group.pages.get((page % GROUP_PAGES) as usize) else {
                break None;
            };
            let Usage::Slab { class: other, used } = entry.usage() else {
                continue;
            };
            let in_swap = matches!(entry.entry.load().state(), State::Swapped | State::Leaving);
            let worth_it = !in_swap || used * short_len(class) * 4 <= 3 << ground.page_shift();
            if usize::from(other) == class {
                group.set_roomy(page % GROUP_PAGES, false);
                if worth_it {
                    break Some(page);
                }
            }
        };
        *lowest = from as u32;
        if let Some(page) = found {
            self.set_slab_at(class, (page << ground.page_shift()) + 1);
        }
        found.is_some()
    }

    /// Makes a fresh page the slab at hand of `class`.
    fn begin_slab(&mut self, ground: &impl Ground, class: usize) -> Result<(), NoRoom> {
        let shift = ground.page_shift();
        let page = self.fresh_page(ground).ok_or(NoRoom::Region)?;
        let end = (page + 1) << shift;
        if end >= u64::from(u32::MAX) {
            return Err(NoRoom::Region);
        }
        if !ground.back(page, 1, true) || ground.promise(page, 1, false).is_none() {
            return Err(NoRoom::Backing);
        }
        self.set_usage(ground, page, Usage::Slab { class: class as u8, used: 0 });
        self.slabs.pages += 1;
        self.frontier = self.frontier.max(end);
        self.set_slab_at(class, (page << shift) + 1);
        Ok(())
    }

    /// The page where the heap goes on growing, or the lowest that is free.
    fn fresh_page(&mut self, ground: &impl Ground) -> Option<u64> {
        let next = self.frontier.div_ceil(1 << ground.page_shift());
        let full_below = next <= self.pages + self.slabs.pages + self.large;
        let page = if full_below { next } else { space::next_free_page(ground, self.slabs.lowest_free) };
        self.slabs.lowest_free = page;
        Some(page).filter(|page| *page < ground.pages() && Heap::usage(ground, *page) == Usage::Free)
    }

    #[cold]
    fn give_slab_back(&mut self, ground: &impl Ground, page: u64, class: usize) {
        let at_hand = self.slabs.at.get(class).and_then(|at| u64::from(*at).checked_sub(1));
        if at_hand.is_some_and(|at| at >> ground.page_shift() == page) {
            self.set_slab_at(class, 0);
        }
        self.slabs.pages -= 1;
        ground.group(page / GROUP_PAGES).set_roomy(page % GROUP_PAGES, false);
        self.set_usage(ground, page, Usage::Free);
        ground.release(page, 1);
        self.note_freed(page);
    }

    /// Whether the page of granule `at` is in a frame, so that touching it costs nothing.
    pub(super) fn is_resident(ground: &impl Ground, at: u64) -> bool {
        let page = at >> ground.page_shift();
        let entry = ground.group(page / GROUP_PAGES).pages.get((page % GROUP_PAGES) as usize);
        entry.is_some_and(|entry| entry.entry.load().state() == State::Resident)
    }

    /// Frees the granules of a parked or live stretch, in a slab or not, and the pages that it leaves empty.
    pub(super) fn vacate(&mut self, ground: &impl Ground, start: u64, n: u64) {
        if !self.vacate_in_slab(ground, start) {
            self.vacate_stretch(ground, start, n);
        }
    }

    /// Frees the granules of the parked or live block at `start`, and its page if that leaves it empty. False, and nothing
    /// has changed, if it is in no slab.
    #[inline(never)]
    pub(super) fn vacate_in_slab(&mut self, ground: &impl Ground, start: u64) -> bool {
        let page = start >> ground.page_shift();
        let group = ground.group(page / GROUP_PAGES);
        let Some(entry) = group.pages.get((page % GROUP_PAGES) as usize) else {
            return false;
        };
        let Usage::Slab { class, used } = entry.usage() else {
            return false;
        };
        let len = short_len(usize::from(class));
        granules::clear(ground, start, len);
        let used = used.saturating_sub(1);
        if used == 0 {
            self.give_slab_back(ground, page, usize::from(class));
            return true;
        }
        entry.set_usage(Usage::Slab { class, used });
        // An eighth of it: blocks that are asked for together shall lie together.
        if used * len * 8 <= 7 << ground.page_shift() && !group.is_roomy(page % GROUP_PAGES) {
            group.set_roomy(page % GROUP_PAGES, true);
            if let Some(lowest) = self.slabs.lowest.get_mut(usize::from(class)) {
                *lowest = (*lowest).min(page as u32);
            }
        }
        true
    }

    /// Makes slabs pages like others, so that what is free in them serves every length, and every class takes what it needs
    /// from the run at hand again. False if that is so already.
    #[cold]
    pub(super) fn dissolve_slabs(&mut self, ground: &impl Ground) -> bool {
        if self.slabs.pages == 0 && self.slabs.carved == Slabs::EMPTY.carved {
            return false;
        }
        let dissolved = (self.slabs.dissolved + 1).min(PATIENCE);
        for group in (0..ground.backed_groups()).map(|number| ground.group(number)) {
            group.forget_roomy();
            for page in &group.pages {
                if let Usage::Slab { class, used } = page.usage() {
                    page.set_usage(Usage::Blocks(None));
                    self.held += used * short_len(usize::from(class));
                }
            }
            group.forget_free_runs();
        }
        self.pages += self.slabs.pages;
        self.slabs = Slabs { dissolved, ..Slabs::EMPTY };
        self.note_freed(0);
        true
    }
}
