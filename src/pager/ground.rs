//! The ground of a heap: what it asks of its region, answered by the pager.
#![forbid(unsafe_code)]

use super::place::Place;
use crate::heap::bins::Shelves;
use crate::heap::granules::Words;
use crate::heap::{Ground, Heap};
use crate::index::PageNumber;
use crate::page::table::Group;
use core::sync::atomic::{AtomicU32, AtomicU64};

impl Words for Place {
    #[inline]
    fn word(&self, number: u64) -> &AtomicU64 {
        self.granule_word(number)
    }
}

impl Shelves for Place {
    fn shelf_entry(&self, number: usize) -> &AtomicU32 {
        self.shelf(number)
    }

    fn back_shelf(&self, number: usize) -> bool {
        self.back_shelf_entry(number)
    }
}

impl Ground for Place {
    #[inline]
    fn page_shift(&self) -> u32 {
        self.engine.page_shift() - 4
    }

    fn pages(&self) -> u64 {
        self.page_count()
    }

    #[inline]
    fn backed_groups(&self) -> u64 {
        self.region.groups()
    }

    #[inline]
    fn group(&self, number: u64) -> &Group {
        self.group_at(number)
    }

    #[inline]
    fn freed_word(&self, number: u64) -> &AtomicU64 {
        self.word_of_freed(number)
    }

    fn back(&self, page: u64, n: u64, with_granules: bool) -> bool {
        self.back_groups(page, n, with_granules)
    }

    fn promise(&self, page: u64, n: u64, zero: bool) -> Option<bool> {
        self.promise_pages(PageNumber::new(page), n, zero)
    }

    fn release(&self, page: u64, n: u64) {
        self.release_pages(PageNumber::new(page), n);
    }
}

impl Place {
    /// Takes in the blocks that other threads freed: how many. The caller may use the heap.
    pub fn collect(&self, heap: &mut Heap) -> u64 {
        let mut residues = self.region.take_freed_groups();
        let mut collected = 0;
        while residues != 0 {
            let residue = u64::from(residues.trailing_zeros());
            residues &= residues - 1;
            let groups = (residue..self.region.groups()).step_by(64);
            collected += groups.map(|number| heap.collect(self, number)).sum::<u64>();
        }
        self.region.note_collected(collected);
        collected
    }

    /// Notes that another thread freed the block at granule `start`, which the group has room for: how many wait now.
    pub fn note_freed(&self, start: u64) -> Result<u64, crate::heap::NotABlock> {
        Heap::free_from_afar(self, start)?;
        Ok(self.region.note_freed((start >> self.page_shift()) / crate::page::table::GROUP_PAGES))
    }
}
