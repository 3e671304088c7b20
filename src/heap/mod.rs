//! A heap: which granules of a region belong to which block.
//!
//! Lengths that are rare lie together as they are allocated: requests are carved from the *run at hand*, a
//! parked stretch of the page at hand, whatever their sizes, until it is used up. Then a hole in a
//! resident page, the next fresh page, or a hole anywhere becomes the run at hand. Short lengths that come
//! often get pages of their own, *slabs* (`slabs.rs`), so that few pages hold what is used alike. Just-freed blocks
//! wait in bins for a request of the same length. Blocks of 128 KiB and more are whole pages.
//!
//! Nothing here touches the program's memory: all that is known of blocks lies out of band, so
//! allocating, freeing and growing never cause a page fault. Pure: tests run it on a simulated
//! [`Ground`]. The caller holds the region's gate.
//!
//! The files stand in their order, each using only those above it.
#![forbid(unsafe_code)]

pub mod granules;

pub mod classes;

pub mod bins;
pub mod space;

mod lookup;

mod afar;
mod stretch;

mod large;
mod slabs;

mod refill;

#[cfg(test)]
mod model;
#[cfg(test)]
mod simulated;

use crate::page::table::{Group, Usage, GROUP_PAGES};
use bins::{Bins, Shelves};
use classes::{class_len, BINNED};
use core::sync::atomic::AtomicU64;
use granules::{Granule, Words};
pub use lookup::NotABlock;
use slabs::Slabs;

