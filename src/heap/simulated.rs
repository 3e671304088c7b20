//! The ground that the model stands on: a region of pages, every third of which is in swap when it is promised, and what was
//! ever written there.

use super::bins::{Shelves, SHELF_ENTRIES};
use super::granules::Words;
use super::Ground;
use crate::index::{FrameIndex, Slot};
use crate::page::table::{Group, GROUP_PAGES};
use crate::page::Pte;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// A region of `pages` pages, of which `budget` can be promised.
pub struct Simulated {
    groups: Vec<Group>,
    words: Vec<AtomicU64>,
    freed: Vec<AtomicU64>,
    shelves: Vec<AtomicU32>,
    pub promised: RefCell<Vec<bool>>,
    /// Granules of blocks there ever were since their page was promised.
    written: RefCell<Vec<bool>>,
    budget: u64,
    pub pages: u64,
}

impl Simulated {
    pub fn new(pages: u64, budget: u64) -> Simulated {
        let zeros = |n: usize| (0..n).map(|_| AtomicU64::new(0)).collect();
        Simulated {
            groups: (0..pages.div_ceil(GROUP_PAGES)).map(|_| Group::default()).collect(),
            words: zeros(pages as usize * 8 + 64),
            freed: zeros(pages as usize * 4 + 64),
            shelves: (0..SHELF_ENTRIES).map(|_| AtomicU32::new(0)).collect(),
            promised: RefCell::new(vec![false; pages as usize]),
            written: RefCell::new(vec![false; pages as usize * 256]),
            budget,
            pages,
        }
    }

    /// The program writes a block.
    pub fn write(&self, start: u64, len: u64) {
        self.written.borrow_mut()[start as usize..(start + len) as usize].fill(true);
    }

    fn set_entry(&self, page: u64, pte: Pte) {
        let entry = &self.groups[(page / GROUP_PAGES) as usize].pages[(page % GROUP_PAGES) as usize].entry;
        entry.change(entry.load(), pte).expect("nobody else changes it");
    }

    pub fn is_written(&self, start: u64, len: u64) -> bool {
        self.written.borrow()[start as usize..(start + len) as usize].contains(&true)
    }
}

impl Words for Simulated {
    fn word(&self, number: u64) -> &AtomicU64 {
        &self.words[number as usize]
    }
}

impl Shelves for Simulated {
    fn shelf_entry(&self, number: usize) -> &AtomicU32 {
        &self.shelves[number]
    }
    fn back_shelf(&self, number: usize) -> bool {
        // Some shelves have no frames.
        number % 2048 < 1500
    }
}

impl Ground for Simulated {
    fn page_shift(&self) -> u32 {
        8
    }
    fn pages(&self) -> u64 {
        self.pages
    }
    fn backed_groups(&self) -> u64 {
        self.groups.len() as u64
    }
    fn group(&self, number: u64) -> &Group {
        &self.groups[number as usize]
    }
    fn freed_word(&self, number: u64) -> &AtomicU64 {
        &self.freed[number as usize]
    }
    fn back(&self, _page: u64, _n: u64, _with_granules: bool) -> bool {
        true
    }
    fn promise(&self, page: u64, n: u64, _zero: bool) -> Option<bool> {
        let mut promised = self.promised.borrow_mut();
        if promised.iter().filter(|p| **p).count() as u64 + n > self.budget {
            return None;
        }
        for page in page..page + n {
            assert!(!promised[page as usize], "page {page} promised twice");
            promised[page as usize] = true;
            // Every third page is in swap.
            let pte = if page % 3 == 0 { Pte::swapped(Slot::new(1)) } else { Pte::resident(FrameIndex::new(1), 0) };
            self.set_entry(page, pte);
        }
        self.written.borrow_mut()[page as usize * 256..(page + n) as usize * 256].fill(false);
        Some(true)
    }
    fn release(&self, page: u64, n: u64) {
        for page in page..page + n {
            assert!(self.promised.borrow()[page as usize], "page {page} was not promised");
            self.promised.borrow_mut()[page as usize] = false;
            self.set_entry(page, Pte::VOID);
        }
    }
}
