//! A heap: which granules of a region belong to which block.
//!
//! Blocks that are allocated together lie together: requests are carved from the *run at hand*, a
//! parked stretch of the page at hand, whatever their sizes, until it is used up. Then a hole in a
//! resident page, the next fresh page, or a hole anywhere becomes the run at hand. Just-freed blocks
//! wait in bins for a request of the same length. Blocks of 128 KiB and more are whole pages.
//!
//! Nothing here touches the program's memory: all that is known of blocks lies out of band, so
//! allocating, freeing and growing never cause a page fault. Pure: tests run it on a simulated
//! [`Ground`]. The caller holds the region's gate.

pub mod bins;
pub mod granules;
pub mod space;

#[cfg(test)]
mod model;

use crate::page_table::{Group, Usage, GROUP_PAGES};
use crate::pte::State;
use bins::{Bins, BINNED};
use core::sync::atomic::{AtomicU64, Ordering};
use granules::{Granule, Words};
use space::Room;

/// What a heap stands on: its page table, its granule words, and the pager's promises.
pub trait Ground: Words {
    /// log2 of the granules in a page.
    fn page_shift(&self) -> u32;
    /// Pages in the region.
    fn pages(&self) -> u64;
    /// Groups of the page table that have frames; all others are free and void.
    fn backed_groups(&self) -> u64;
    /// A backed group.
    fn group(&self, number: u64) -> &Group;
    /// The words (64 granules each, a bit a granule) in which other threads free.
    fn freed_word(&self, number: u64) -> &AtomicU64;
    /// Gives frames to the page table up to `page + n`, and to the granule words of these pages if
    /// `with_granules`. False when there is no frame to spare.
    fn back(&self, page: u64, n: u64, with_granules: bool) -> bool;
    /// Promises backing for `n` pages that hold no block; with `zero`, makes them zero too.
    /// `Some(true)` when they are known to be zero, `None` when nothing is left to promise.
    fn promise(&self, page: u64, n: u64, zero: bool) -> Option<bool>;
    /// Takes the promise back: the pages hold no block any more.
    fn release(&self, page: u64, n: u64);
}

/// Why a request cannot be met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoRoom {
    /// The region has no free run of that length.
    Region,
    /// No frame and no slot is left to promise.
    Backing,
}

/// A block that was handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// First granule.
    pub start: u64,
    /// Its length in granules: at least what was asked for.
    pub len: u64,
    /// Its bytes are known to be zero.
    pub zero: bool,
}

/// The heap of one region. All zero is an empty heap.
#[repr(C)]
pub struct Heap {
    bins: Bins,
    run: Run,
    /// From this granule on nothing was ever handed out.
    frontier: u64,
    /// For each power of two, the lowest group that may have a free run of that length.
    hints: [u32; CLASSES],
    /// 1 + the lowest group in which something was freed since the hints were used; 0 for none.
    lowest_freed: u32,
    /// The page with which the search for holes goes on.
    cursor: u64,
    /// Granules of blocks, live or parked, other than large ones; and the pages that they touch.
    held: u64,
    pages: u64,
    /// Pages of large blocks.
    large: u64,
    /// Blocks that the program owns, including those that other threads freed and nobody collected.
    live: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Run {
    start: u64,
    len: u64,
    zero: bool,
}

const CLASSES: usize = 24;
/// Pages that a search for holes looks at before the heap grows.
const PROBES: u64 = 24;
/// Blocks of up to so many granules (4 KiB) are carved from the run at hand.
const CARVED: u64 = 256;
/// Blocks from this many granules on (128 KiB, glibc's threshold for whole pages) are large.
const LARGE: u64 = 8192;

fn class(n: u64) -> usize {
    (63 - n.max(1).leading_zeros() as usize).min(CLASSES - 1)
}

impl Heap {
    /// A heap without blocks; all zero.
    pub const EMPTY: Heap = Heap {
        bins: Bins::EMPTY,
        run: Run { start: 0, len: 0, zero: false },
        frontier: 0,
        hints: [0; CLASSES],
        lowest_freed: 0,
        cursor: 0,
        held: 0,
        pages: 0,
        large: 0,
        live: 0,
    };

    /// The number of blocks that are not freed, or freed by another thread and not collected yet.
    pub fn live(&self) -> u64 {
        self.live
    }

    /// Whether a block of `n` granules is made of whole pages.
    pub fn is_large(ground: &impl Ground, n: u64) -> bool {
        n >= LARGE.max(8 << ground.page_shift())
    }

