//! A region: the contiguous virtual memory of one thread's heap, its page table and its gate.
//!
//! The record lies in the region's first bookkeeping frame. A thread owns at most one region; when it
//! ends, the region is abandoned: its blocks stay valid, others free them, and when they are gone a
//! new thread takes the region over.

use crate::engine::Engine;
use crate::gate::Gate;
use crate::heap::granules::Words;
use crate::heap::{Ground, Heap};
use crate::page_table::{Group, Page, GROUP_PAGES};
use crate::span::RECORD;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The record of a region. All zero: a region that nobody owns, with an empty heap.
#[repr(C)]
pub struct Region {
    /// Who may touch the heap.
    pub gate: Gate,
    /// 1 + the number of the thread that owns the region; 0 for nobody.
    pub owner: AtomicU32,
    /// The number of the region.
    pub number: AtomicU32,
    /// Blocks that other threads freed since the owner last collected them.
    pub freed_blocks: AtomicU64,
    /// In which groups (modulo 64) they lie.
    pub freed_groups: AtomicU64,
    /// Bytes handed out minus bytes freed, by whomever.
    pub bytes: AtomicI64,
    /// Groups of the page table that have frames.
    pub groups: AtomicU32,
    /// 1 + the next region without an owner, in the engine's list.
    pub next: AtomicU32,
    /// Whether the region is in that list.
    pub listed: AtomicU32,
    /// Bytes of record and page table that have frames.
    pub table: AtomicUsize,
    heap: UnsafeCell<Heap>,
}

const _: () = assert!(size_of::<Region>() <= RECORD);

// SAFETY: everything but the heap is atomic, and the gate hands the heap to one thread at a time.
unsafe impl Sync for Region {}

impl Region {
    /// The heap.
    ///
    /// # Safety
    /// The caller is the owner and inside the gate, or has closed the gate.
    #[inline]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn heap(&self) -> &mut Heap {
        // SAFETY: exclusive, as the caller promises.
        unsafe { &mut *self.heap.get() }
    }
}

/// A region in its engine: what the heap stands on.
#[derive(Clone, Copy)]
pub struct Place {
    /// The engine.
    pub engine: &'static Engine,
    /// The region's record.
    pub region: &'static Region,
    /// Where its pages begin.
    pub base: usize,
}

impl Place {
    /// The entry of page `number`; beyond what is backed it reads as zeros and must not be written.
    #[inline]
    pub fn page(&self, number: u64) -> &'static Page {
        let group = self.group_at(number / GROUP_PAGES);
        let at = (number % GROUP_PAGES) as usize;
        // SAFETY: `at` is below the length of the array.
        unsafe { group.pages.get_unchecked(at) }
    }

    #[inline]
    fn group_at(&self, number: u64) -> &'static Group {
        let table = self.region as *const Region as usize + RECORD;
        // SAFETY: the slot reserves readable room for the groups of all pages of the region, and
        // callers ask for no others; all fields are atomics for which zeros are valid.
        unsafe { &*(table as *const Group).add(number as usize) }
    }

    /// The address of page `number`.
    #[inline]
    pub fn page_address(&self, number: u64) -> usize {
        self.base + ((number as usize) << self.engine.page_shift())
    }

    /// The granule that contains `address`.
    #[inline]
    pub fn granule(&self, address: usize) -> u64 {
        (address - self.base) as u64 / 16
    }

    /// The address of a granule.
    #[inline]
    pub fn address(&self, granule: u64) -> usize {
        self.base + granule as usize * 16
    }
}

impl Words for Place {
    #[inline]
    fn word(&self, number: u64) -> &AtomicU64 {
        let at = self.base + self.engine.span().granules;
        // SAFETY: the slot reserves readable words for all granules of the region and some more;
        // only words of backed groups are written.
        unsafe { &*(at as *const AtomicU64).add(number as usize) }
    }
}

impl Ground for Place {
    #[inline]
    fn page_shift(&self) -> u32 {
        self.engine.page_shift() - 4
    }

    fn pages(&self) -> u64 {
        (self.engine.span().heap >> self.engine.page_shift()) as u64
    }

    #[inline]
    fn backed_groups(&self) -> u64 {
        // Acquire: pairs with the release in `Engine::back`.
        u64::from(self.region.groups.load(Ordering::Acquire))
    }

    #[inline]
    fn group(&self, number: u64) -> &Group {
        self.group_at(number)
    }

    #[inline]
    fn freed_word(&self, number: u64) -> &AtomicU64 {
        let at = self.base + self.engine.span().freed;
        // SAFETY: as for the granule words.
        unsafe { &*(at as *const AtomicU64).add(number as usize) }
    }

    fn back(&self, page: u64, n: u64, with_granules: bool) -> bool {
        self.engine.back(self, page, n, with_granules)
    }

    fn promise(&self, page: u64, n: u64, zero: bool) -> Option<bool> {
        self.engine.promise(self, page, n, zero)
    }

    fn release(&self, page: u64, n: u64) {
        self.engine.release(self, page, n);
    }
}
