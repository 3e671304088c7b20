//! Address space: where the regions of the threads lie, and what lies in each.
//!
//! ```text
//! base + number << slot_shift:
//!   heap      VMALLOC_HEAP bytes: the pages that the program sees
//!   record    the region's own state (`record.rs`), then its page table
//!   granules  two bits for each 16 bytes of heap
//!   freed     one bit for each 16 bytes of heap
//!   shelves   blocks that wait for reuse (`heap/bins.rs`)
//! ```
//!
//! So the region of an address, and the address of everything about it, is arithmetic. Slots are
//! reserved one by one as threads come; what has no frame yet reads as zeros. The heaps of a whole
//! program begin at [`BASE`]; an engine for a few regions lies where the kernel has room for them.
#![forbid(unsafe_code)]

use crate::heap::bins::SHELF_ENTRIES;
use crate::index::RegionNumber;
use crate::page::table::{Group, GROUP_PAGES};

/// The first slot: far from where the kernel, loaders and sanitizers put things.
pub const BASE: usize = 0x2000_0000_0000;
/// The end of the last slot.
pub const END: usize = 0x5000_0000_0000;
/// The size of a region's record; the page table follows. With its first group it fills a frame.
pub const RECORD: usize = 2976;
/// No more regions than this, however small they are.
const MOST: usize = 1 << 16;

/// The geometry of all regions.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Where the first slot begins.
    pub base: usize,
    /// log2 of the distance between regions.
    pub slot_shift: u32,
    /// Bytes of heap in a region, whole pages.
    pub heap: usize,
    /// Offset of the granule words.
    pub granules: usize,
    /// Offset of the words in which other threads free.
    pub freed: usize,
    /// Offset of the shelves.
    pub shelves: usize,
    /// Bytes of a slot that are in use.
    pub len: usize,
    /// How many regions fit.
    pub most: u32,
}

impl Span {
    /// The geometry for heaps of `heap` bytes (whole pages) from [`BASE`] on; `None` if not even one
    /// fits.
    pub fn new(heap: usize, page_shift: u32) -> Option<Span> {
        let span = Span::at(BASE, heap, page_shift)?;
        let most = ((END - BASE) >> span.slot_shift).min(MOST);
        (most > 0).then_some(Span { most: most as u32, ..span })
    }

    /// The same for `regions` heaps in a room of their own, which begins at 0 until it is found.
    pub fn of(regions: u32, heap: usize, page_shift: u32) -> Option<Span> {
        let span = Span::at(0, heap, page_shift)?;
        let fits = regions as usize <= MOST.min((END - BASE) >> span.slot_shift);
        fits.then_some(Span { most: regions, ..span })
    }

    /// Bytes of address space for all slots.
    pub fn room(&self) -> usize {
        (self.most as usize) << self.slot_shift
    }

    fn at(base: usize, heap: usize, page_shift: u32) -> Option<Span> {
        let page = 1usize << page_shift;
        let groups = (heap >> page_shift).div_ceil(GROUP_PAGES as usize);
        let table = RECORD.checked_add(groups.checked_mul(size_of::<Group>())?)?;
        // One group more than needed: a block that ends with the heap is measured one word further.
        let granules = heap.checked_add(table.next_multiple_of(page))?;
        let freed = granules.checked_add((groups + 1).checked_mul(page)?)?;
        let shelves = freed.checked_add((groups.div_ceil(2) + 1).checked_mul(page)?)?;
        let len = shelves.checked_add((SHELF_ENTRIES * size_of::<u32>()).next_multiple_of(page))?;
        let slot_shift = len.checked_next_power_of_two()?.trailing_zeros().max(21);
        Some(Span { base, slot_shift, heap, granules, freed, shelves, len, most: 0 })
    }

    /// Where slot `number` begins.
    #[inline]
    pub fn slot(&self, number: RegionNumber) -> usize {
        self.base + (number.at() << self.slot_shift)
    }

    /// The slot that contains `address`, and the offset in it.
    #[inline]
    pub fn find(&self, address: usize) -> Option<(RegionNumber, usize)> {
        let offset = address.wrapping_sub(self.base);
        let number = offset >> self.slot_shift;
        (number < self.most as usize).then_some((RegionNumber::new(number as u32), offset & ((1 << self.slot_shift) - 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: RegionNumber = RegionNumber::new(0);

    #[test]
    fn every_part_lies_inside_its_slot_and_apart() {
        for (heap, shift) in [(24 << 20, 12), (128 << 10, 12), (18 << 30, 12), (24 << 20, 16), (1 << 40, 20)] {
            let span = Span::new(heap, shift).unwrap();
            let pages = heap >> shift;
            let groups = pages.div_ceil(64);
            assert!(heap + RECORD + groups * size_of::<Group>() <= span.granules);
            assert!(span.granules + heap / 64 <= span.freed);
            assert!(span.freed + heap / 128 <= span.shelves);
            assert!(span.shelves + SHELF_ENTRIES * 4 <= span.len);
            assert!(span.len <= 1 << span.slot_shift);
            assert!([span.granules, span.freed, span.shelves, span.len].iter().all(|o| o % (1 << shift) == 0));
            assert_eq!(span.find(span.slot(FIRST) + 5), Some((FIRST, 5)));
            assert_eq!(span.find(BASE - 1), None);
            assert_eq!(span.find(END), None);
        }
    }

    #[test]
    fn a_room_of_its_own_holds_its_regions_and_no_more() {
        let span = Span { base: 0x7000_0000_0000, ..Span::of(3, 20 << 12, 12).unwrap() };
        assert_eq!(span.find(span.slot(RegionNumber::new(2))), Some((RegionNumber::new(2), 0)));
        assert_eq!(span.find(span.base + span.room()), None);
        assert!(Span::of(1 << 17, 4096, 12).is_none());
        assert!(Span::of(1, 1 << 46, 12).is_none());
    }
}