    /// Hands out a block of `n` granules if one is at hand: no search, no promise.
    #[inline]
    pub fn allocate_at_hand(&mut self, ground: &impl Ground, n: u64) -> Option<Block> {
        let n = bins::class_len(n);
        let kept = if n <= BINNED { self.bins.take(n) } else { self.bins.take_long(n) };
        let block = if let Some(start) = kept {
            granules::unpark(ground, start);
            Block { start, len: n, zero: false }
        } else {
            if n > CARVED || self.run.len < n {
                return None;
            }
            self.carve(ground, n)
        };
        self.live += 1;
        Some(block)
    }

    /// Hands out a block of `n` granules (at least one) at a multiple of `align` granules (a power
    /// of two). With `zero`, large blocks come zeroed.
    #[inline]
    pub fn allocate(&mut self, ground: &impl Ground, n: u64, align: u64, zero: bool) -> Result<Block, NoRoom> {
        if align > 1 || n > CARVED {
            let block = self.allocate_long(ground, n, align, zero)?;
            self.live += 1;
            return Ok(block);
        }
        if let Some(block) = self.allocate_at_hand(ground, n) {
            return Ok(block);
        }
        self.refill(ground, bins::class_len(n))?;
        self.allocate_at_hand(ground, n).ok_or(NoRoom::Region)
    }

    /// The run at hand loses its first `n` granules to a live block.
    #[inline]
    fn carve(&mut self, ground: &impl Ground, n: u64) -> Block {
        let Run { start, len, zero } = self.run;
        if len > n {
            // First the new head of the rest, so that the block never seems longer than it is.
            granules::set(ground, start + n, Granule::Parked);
        }
        granules::set(ground, start, Granule::Live);
        self.run = Run { start: start + n, len: len - n, zero };
        Block { start, len: n, zero }
    }

