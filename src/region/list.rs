//! Which regions there are, and those without owner and blocks, which the next thread takes over.
//!
//! A region exists for everybody once its bit is set, and for ever. The list of free ones has a lock of its own.
#![forbid(unsafe_code)]

use super::record::Region;
use crate::index::RegionNumber;
use crate::sync::{Guard, Lock};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The regions of an engine.
pub struct RegionList {
    /// A bit for each place of the span that holds a region.
    present: [AtomicU64; 1024],
    /// Places that have been looked at; changed with `free` held.
    made: AtomicU32,
    free: Lock<FreeRegions>,
}

/// The list of regions without owner and blocks.
#[derive(Default)]
pub struct FreeRegions {
    first: Option<RegionNumber>,
}

impl RegionList {
    /// No regions.
    pub(crate) fn new() -> RegionList {
        let present = [const { AtomicU64::new(0) }; 1024];
        RegionList { present, made: AtomicU32::new(0), free: Lock::new(FreeRegions::default()) }
    }

    /// Whether there is a region with this number.
    #[inline]
    pub(crate) fn exists(&self, number: RegionNumber) -> bool {
        // Acquire: pairs with the release in `note_region`.
        let word = self.present.get(number.at() / 64);
        word.is_some_and(|word| word.load(Ordering::Acquire) & 1 << (number.get() % 64) != 0)
    }

    /// The numbers of the regions that there are.
    pub(crate) fn existing(&self) -> impl Iterator<Item = RegionNumber> + '_ {
        (0..self.places_looked_at()).map(RegionNumber::new).filter(|number| self.exists(*number))
    }

    /// Places of the span that have been looked at; those behind hold no region.
    pub(crate) fn places_looked_at(&self) -> u32 {
        // Acquire: pairs with the release in `note_looked_at`.
        self.made.load(Ordering::Acquire)
    }

    /// The region has its record, and exists for everybody.
    pub(crate) fn note_region(&self, number: RegionNumber) {
        if let Some(word) = self.present.get(number.at() / 64) {
            // Release: pairs with `exists`.
            word.fetch_or(1 << (number.get() % 64), Ordering::Release);
        }
    }

    /// Places up to this one have been looked at. The list of free regions is held.
    pub(crate) fn note_looked_at(&self, number: RegionNumber) {
        // Release: pairs with `places_looked_at`.
        self.made.store(number.get() + 1, Ordering::Release);
    }

    /// The list of regions without owner and blocks, held.
    pub(crate) fn hold_free(&self) -> Guard<'_, FreeRegions> {
        self.free.hold()
    }
}

impl FreeRegions {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The first, which stays in the list until [`Region::delist`] says what comes next.
    pub(crate) fn first(&self) -> Option<RegionNumber> {
        self.first
    }

    /// The first was taken, and `next` came behind it.
    pub(crate) fn advance(&mut self, next: Option<RegionNumber>) {
        self.first = next;
    }

    /// Enters a region in the list, unless it is in it.
    pub(crate) fn enlist(&mut self, region: &Region) {
        if region.enlist(self.first) {
            self.first = Some(region.number());
        }
    }
}
