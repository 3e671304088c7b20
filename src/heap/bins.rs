//! Just-freed blocks, kept by length for quick reuse: out of band, last in, first out.
//!
//! A block in a bin is parked: its first granule says so, its page stays promised. Lengths come in
//! classes, so that a request of about the same length finds a block: every multiple of 16 bytes up to
//! 256, of 32 up to 512, and eight to a doubling up to large blocks.

/// Blocks of up to this many granules (512 bytes) are short.
pub const BINNED: u64 = 32;
/// Blocks of this many granules and more are not kept.
const LONGEST: u64 = 8192;
const SLOTS: usize = 16;
/// Bins of short blocks: one for each length up to 16 granules, then for every second.
const SHORT: usize = 24;
const CLASSES: usize = 64;
const LONG_SLOTS: usize = 4;
/// So many granules (1 MiB) wait in long bins at the most.
const MOST_LONG: u64 = 65536;

/// The bins of one heap; all zero is empty. Granule numbers are kept in 32 bits; blocks beyond 64 GiB
/// are not kept.
#[repr(C)]
pub struct Bins {
    slots: [[u32; SLOTS]; SHORT],
    long: [[u32; LONG_SLOTS]; CLASSES],
    filled: [u8; SHORT],
    long_filled: [u8; CLASSES],
    /// Granules in long bins.
    waiting: u32,
}

/// The length, in granules, that a request for `n` granules gets, if `n` is not large.
#[inline]
pub fn class_len(n: u64) -> u64 {
    if n <= 16 {
        return n;
    }
    if n <= BINNED {
        return n.next_multiple_of(2);
    }
    let step = 1u64 << (63 - n.leading_zeros() - 3);
    n.next_multiple_of(step)
}

/// The bin of short blocks of `len` granules; a length that no request gets has none.
#[inline]
fn short_bin(len: u64) -> usize {
    match len {
        0..=16 => len.wrapping_sub(1) as usize,
        17..=BINNED if len.is_multiple_of(2) => 7 + len as usize / 2,
        _ => usize::MAX,
    }
}

/// The long bin of blocks of `len` granules.
fn long_bin(len: u64) -> usize {
    let log = 63 - len.max(BINNED).leading_zeros();
    (log as usize - 5) * 8 + (len >> (log - 3) & 7) as usize
}

impl Bins {
    /// Bins without blocks.
    pub const EMPTY: Bins = Bins {
        slots: [[0; SLOTS]; SHORT],
        long: [[0; LONG_SLOTS]; CLASSES],
        filled: [0; SHORT],
        long_filled: [0; CLASSES],
        waiting: 0,
    };

    /// Takes a block of exactly `len` granules.
    #[inline]
    pub fn take(&mut self, len: u64) -> Option<u64> {
        let bin = short_bin(len);
        let filled = self.filled.get_mut(bin)?;
        let top = filled.checked_sub(1)?;
        let slot = self.slots.get(bin)?.get(top as usize)?;
        *filled = top;
        Some(u64::from(*slot))
    }

    /// Keeps a block of `len` granules; false when its bin is full or there is none.
    #[inline]
    pub fn keep(&mut self, start: u64, len: u64) -> bool {
        let bin = short_bin(len);
        let Some(filled) = self.filled.get_mut(bin) else {
            return false;
        };
        let Some(slot) = self.slots.get_mut(bin).and_then(|bin| bin.get_mut(*filled as usize)) else {
            return false;
        };
        let Ok(number) = u32::try_from(start) else {
            return false;
        };
        *slot = number;
        *filled += 1;
        true
    }

    /// How many more blocks of `len` granules the bin takes.
    pub fn room(&self, len: u64) -> usize {
        let filled = self.filled.get(short_bin(len));
        filled.map_or(0, |filled| SLOTS.saturating_sub(*filled as usize))
    }

    /// Takes the older half of the bin of `len`: their starts and how many.
    pub fn take_oldest_half(&mut self, len: u64) -> ([u32; SLOTS], usize) {
        let bin = short_bin(len);
        let (Some(filled), Some(slots)) = (self.filled.get_mut(bin), self.slots.get_mut(bin)) else {
            return ([0; SLOTS], 0);
        };
        let half = (*filled as usize).div_ceil(2).min(SLOTS);
        let oldest = *slots;
        slots.rotate_left(half);
        *filled -= half as u8;
        (oldest, half)
    }

    /// Takes a longer block of exactly `len` granules.
    #[inline]
    pub fn take_long(&mut self, len: u64) -> Option<u64> {
        if len >= LONGEST || len != class_len(len) {
            return None;
        }
        let bin = long_bin(len);
        let filled = self.long_filled.get_mut(bin)?;
        let top = filled.checked_sub(1)?;
        let slot = self.long.get(bin)?.get(top as usize)?;
        *filled = top;
        self.waiting = self.waiting.saturating_sub(len as u32);
        Some(u64::from(*slot))
    }

    /// Keeps a longer block; false if its bin is full, or its length is no class's.
    #[inline]
    pub fn keep_long(&mut self, start: u64, len: u64) -> bool {
        if len >= LONGEST || len != class_len(len) || u64::from(self.waiting) + len > MOST_LONG {
            return false;
        }
        let bin = long_bin(len);
        let Some(filled) = self.long_filled.get_mut(bin) else {
            return false;
        };
        let Some(slot) = self.long.get_mut(bin).and_then(|bin| bin.get_mut(*filled as usize)) else {
            return false;
        };
        let Ok(number) = u32::try_from(start) else {
            return false;
        };
        *slot = number;
        *filled += 1;
        self.waiting += len as u32;
        true
    }

    /// Takes any block as long as there is one: its start.
    pub fn take_any(&mut self) -> Option<u64> {
        let bins = self.filled.iter_mut().zip(&self.slots).map(|(filled, slots)| (filled, slots.as_slice()));
        let long = self.long_filled.iter_mut().zip(&self.long).map(|(filled, slots)| (filled, slots.as_slice()));
        for (filled, slots) in bins.chain(long) {
            if let Some(top) = filled.checked_sub(1) {
                *filled = top;
                return slots.get(top as usize).map(|start| u64::from(*start));
            }
        }
        self.waiting = 0;
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
            assert!(bin < CLASSES || len == LONGEST);
            assert_eq!(len == last.0, bin == last.1, "{len} and {} share bin {bin}", last.0);
            last = (len, bin);
        }
    }
}
