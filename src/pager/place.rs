//! A region in its engine: where its pages, their entries and all that is known of its blocks lie. Arithmetic only.

use crate::engine::Engine;
use crate::index::{PageName, PageNumber, RegionNumber};
use crate::mapper::Pages;
use crate::page::table::{Group, Page, GROUP_PAGES};
use crate::page::Entry;
use crate::region::{Region, RECORD};
use core::sync::atomic::{AtomicU32, AtomicU64};

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
    /// The pages of the region, those without entries too.
    #[inline]
    pub fn page_count(&self) -> u64 {
        (self.engine.span().heap >> self.engine.page_shift()) as u64
    }

    /// The pages that have entries which can be written to.
    pub fn backed_pages(&self) -> impl DoubleEndedIterator<Item = PageNumber> + use<> {
        PageNumber::new(0).run((self.region.groups() * GROUP_PAGES).min(self.page_count()))
    }

    /// The entry of a page; beyond what is backed it reads as zeros and must not be written.
    #[inline]
    pub fn entry(&self, page: PageNumber) -> &'static Entry {
        &self.line(page).entry
    }

    #[inline]
    fn line(&self, page: PageNumber) -> &'static Page {
        let group = self.group_at(page.get() / GROUP_PAGES);
        let at = (page.get() % GROUP_PAGES) as usize;
        // SAFETY: `at` is below the length of the array.
        unsafe { group.pages.get_unchecked(at) }
    }

    /// Group `number` of the page table.
    #[inline]
    pub fn group_at(&self, number: u64) -> &'static Group {
        let table = self.region as *const Region as usize + RECORD;
        // SAFETY: the slot reserves readable room for the groups of all pages of the region, and
        // callers ask for no others; all fields are atomics for which zeros are valid.
        unsafe { &*(table as *const Group).add(number as usize) }
    }

    /// The page's name.
    pub fn name(&self, page: PageNumber) -> PageName {
        PageName { region: self.region.number(), page }
    }

    /// The address of a page.
    #[inline]
    pub fn page_address(&self, page: PageNumber) -> usize {
        self.base + ((page.get() as usize) << self.engine.page_shift())
    }

    /// The page that contains `address`.
    #[inline]
    pub fn page_of(&self, address: usize) -> PageNumber {
        PageNumber::new(((address - self.base) >> self.engine.page_shift()) as u64)
    }

    /// The `n` pages from `first` on.
    pub fn pages_from(&self, first: PageNumber, n: u64) -> Pages {
        Pages { address: self.page_address(first), first, n, page_shift: self.engine.page_shift() }
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

    /// The granule word `number`.
    #[inline]
    pub(crate) fn granule_word(&self, number: u64) -> &AtomicU64 {
        let at = self.base + self.engine.span().granules;
        // SAFETY: the slot reserves readable words for all granules of the region and some more;
        // only words of backed groups are written.
        unsafe { &*(at as *const AtomicU64).add(number as usize) }
    }

    /// The word `number` in which other threads note what they free.
    #[inline]
    pub(crate) fn word_of_freed(&self, number: u64) -> &AtomicU64 {
        let at = self.base + self.engine.span().freed;
        // SAFETY: as for the granule words.
        unsafe { &*(at as *const AtomicU64).add(number as usize) }
    }

    /// Entry `number` of the shelves.
    pub(crate) fn shelf(&self, number: usize) -> &AtomicU32 {
        let at = self.base + self.engine.span().shelves;
        // SAFETY: the slot reserves readable room for all entries; only backed ones are written.
        unsafe { &*(at as *const AtomicU32).add(number) }
    }
}

impl Engine {
    /// The region with this number, which exists.
    #[inline]
    pub(crate) fn place(&'static self, number: RegionNumber) -> Place {
        let base = self.span().slot(number);
        // SAFETY: the caller vouches that the region exists; its record is backed for ever, and zeros
        // are a valid record.
        let region = unsafe { &*((base + self.span().heap) as *const Region) };
        Place { engine: self, region, base }
    }

    /// The place of a region of this engine, by its record.
    #[inline]
    pub fn place_of(&'static self, region: &'static Region) -> Place {
        Place { engine: self, region, base: core::ptr::from_ref(region) as usize - self.span().heap }
    }

    /// The region whose heap contains `address`.
    #[inline]
    pub fn find(&'static self, address: usize) -> Option<Place> {
        let (number, offset) = self.span().find(address)?;
        if offset >= self.span().heap || !self.exists(number) {
            return None;
        }
        Some(self.place(number))
    }

    /// The page of a region that contains `address`.
    #[inline]
    pub fn find_page(&'static self, address: usize) -> Option<(Place, PageNumber)> {
        let place = self.find(address)?;
        Some((place, place.page_of(address)))
    }

    /// Every region that exists.
    pub fn places(&'static self) -> impl Iterator<Item = Place> {
        self.regions().existing().map(|number| self.place(number))
    }
}