/// What a heap stands on: its page table, its granule words, and the pager's promises.
pub trait Ground: Words + Shelves {
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
    slabs: Slabs,
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
/// A heap that holds fewer granules (256 KiB) has no shelves.
const SHELVING: u64 = 16384;
/// Blocks from this many granules on (128 KiB, glibc's threshold for whole pages) are large.
const LARGE: u64 = 8192;

fn class(n: u64) -> usize {
    (63 - n.max(1).leading_zeros() as usize).min(CLASSES - 1)
}

impl Heap {
    /// A heap without blocks; all zero.
    pub const EMPTY: Heap = Heap {
        bins: Bins::EMPTY,
        slabs: Slabs::EMPTY,
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

    /// Hands out a short block of at least `n` granules if its bin has one: the quick way.
    #[inline(always)]
    pub fn take_binned(&mut self, ground: &impl Ground, n: u64) -> Option<Block> {
        let (start, len) = self.bins.take(n)?;
        granules::unpark(ground, start);
        self.live += 1;
        Some(Block { start, len, zero: false })
    }

    /// Hands out a block of `n` granules if one is at hand: no search, no promise.
    pub fn allocate_at_hand(&mut self, ground: &impl Ground, n: u64) -> Option<Block> {
        if n <= BINNED {
            let block = self.take_binned(ground, n);
            if block.is_some() {
                return block;
            }
            if self.is_frequent(ground, n) {
                return if self.cut_from_slab(ground, n) { self.take_binned(ground, n) } else { None };
            }
            let block = self.carve(ground, class_len(n))?;
            self.note_carved(block.len);
            return Some(block);
        }
        let n = class_len(n);
        let Some(start) = self.bins.take_long(n) else {
            return self.carve(ground, n);
        };
        granules::unpark(ground, start);
        self.live += 1;
        Some(Block { start, len: n, zero: false })
    }

    /// Hands out a block of `n` granules (at least one) at a multiple of `align` granules (a power
    /// of two). With `zero`, large blocks come zeroed.
    #[inline]
    pub fn allocate(&mut self, ground: &impl Ground, n: u64, align: u64, zero: bool) -> Result<Block, NoRoom> {
        if align <= 1 && self.bins.restock(ground, class_len(n)) {
            return self.allocate_at_hand(ground, n).ok_or(NoRoom::Region);
        }
        let found = self.allocate_anew(ground, n, align, zero);
        if found.is_err() && self.dissolve_slabs(ground) {
            self.allocate_anew(ground, n, align, zero)
        } else {
            found
        }
    }

    fn allocate_anew(&mut self, ground: &impl Ground, n: u64, align: u64, zero: bool) -> Result<Block, NoRoom> {
        if align > 1 || n > CARVED {
            let block = self.allocate_long(ground, n, align, zero)?;
            self.live += 1;
            return Ok(block);
        }
        if let Some(block) = self.allocate_at_hand(ground, n) {
            return Ok(block);
        }
        if n <= BINNED && self.is_frequent(ground, n) {
            self.restock_from_slabs(ground, n)?;
        } else {
            self.refill(ground, class_len(n))?;
        }
        self.allocate_at_hand(ground, n).ok_or(NoRoom::Region)
    }

    /// The run at hand loses its first `n` granules to a live block.
    fn carve(&mut self, ground: &impl Ground, n: u64) -> Option<Block> {
        let Run { start, len, zero } = self.run;
        if n > CARVED || len < n {
            return None;
        }
        if len > n {
            // First the new head of the rest, so that the block never seems longer than it is.
            granules::set(ground, start + n, Granule::Parked);
        }
        granules::set(ground, start, Granule::Live);
        self.run = Run { start: start + n, len: len - n, zero };
        self.live += 1;
        Some(Block { start, len: n, zero })
    }

    #[cold]
    fn allocate_long(&mut self, ground: &impl Ground, n: u64, align: u64, zero: bool) -> Result<Block, NoRoom> {
        if Heap::is_large(ground, n) {
            return self.allocate_large(ground, n, align, zero);
        }
        // Rounded to its class, unless that would make it look like a large one.
        let n = Some(class_len(n)).filter(|rounded| !Heap::is_large(ground, *rounded)).unwrap_or(n);
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

    fn set_usage(&mut self, ground: &impl Ground, page: u64, usage: Usage) {
        let group = ground.group(page / GROUP_PAGES);
        if let Some(entry) = group.pages.get((page % GROUP_PAGES) as usize) {
            entry.set_usage(usage);
        }
        group.forget_free_runs();
        if usage == Usage::Free {
            group.note_free();
            self.slabs.lowest_free = self.slabs.lowest_free.min(page);
        }
    }

    fn usage(ground: &impl Ground, page: u64) -> Usage {
        if page / GROUP_PAGES >= ground.backed_groups() {
            return Usage::Free;
        }
        let group = ground.group(page / GROUP_PAGES);
        group.pages.get((page % GROUP_PAGES) as usize).map_or(Usage::Free, |page| page.usage())
    }

    /// Frees the live block at `start` if its bin has room, or it lies in a slab: its length in granules. `None`, and nothing
    /// has changed, if not, or if there is no short block that is live.
    #[inline(always)]
    pub fn free_binned(&mut self, ground: &impl Ground, start: u64) -> Option<u64> {
        let (n, parked) = granules::live_at(ground, start, BINNED)?;
        if self.bins.keep(start, n) {
            granules::park(ground, start, parked);
        } else if n > BINNED || !self.vacate_in_slab(ground, start) {
            return None;
        }
        self.live -= 1;
        Some(n)
    }

    /// Frees the live block at `start`; returns its length in granules.
    #[inline]
    pub fn free(&mut self, ground: &impl Ground, start: u64) -> Result<u64, NotABlock> {
        let n = Heap::measure(ground, start)?;
        self.live -= 1;
        if n <= BINNED {
            if self.bins.keep(start, n) {
                granules::set(ground, start, Granule::Parked);
            } else {
                self.vacate(ground, start, n);
            }
        } else {
            self.free_long(ground, start, n);
        }
        Ok(n)
    }

    /// Makes room in the bin of `n` by its shelf: in a heap that is worth it, and for a part of it.
    fn shelve(&mut self, ground: &impl Ground, n: u64) -> bool {
        let lies_well = || self.bins.oldest(n) >> ground.page_shift() < self.outlying();
        self.held >= SHELVING && self.bins.stored() < self.held / 6 && lies_well() && self.bins.shelve(ground, n)
    }

    fn free_long(&mut self, ground: &impl Ground, start: u64, n: u64) {
        let shift = ground.page_shift();
        if granules::get(ground, start) == Granule::Live {
            granules::set(ground, start, Granule::Parked);
            let lies_well = start >> shift < self.outlying();
            let mut kept = || self.bins.keep_long(start, n) || self.shelve(ground, n) && self.bins.keep_long(start, n);
            if !(lies_well && kept()) {
                self.vacate(ground, start, n);
            }
        } else {
            self.free_pages(ground, start >> shift, n >> shift);
        }
    }

    /// Makes the live block at `start`, of `old` granules, `new` granules long where it lies.
    /// False when that cannot be done; then nothing has changed.
    pub fn resize(&mut self, ground: &impl Ground, start: u64, old: u64, new: u64) -> bool {
        if granules::get(ground, start) != Granule::Live {
            return self.resize_large(ground, start, old, new);
        }
        if new == old || class_len(new) == old {
            return true;
        }
        if let Usage::Slab { .. } = Heap::usage(ground, start >> ground.page_shift()) {
            // Neighbours are of one length. A block of which much is not needed any more moves if that costs no fault.
            return new < old && (new * 2 >= old || !Heap::is_resident(ground, start));
        }
        if new < old {
            granules::fill(ground, start + new, old - new, Granule::Parked);
            self.vacate(ground, start + new, old - new);
            return true;
        }
        let next_is_free = granules::get(ground, start + old) == Granule::Free || self.run.start == start + old;
        if !next_is_free || Heap::is_large(ground, new) {
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

    /// Empties bins and the run at hand, so that every free page is given back.
    pub fn flush(&mut self, ground: &impl Ground) {
        self.drop_run(ground);
        while let Some(start) = self.bins.take_any(ground) {
            let len = granules::inner_after(ground, start) + 1;
            self.vacate(ground, start, len);
        }
    }
}
