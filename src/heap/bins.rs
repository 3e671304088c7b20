//! Just-freed blocks, kept by length for quick reuse: out of band, last in, first out.
//!
//! A block in a bin is parked: its first granule says so, its page stays promised. There is a bin for each class
//! of lengths (`classes.rs`).
//!
//! A bin holds a few blocks, in the region's record. While frames are plentiful the older half of a
//! full bin of longer blocks goes to the bin's *shelf*, in bookkeeping frames of its own, and comes back when the bin is
//! empty: a heap whose blocks die in any order then hardly ever searches. A shelf holds the numbers of
//! blocks only; the blocks on it are parked like those in the bin.

use super::classes::{class_of, short_class, short_class_of, short_len, BINNED, CLASSES as BINS, LONG, PER_DOUBLING, SHORT};
use core::sync::atomic::{AtomicU32, Ordering};

/// Blocks in a bin of short ones at the most.
pub const SLOTS: usize = 12;
const LONG_SLOTS: usize = 3;
/// So many granules (1 MiB) wait in long bins at the most, not counting their shelves.
const MOST_LONG: u64 = 65536;

/// The room for shelves: frames that a heap has or has not. An entry is a granule's number.
pub trait Shelves {
    /// An entry; it keeps its value only if [`Shelves::back_shelf`] said so.
    fn shelf_entry(&self, number: usize) -> &AtomicU32;
    /// Gives the entry a frame; false when frames are not plentiful.
    fn back_shelf(&self, number: usize) -> bool;
}

/// Entries of the shelf of a bin: more for shorter blocks, of which there are more.
const fn shelf_len(bin: usize) -> usize {
    match bin.checked_sub(SHORT) {
        None => 0,
        Some(long) => [64, 32, 32, 16, 16, 8, 8][long / PER_DOUBLING],
    }
}

/// Where each shelf begins; the last number is where all end.
const SHELVES: [u16; BINS + 1] = {
    let mut starts = [0; BINS + 1];
    let mut bin = 0;
    while bin < BINS {
        starts[bin + 1] = starts[bin] + shelf_len(bin) as u16;
        bin += 1;
    }
    starts
};

/// Entries of all shelves of a heap.
pub const SHELF_ENTRIES: usize = SHELVES[BINS] as usize;

/// The bins of one heap; all zero is empty. Granule numbers are kept in 32 bits; blocks beyond 64 GiB
/// are not kept.
#[repr(C)]
pub struct Bins {
    slots: [u32; SHORT * SLOTS + LONG * LONG_SLOTS],
    /// How many blocks lie on each shelf.
    shelved: [u16; BINS],
    filled: [u8; BINS],
    /// Granules in long bins.
    waiting: u32,
    /// Granules on shelves.
    stored: u32,
}

/// The first slot of a bin, and how many it has.
#[inline]
const fn slots_of(bin: usize) -> (usize, usize) {
    if bin < SHORT {
        (bin * SLOTS, SLOTS)
    } else {
        (SHORT * SLOTS + (bin - SHORT) * LONG_SLOTS, LONG_SLOTS)
    }
}

impl Bins {
    /// Bins without blocks.
    pub const EMPTY: Bins =
        Bins { slots: [0; SHORT * SLOTS + LONG * LONG_SLOTS], shelved: [0; BINS], filled: [0; BINS], waiting: 0, stored: 0 };

    fn pop(&mut self, bin: usize) -> Option<u64> {
        let filled = self.filled.get_mut(bin)?;
        let top = filled.checked_sub(1)?;
        let slot = self.slots.get(slots_of(bin).0 + top as usize)?;
        *filled = top;
        Some(u64::from(*slot))
    }

    fn push(&mut self, bin: usize, start: u64) -> bool {
        let Some(filled) = self.filled.get_mut(bin) else {
            return false;
        };
        let (first, most) = slots_of(bin);
        if *filled as usize >= most || start > u64::from(u32::MAX) {
            return false;
        }
        let Some(slot) = self.slots.get_mut(first + *filled as usize) else {
            return false;
        };
        *slot = start as u32;
        *filled += 1;
        true
    }

    /// Takes a short block for a request of `n` granules: its start and its length, that of the class.
    #[inline(always)]
    pub fn take(&mut self, n: u64) -> Option<(u64, u64)> {
        let bin = short_class(n);
        let filled = self.filled.get_mut(bin)?;
        let top = filled.checked_sub(1)?;
        let slot = self.slots.get(bin * SLOTS + top as usize)?;
        *filled = top;
        Some((u64::from(*slot), short_len(bin)))
    }

    /// Keeps a short block of `len` granules; false when its bin is full or there is none.
    #[inline(always)]
    pub fn keep(&mut self, start: u64, len: u64) -> bool {
        let bin = short_class_of(len);
        let Some(filled) = self.filled.get_mut(bin).filter(|filled| (**filled as usize) < SLOTS && bin < SHORT) else {
            return false;
        };
        let (Ok(start), Some(slot)) = (u32::try_from(start), self.slots.get_mut(bin * SLOTS + *filled as usize)) else {
            return false;
        };
        *slot = start;
        *filled += 1;
        true
    }