    /// Sees to it that a block of `n` granules is at hand.
    #[cold]
    fn refill(&mut self, ground: &impl Ground, n: u64) -> Result<(), NoRoom> {
        self.drop_run(ground);
        if self.refill_from_holes(ground, n) {
            return Ok(());
        }
        let page = 1u64 << ground.page_shift();
        let rest = self.frontier.next_multiple_of(page) - self.frontier;
        let len = if rest >= n { rest } else { rest + page };
        let full_below = self.frontier.div_ceil(page) <= self.pages + self.large;
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

    /// Whether so much of the heap is holes that they are searched before it grows: three eighths, or
    /// an eighth once half of the region is used up, where room for large blocks gets scarce.
    fn is_loose(&self, ground: &impl Ground) -> bool {
        let page = 1u64 << ground.page_shift();
        let eighths = if self.frontier > ground.pages() * page / 2 { 7 } else { 5 };
        self.pages > 32 && self.held < self.pages * page / 8 * eighths
    }

    /// Takes room for blocks of `n` granules from the next of the pages that have any, unless it is in
    /// swap and the room is not worth a swap-in.
    fn refill_from_holes(&mut self, ground: &impl Ground, n: u64) -> bool {
        let page = 1u64 << ground.page_shift();
        let pages = (ground.backed_groups() * GROUP_PAGES).min(self.frontier.div_ceil(page));
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

    fn refill_from_page(&mut self, ground: &impl Ground, page: u64, n: u64) -> bool {
        let shift = ground.page_shift();
        let granules = 1u64 << shift;
        let (first, end) = (page << shift, (page + 1) << shift);
        let entry = ground.group(page / GROUP_PAGES).pages.get((page % GROUP_PAGES) as usize);
        let in_swap = entry.is_some_and(|entry| matches!(entry.pte().state(), State::Swapped | State::Leaving));
        match Heap::usage(ground, page) {
            Usage::Free if page < ground.pages() => {
                let Ok(zero) = self.occupy(ground, first, granules) else {
                    return false;
                };
                return self.begin_run(ground, first, granules, zero).is_ok();
            }
            Usage::Blocks(_) => {}
            _ => return false,
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
                if cut > 0 {
                    self.set_usage(ground, page, Usage::Blocks(None));
                }
            }
            at = start + len;
        }
        found
    }

    fn begin_run(&mut self, ground: &impl Ground, start: u64, len: u64, zero: bool) -> Result<(), NoRoom> {
        granules::fill(ground, start, len, Granule::Parked);
        self.held += len;
        self.run = Run { start, len, zero };
        Ok(())
    }

    fn drop_run(&mut self, ground: &impl Ground) {
        let Run { start, len, .. } = core::mem::take(&mut self.run);
        if len > 0 {
            self.vacate(ground, start, len);
        }
    }

    /// Hands out `n` granules as whole pages, however few: what is pinned shares its pages with nobody.
    pub fn allocate_pages(&mut self, ground: &impl Ground, n: u64) -> Result<Block, NoRoom> {
        let block = self.allocate_large(ground, n, 1, false)?;
        self.live += 1;
        Ok(block)
    }

    #[cold]
    fn allocate_long(&mut self, ground: &impl Ground, n: u64, align: u64, zero: bool) -> Result<Block, NoRoom> {
        if Heap::is_large(ground, n) {
            return self.allocate_large(ground, n, align, zero);
        }
        // Rounded to its class, unless that would make it look like a large one.
        let n = Some(bins::class_len(n)).filter(|rounded| !Heap::is_large(ground, *rounded)).unwrap_or(n);
        let start = self.find(ground, n, align)?;
        let more = if align <= 1 { self.more_of(ground, start, n) } else { 0 };
        let zero = self.occupy(ground, start, n + more * n)?;
        self.held += n + more * n;
        granules::fill(ground, start, n, Granule::Live);
        for i in 1..=more {
            granules::fill(ground, start + i * n, n, Granule::Parked);
            if !self.bins.keep_long(start + i * n, n) {
                self.vacate(ground, start + i * n, n);
            }
        }
        Ok(Block { start, len: n, zero })
    }

    /// How many more blocks of `n` granules are cut at once from the room behind the one at `start`:
    /// those who ask for a few hundred bytes ask again.
    fn more_of(&self, ground: &impl Ground, start: u64, n: u64) -> u64 {
        let page = 1u64 << ground.page_shift();
        let wanted = (2 * page / n.max(1)).min(4);
        let free = |blocks: u64| self.is_free(ground, start + n, blocks * n);
        (1..wanted).rev().find(|more| free(*more)).unwrap_or(0)
    }

    fn allocate_large(&mut self, ground: &impl Ground, n: u64, align: u64, zero: bool) -> Result<Block, NoRoom> {
        let shift = ground.page_shift();
        let pages = n.div_ceil(1 << shift);
        let start = self.find(ground, pages << shift, align.max(1 << shift))?;
        let page = start >> shift;
        if !ground.back(page, pages, false) {
            return Err(NoRoom::Backing);
        }
        let zero = ground.promise(page, pages, zero).ok_or(NoRoom::Backing)? || zero;
        self.lay_large(ground, page, 0, pages);
        self.frontier = self.frontier.max((page + pages) << shift);
        Ok(Block { start, len: pages << shift, zero })
    }

    /// Enters the pages `from .. to` of a large block that begins at `page`.
    fn lay_large(&mut self, ground: &impl Ground, page: u64, from: u64, to: u64) {
        self.large += to - from;
        for back in from.max(1)..to {
            self.set_usage(ground, page + back, Usage::Tail { back });
        }
        self.set_usage(ground, page, Usage::Large { pages: to });
    }

    fn set_usage(&mut self, ground: &impl Ground, page: u64, usage: Usage) {
        let group = ground.group(page / GROUP_PAGES);
        if let Some(page) = group.pages.get((page % GROUP_PAGES) as usize) {
            page.set_usage(usage);
        }
        group.forget_free_runs();
    }

    fn usage(ground: &impl Ground, page: u64) -> Usage {
        if page / GROUP_PAGES >= ground.backed_groups() {
            return Usage::Free;
        }
        let group = ground.group(page / GROUP_PAGES);
        group.pages.get((page % GROUP_PAGES) as usize).map_or(Usage::Free, |page| page.usage())
    }

    /// The lowest group in which a run of `n` may begin.
    fn hint(&mut self, n: u64) -> u64 {
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

    fn find(&mut self, ground: &impl Ground, n: u64, align: u64) -> Result<u64, NoRoom> {
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
    fn free_len(&self, ground: &impl Ground, start: u64, end: u64) -> u64 {
        let shift = ground.page_shift();
        let mut at = start;
        while at < end {
            let stop = (((at >> shift) + 1) << shift).min(end);
            let free = match Heap::usage(ground, at >> shift) {
                Usage::Free => stop - at,
                Usage::Blocks(_) => granules::free_from(ground, at, stop),
                Usage::Large { .. } | Usage::Tail { .. } => 0,
            };
            at += free;
            if at < stop {
                break;
            }
        }
        at.max(start) - start
    }

    /// Whether `start .. start + n` is free and inside the region.
    fn is_free(&self, ground: &impl Ground, start: u64, n: u64) -> bool {
        let end = start + n;
        end <= ground.pages() << ground.page_shift() && self.free_len(ground, start, end) == n
    }

    /// Makes sure that the free stretch `start .. start + n` has granule words and promised pages.
    /// True when its bytes are known to be zero.
    fn occupy(&mut self, ground: &impl Ground, start: u64, n: u64) -> Result<bool, NoRoom> {
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
    fn abandon(&mut self, ground: &impl Ground, first: u64, end: u64) {
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

    /// Frees the granules of a parked or live stretch, and the pages that they leave empty.
    fn vacate(&mut self, ground: &impl Ground, start: u64, n: u64) {
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

    fn note_freed(&mut self, page: u64) {
        let group = (page / GROUP_PAGES) as u32 + 1;
        if self.lowest_freed == 0 || group < self.lowest_freed {
            self.lowest_freed = group;
        }
    }

    /// The length in granules of the live block that begins at `start`, or what is there instead.
    #[inline]
    pub fn measure(ground: &impl Ground, start: u64) -> Result<u64, NotABlock> {
        match granules::get(ground, start) {
            Granule::Live => Ok(granules::inner_after(ground, start) + 1),
            Granule::Parked => Err(NotABlock::Freed),
            Granule::Inner => Err(NotABlock::Middle),
            Granule::Free => {
                let shift = ground.page_shift();
                match Heap::usage(ground, start >> shift) {
                    Usage::Large { pages } if start & ((1 << shift) - 1) == 0 => Ok(pages << shift),
                    Usage::Large { .. } | Usage::Tail { .. } => Err(NotABlock::Middle),
                    _ => Err(NotABlock::Freed),
                }
            }
        }
    }

    /// The live block that contains granule `at`: its first granule and its length.
    pub fn block_around(ground: &impl Ground, at: u64) -> Option<(u64, u64)> {
        let shift = ground.page_shift();
        let page = at >> shift;
        let start = match Heap::usage(ground, page) {
            Usage::Free => return None,
            Usage::Large { .. } => page << shift,
            Usage::Tail { back } => page.checked_sub(back)? << shift,
            // A block of granules is shorter than a large one, so its head is not far.
            Usage::Blocks(_) => granules::head_at_or_before(ground, at, at.saturating_sub(LARGE.max(8 << shift)))?,
        };
        let n = Heap::measure(ground, start).ok()?;
        (at < start + n).then_some((start, n))
    }

    /// Frees the live block at `start`; returns its length in granules.
    #[inline]
    pub fn free(&mut self, ground: &impl Ground, start: u64) -> Result<u64, NotABlock> {
        if let Some(n) = granules::park_in_word(ground, start) {
            self.live -= 1;
            if !self.bins.keep(start, n) {
                self.make_room_and_keep(ground, start, n);
            }
            return Ok(n);
        }
        self.free_any(ground, start)
    }

    #[inline(never)]
    fn free_any(&mut self, ground: &impl Ground, start: u64) -> Result<u64, NotABlock> {
        let n = Heap::measure(ground, start)?;
        self.live -= 1;
        if n <= BINNED {
            granules::set(ground, start, Granule::Parked);
            if !self.bins.keep(start, n) {
                self.make_room_and_keep(ground, start, n);
            }
        } else {
            self.free_long(ground, start, n);
        }
        Ok(n)
    }

    #[cold]
    fn make_room_and_keep(&mut self, ground: &impl Ground, start: u64, n: u64) {
        let (oldest, count) = self.bins.take_oldest_half(n);
        for old in oldest.iter().take(count) {
            self.vacate(ground, u64::from(*old), n);
        }
        if !self.bins.keep(start, n) {
            self.vacate(ground, start, n);
        }
    }

    fn free_long(&mut self, ground: &impl Ground, start: u64, n: u64) {
        let shift = ground.page_shift();
        if granules::get(ground, start) == Granule::Live {
            granules::set(ground, start, Granule::Parked);
            if !self.bins.keep_long(start, n) {
                self.vacate(ground, start, n);
            }
        } else {
            self.free_pages(ground, start >> shift, n >> shift);
        }
    }

    fn free_pages(&mut self, ground: &impl Ground, page: u64, n: u64) {
        self.large -= n;
        for page in page..page + n {
            self.set_usage(ground, page, Usage::Free);
        }
        ground.release(page, n);
        self.note_freed(page);
    }

    /// Makes the live block at `start`, of `old` granules, `new` granules long where it lies.
    /// False when that cannot be done; then nothing has changed.
    pub fn resize(&mut self, ground: &impl Ground, start: u64, old: u64, new: u64) -> bool {
        if granules::get(ground, start) != Granule::Live {
            return self.resize_large(ground, start, old, new);
        }
        if new < old {
            granules::fill(ground, start + new, old - new, Granule::Parked);
            self.vacate(ground, start + new, old - new);
            return true;
        }
        if new == old {
            return true;
        }
        if Heap::is_large(ground, new) {
            return false;
        }
        if self.run.start == start + old {
            self.drop_run(ground);
        }
        let grown = new - old;
        if !self.is_free(ground, start + old, grown) || self.occupy(ground, start + old, grown).is_err() {
            return false;
        }
        // As a parked block first, then joined by one store.
        self.held += grown;
        granules::fill(ground, start + old, grown, Granule::Parked);
        granules::set(ground, start + old, Granule::Inner);
        true
    }

    fn resize_large(&mut self, ground: &impl Ground, start: u64, old: u64, new: u64) -> bool {
        let shift = ground.page_shift();
        let (page, old) = (start >> shift, old >> shift);
        let new_pages = new.div_ceil(1 << shift);
        if !Heap::is_large(ground, new) {
            return false;
        }
        if new_pages <= old {
            self.set_usage(ground, page, Usage::Large { pages: new_pages });
            if new_pages < old {
                self.free_pages(ground, page + new_pages, old - new_pages);
            }
            return true;
        }
        let grown = new_pages - old;
        if !self.is_free(ground, (page + old) << shift, grown << shift)
            || !ground.back(page + old, grown, false)
            || ground.promise(page + old, grown, false).is_none()
        {
            return false;
        }
        self.lay_large(ground, page, old, new_pages);
        self.frontier = self.frontier.max((page + new_pages) << shift);
        true
    }

    /// Empties bins and the run at hand, so that every free page is given back.
    pub fn flush(&mut self, ground: &impl Ground) {
        self.drop_run(ground);
        while let Some(start) = self.bins.take_any() {
            let len = granules::inner_after(ground, start) + 1;
            self.vacate(ground, start, len);
        }
    }

    /// Another thread frees the block at `start`: notes it for [`Heap::collect`]. The group's FREED
    /// words must be backed. Returns its length.
    pub fn free_from_afar(ground: &impl Ground, start: u64) -> Result<u64, NotABlock> {
        let n = Heap::measure(ground, start)?;
        let page = start >> ground.page_shift();
        let bit = 1u64 << (start % 64);
        // AcqRel: pairs with the swap in `collect`; the program's last stores into the block happen
        // before its reuse.
        if ground.freed_word(start / 64).fetch_or(bit, Ordering::AcqRel) & bit != 0 {
            return Err(NotABlock::Freed);
        }
        let pages = &ground.group(page / GROUP_PAGES).freed;
        // AcqRel: pairs with the swap in `collect`, so that the word above is seen with it.
        pages.fetch_or(1u64 << (page % GROUP_PAGES), Ordering::AcqRel);
        Ok(n)
    }

    /// Takes in the blocks of `group` that other threads freed; returns how many.
    pub fn collect(&mut self, ground: &impl Ground, group: u64) -> u64 {
        // AcqRel: pairs with `free_from_afar`.
        let mut pages = ground.group(group).freed.swap(0, Ordering::AcqRel);
        let shift = ground.page_shift();
        let mut collected = 0;
        while pages != 0 {
            let page = group * GROUP_PAGES + u64::from(pages.trailing_zeros());
            pages &= pages - 1;
            let words = (1u64 << shift) / 64;
            for number in page * words..(page + 1) * words {
                let mut bits = ground.freed_word(number).swap(0, Ordering::AcqRel);
                while bits != 0 {
                    let start = number * 64 + u64::from(bits.trailing_zeros());
                    bits &= bits - 1;
                    if self.free(ground, start).is_ok() {
                        collected += 1;
                    }
                }
            }
        }
        collected
    }
}

/// Why an address cannot be freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotABlock {
    /// A block lay here, or may have: it is free.
    Freed,
    /// It is the middle of a block.
    Middle,
}
