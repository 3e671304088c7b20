//! Just-freed blocks, kept by length for quick reuse: out of band, last in, first out.
//!
//! A block in a bin is parked: its first granule says so, its page stays promised. Lengths come in
//! classes, so that a request of about the same length finds a block: every multiple of 16 bytes up to
//! 256, of 32 up to 512, and eight to a doubling up to large blocks.
//!
//! A bin holds a few blocks, in the region's record. While frames are plentiful the older half of a
//! full bin goes to the bin's *shelf*, in bookkeeping frames of its own, and comes back when the bin is
//! empty: a heap whose blocks die in any order then hardly ever searches. A shelf holds the numbers of
//! blocks only; the blocks on it are parked like those in the bin.

use core::sync::atomic::{AtomicU32, Ordering};

/// Blocks of up to this many granules (1 KiB) are short.
pub const BINNED: u64 = 64;
/// Blocks of this many granules and more are not kept.
const LONGEST: u64 = 8192;
/// Bins of short blocks: one for each length up to 16 granules, then for every second, then every fourth.
const SHORT: usize = 32;
/// Bins of longer blocks.
const LONG: usize = 56;
const BINS: usize = SHORT + LONG;
const SLOTS: usize = 12;
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

/// Entries of the shelf of a bin: more for short blocks, of which there are more.
const fn shelf_len(bin: usize) -> usize {
    match bin {
        0..16 => 256,
        16..24 => 128,
        24..32 => 128,
        32..40 => 64,
        40..56 => 32,
        56..72 => 16,
        _ => 8,
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

/// The length, in granules, that a request for `n` granules gets, if `n` is not large.
#[inline]
pub const fn class_len(n: u64) -> u64 {
    match n {
        0..=16 => n,
        17..=32 => (n + 1) & !1,
        33..=64 => (n + 3) & !3,
        _ => n.next_multiple_of(1 << (63 - n.leading_zeros() - 3)),
    }
}

/// For each number of granules the short bin that serves it; none (more than there are) for 0.
const BIN_FOR: [u8; BINNED as usize + 1] = {
    let mut bins = [u8::MAX; BINNED as usize + 1];
    let mut n = 1;
    while n < bins.len() {
        bins[n] = match n {
            ..=16 => n - 1,
            17..=32 => 7 + n.div_ceil(2),
            _ => 15 + n.div_ceil(4),
        } as u8;
        n += 1;
    }
    bins
};

/// The same for the lengths of classes only: the bin that keeps blocks of that length.
const BIN_OF: [u8; BINNED as usize + 1] = {
    let mut bins = BIN_FOR;
    let mut n = 1;
    while n < bins.len() {
        if class_len(n as u64) != n as u64 {
            bins[n] = u8::MAX;
        }
        n += 1;
    }
    bins
};

/// The bin that keeps short blocks of `len` granules.
#[inline(always)]
fn short_bin(len: u64) -> usize {
    BIN_OF.get(len as usize).map_or(usize::MAX, |bin| *bin as usize)
}

/// The bin of longer blocks of `len` granules, if that is the length of a class.
#[inline]
fn long_bin(len: u64) -> usize {
    if len <= BINNED || len >= LONGEST || len != class_len(len) {
        return usize::MAX;
    }
    let log = 63 - len.leading_zeros();
    SHORT + (log as usize - 6) * 8 + (len >> (log - 3) & 7) as usize
}

/// The bin of blocks of `len` granules.
fn bin_of(len: u64) -> usize {
    if len <= BINNED {
        short_bin(len)
    } else {
        long_bin(len)
    }
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

    /// Takes a short block for a request of `n` granules: one of [`class_len`] of them.
    #[inline(always)]
    pub fn take(&mut self, n: u64) -> Option<u64> {
        let bin = *BIN_FOR.get(n as usize)? as usize;
        let filled = self.filled.get_mut(bin)?;
        let top = filled.checked_sub(1)?;
        let slot = self.slots.get(bin * SLOTS + top as usize)?;
        *filled = top;
        Some(u64::from(*slot))
    }

    /// Keeps a short block of `len` granules; false when its bin is full or there is none.
    #[inline(always)]
    pub fn keep(&mut self, start: u64, len: u64) -> bool {
        let bin = short_bin(len);
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

    /// Takes a longer block of exactly `len` granules.
    #[inline]
    pub fn take_long(&mut self, len: u64) -> Option<u64> {
        let start = self.pop(long_bin(len))?;
        self.waiting = self.waiting.saturating_sub(len as u32);
        Some(start)
    }

    /// Keeps a longer block; false if its bin is full, or its length is no class's.
    #[inline]
    pub fn keep_long(&mut self, start: u64, len: u64) -> bool {
        let kept = u64::from(self.waiting) + len <= MOST_LONG && self.push(long_bin(len), start);
        if kept {
            self.waiting += len as u32;
        }
        kept
    }

    /// How many more short blocks of `len` granules the bin takes.
    pub fn room(&self, len: u64) -> usize {
        let filled = self.filled.get(short_bin(len));
        filled.map_or(0, |filled| SLOTS.saturating_sub(*filled as usize))
    }

    /// Granules on shelves.
    pub fn stored(&self) -> u64 {
        u64::from(self.stored)
    }

    /// The oldest block in the bin of `len`, or 0.
    pub fn oldest(&self, len: u64) -> u64 {
        self.slots.get(slots_of(bin_of(len).min(BINS)).0).map_or(0, |start| u64::from(*start))
    }

    /// Takes the older half of the bin of `len`: their starts and how many.
    pub fn take_oldest_half(&mut self, len: u64) -> ([u32; SLOTS], usize) {
        let bin = bin_of(len);
        let mut oldest = [0; SLOTS];
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
        if len > BINNED {
            self.waiting = self.waiting.saturating_sub((half as u64 * len) as u32);
        }
        (oldest, half)
    }

    /// Moves the older half of the bin of `len` to its shelf. False when there is no room, or none yet
    /// and no frame for it.
    pub fn shelve(&mut self, shelves: &impl Shelves, len: u64) -> bool {
        let bin = bin_of(len);
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
        let bin = bin_of(len);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_waste_an_eighth_at_most_and_have_bins_of_their_own() {
        let mut last = (0, usize::MAX);
        for n in BINNED + 1..LONGEST {
            let len = class_len(n);
            assert!(len >= n && (len - n) * 8 <= n, "{n} gets {len}");
            assert_eq!(class_len(len), len);
            let bin = long_bin(len);
            assert!(bin < BINS || len == LONGEST);
            assert_eq!(len == last.0, bin == last.1, "{len} and {} share bin {bin}", last.0);
            last = (len, bin);
        }
    }
}