    /// Puts blocks of a class of short ones into its empty bin; the first is taken first.
    pub fn stock(&mut self, class: usize, starts: &[u32]) {
        let slots = self.slots.get_mut(class * SLOTS..class * SLOTS + starts.len());
        let (Some(slots), Some(filled)) = (slots, self.filled.get_mut(class)) else {
            return;
        };
        for (slot, start) in slots.iter_mut().zip(starts.iter().rev()) {
            *slot = *start;
        }
        *filled = starts.len() as u8;
    }

    /// Takes a longer block of exactly `len` granules.
    #[inline]
    pub fn take_long(&mut self, len: u64) -> Option<u64> {
        let start = self.pop(class_of(len))?;
        self.waiting = self.waiting.saturating_sub(len as u32);
        Some(start)
    }

    /// Keeps a longer block; false if its bin is full, or its length is no class's.
    #[inline]
    pub fn keep_long(&mut self, start: u64, len: u64) -> bool {
        let kept = u64::from(self.waiting) + len <= MOST_LONG && self.push(class_of(len), start);
        if kept {
            self.waiting += len as u32;
        }
        kept
    }

    /// How many more short blocks of `len` granules the bin takes.
    pub fn room(&self, len: u64) -> usize {
        let filled = self.filled.get(short_class(len));
        filled.map_or(0, |filled| SLOTS.saturating_sub(*filled as usize))
    }

    /// Granules on shelves.
    pub fn stored(&self) -> u64 {
        u64::from(self.stored)
    }

    /// The oldest block in the bin of `len`, or 0.
    pub fn oldest(&self, len: u64) -> u64 {
        self.slots.get(slots_of(class_of(len).min(BINS)).0).map_or(0, |start| u64::from(*start))
    }

    /// Takes the older half of the bin of longer blocks of `len` granules: their starts and how many.
    fn take_oldest_half(&mut self, len: u64) -> ([u32; LONG_SLOTS], usize) {
        let bin = class_of(len);
        let mut oldest = [0; LONG_SLOTS];
        let Some(filled) = self.filled.get_mut(bin) else {
            return (oldest, 0);
        };
        let (first, _) = slots_of(bin);
        let half = (*filled as usize).div_ceil(2);
        let Some(slots) = self.slots.get_mut(first..first + *filled as usize) else {
            return (oldest, 0);
        };
        for (old, slot) in oldest.iter_mut().zip(slots.iter().take(half)) {
            *old = *slot;
        }
        slots.rotate_left(half);
        *filled -= half as u8;
        self.waiting = self.waiting.saturating_sub((half as u64 * len) as u32);
        (oldest, half)
    }

    /// Moves the older half of the bin of `len` to its shelf. False when there is no room, or none yet
    /// and no frame for it.
    pub fn shelve(&mut self, shelves: &impl Shelves, len: u64) -> bool {
        let bin = class_of(len);
        let Some(first) = SHELVES.get(bin).map(|first| *first as usize) else {
            return false;
        };
        let lying = self.shelved.get(bin).map_or(0, |lying| *lying as usize);
        let half = self.filled.get(bin).map_or(0, |filled| (*filled as usize).div_ceil(2));
        let top = first + lying;
        if half == 0 || lying + half > shelf_len(bin) || !shelves.back_shelf(top) || !shelves.back_shelf(top + half - 1) {
            return false;
        }
        let (oldest, half) = self.take_oldest_half(len);
        for (number, start) in (top..).zip(oldest.iter().take(half)) {
            // Relaxed: only the holder of the region's gate looks at shelves.
            shelves.shelf_entry(number).store(*start, Ordering::Relaxed);
        }
        if let Some(lying) = self.shelved.get_mut(bin) {
            *lying += half as u16;
        }
        self.stored = self.stored.saturating_add((half as u64 * len) as u32);
        true
    }

    /// Moves blocks of `len` granules from their shelf to the bin if that is empty; false when it moved none.
    pub fn restock(&mut self, shelves: &impl Shelves, len: u64) -> bool {
        let bin = class_of(len);
        let lying = self.shelved.get(bin).map_or(0, |lying| *lying as usize);
        if lying == 0 || self.filled.get(bin) != Some(&0) {
            return false;
        }
        let (most, mut moved) = (slots_of(bin).1.div_ceil(2), 0);
        let from = lying - most.min(lying);
        for number in from..lying {
            let start = SHELVES.get(bin).map_or(0, |first| shelves.shelf_entry(*first as usize + number).load(Ordering::Relaxed));
            moved += u64::from(self.push(bin, u64::from(start)));
        }
        if let Some(lying) = self.shelved.get_mut(bin) {
            *lying = from as u16;
        }
        self.stored = self.stored.saturating_sub((moved * len) as u32);
        if len > BINNED {
            self.waiting += (moved * len) as u32;
        }
        moved > 0
    }

    /// Takes any block as long as there is one: its start.
    pub fn take_any(&mut self, shelves: &impl Shelves) -> Option<u64> {
        for bin in 0..BINS {
            if let Some(start) = self.pop(bin) {
                return Some(start);
            }
            let (Some(lying), Some(first)) = (self.shelved.get_mut(bin), SHELVES.get(bin)) else {
                continue;
            };
            if let Some(top) = lying.checked_sub(1) {
                *lying = top;
                return Some(u64::from(shelves.shelf_entry((first + top) as usize).load(Ordering::Relaxed)));
            }
        }
        self.waiting = 0;
        self.stored = 0;
        None
    }
}
