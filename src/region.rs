//! A region: the contiguous virtual memory of one thread's heap, its page table and its gate.
//!
//! The record lies in the region's first bookkeeping frame. A thread owns at most one region; when it
//! ends, the region is abandoned: its blocks stay valid, others free them, and when they are gone a
//! new thread takes the region over.
//!
//! A door may open regions of its own, with pages as it wants them and an [`Outlook`] that says how they
//! are seen and kept (`opened.rs`).

use crate::engine::Engine;
use crate::gate::Gate;
use crate::heap::bins::Shelves;
use crate::heap::granules::Words;
use crate::heap::{Ground, Heap};
use crate::outlook::Outlook;
use crate::page_table::{Group, Page, GROUP_PAGES};
use crate::span::RECORD;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The record of a region. All zero: a region that nobody owns, with an empty heap.
///
/// What other threads write has a cache line of its own: the owner writes the gate all the time.
#[repr(C)]
pub struct Region {
    /// Blocks that other threads freed since the owner last collected them.
    pub freed_blocks: AtomicU64,
    /// In which groups (modulo 64) they lie.
    pub freed_groups: AtomicU64,
    /// 1 + the number of the thread that owns the region; 0 for nobody.
    pub owner: AtomicU32,
    /// The number of the region.
    pub number: AtomicU32,
    /// Groups of the page table that have frames.
    pub groups: AtomicU32,
    /// 1 + the next region without an owner, in the engine's list.
    pub next: AtomicU32,
    /// Whether the region is in that list.
    pub listed: AtomicU32,
    /// Whether the owner took the region over with blocks of an earlier one.
    pub inherited: AtomicU32,
    /// Which pages of the shelves have frames, a bit each.
    pub shelves: AtomicU32,
    /// Bytes of record and page table that have frames.
    pub table: AtomicUsize,
    /// How pages are seen and kept, if not as usual.
    outlook: AtomicPtr<Outlook>,
    own: OwnLines,
}

/// What only the holder of the gate writes, and the gate.
#[repr(C, align(64))]
struct OwnLines {
    gate: Gate,
    heap: UnsafeCell<Heap>,
}

const _: () = assert!(size_of::<Region>() <= RECORD);

// SAFETY: everything but the heap is atomic, and the gate hands the heap to one thread at a time.
unsafe impl Sync for Region {}

impl Region {
    /// Who may touch the heap.
    #[inline(always)]
    pub fn gate(&self) -> &Gate {
        &self.own.gate
    }

    /// The heap.
    ///
    /// # Safety
    /// The caller is the owner and inside the gate, or has closed the gate.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn heap(&self) -> &mut Heap {
        // SAFETY: exclusive, as the caller promises.
        unsafe { &mut *self.own.heap.get() }
    }

    /// How pages are seen and kept; `None`: as frames mapped at the page's address, and in the swap file.
    #[inline]
    pub fn outlook(&self) -> Option<&'static Outlook> {
        // Acquire: pairs with the release in `set_outlook`.
        let outlook = self.outlook.load(Ordering::Acquire);
        // SAFETY: null, or what `set_outlook` was given for ever.
        unsafe { outlook.as_ref() }
    }

    /// Says how pages are seen and kept. The region has no pages.
    pub(crate) fn set_outlook(&self, outlook: Option<&'static Outlook>) {
        let outlook = outlook.map_or(core::ptr::null_mut(), |outlook| core::ptr::from_ref(outlook).cast_mut());
        // Release: pairs with the acquire in `outlook`.
        self.outlook.store(outlook, Ordering::Release);
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

impl Engine {
    /// The region `number`, which exists.
    #[inline]
    pub(crate) fn place(&'static self, number: u32) -> Place {
        let base = self.span().slot(number);
        // SAFETY: the caller vouches that the region exists; its record is backed for ever, and zeros
        // are a valid record.
        let region = unsafe { &*((base + self.span().heap) as *const Region) };
        Place { engine: self, region, base }
    }

    /// The region whose heap contains `address`.
    #[inline]
    pub fn find(&'static self, address: usize) -> Option<Place> {
        let (number, offset) = self.span().find(address)?;
        // Acquire: pairs with the release when the region is made.
        if offset >= self.span().heap || !self.exists(number) {
            return None;
        }
        Some(self.place(number))
    }

    /// The page of a region that contains `address`.
    #[inline]
    pub fn find_page(&'static self, address: usize) -> Option<(Place, u64)> {
        let place = self.find(address)?;
        Some((place, ((address - place.base) >> self.page_shift()) as u64))
    }
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

    /// Whether `address` lies in the region's heap.
    #[inline(always)]
    pub fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.base) < self.engine.span().heap
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

impl Shelves for Place {
    fn shelf_entry(&self, number: usize) -> &AtomicU32 {
        let at = self.base + self.engine.span().shelves;
        // SAFETY: the slot reserves readable room for all entries; only backed ones are written.
        unsafe { &*(at as *const AtomicU32).add(number) }
    }

    fn back_shelf(&self, number: usize) -> bool {
        self.engine.back_shelf(self, number)
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
