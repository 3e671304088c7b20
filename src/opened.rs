//! Regions that a door opens for itself: no thread owns them, no heap need lie in them; their pages are
//! promised one by one, and seen and kept as the region's [`Outlook`] says. For engines of the exact
//! regime only: an eager one maps pages ahead, at their own addresses.

use crate::engine::Engine;
use crate::heap::{Ground, Heap};
use crate::outlook::Outlook;
use crate::page_table::GROUP_PAGES;
use crate::pte::Pte;
use crate::region::Place;
use crate::regions::EVERYBODY;
use crate::span::RECORD;
use crate::sys::memory::{self, Protection};
use core::sync::atomic::Ordering;

impl Engine {
    /// A region without pages; `None` when all are open, or memory is short. Without an outlook its pages
    /// are seen at their own addresses and kept in the swap file.
    pub fn open_region(&'static self, outlook: Option<&'static Outlook>) -> Option<Place> {
        let mut regions = self.regions.hold();
        let place = self.take_listed(&mut regions).or_else(|| self.make_next(&mut regions))?;
        place.region.set_outlook(outlook);
        // Release: pairs with those who ask whose region it is.
        place.region.owner.store(EVERYBODY, Ordering::Release);
        Some(place)
    }

    /// Promises the pages `page .. page + n`, which nobody else extends or releases meanwhile: from now on
    /// they can be touched, and are zero. False when backing or memory is short, or the region ends before.
    pub fn extend_region(&'static self, place: &Place, page: u64, n: u64) -> bool {
        page.checked_add(n).is_some_and(|end| end <= place.pages())
            && place.back(page, n, false)
            && place.promise(page, n, false).is_some()
    }

    /// Releases all pages and closes the region, which the caller opened and nobody else uses. Its place,
    /// and its outlook, are then free for another.
    pub fn close_region(&'static self, place: &Place) {
        for page in 0..(place.backed_groups() * GROUP_PAGES).min(place.pages()) {
            if place.page(page).pte() != Pte::VOID {
                self.release(place, page, 1);
            }
        }
        self.forget(place);
        place.region.set_outlook(None);
        place.region.owner.store(0, Ordering::Release);
        self.enlist(place);
    }

    /// Everything that is known of pages and blocks is as in a new region.
    fn forget(&self, place: &Place) {
        let span = self.span();
        let record = place.base + span.heap;
        place.region.groups.store(0, Ordering::Relaxed);
        place.region.shelves.store(0, Ordering::Relaxed);
        place.region.table.store(self.page(), Ordering::Relaxed);
        // SAFETY: nobody uses the region, so nobody holds its heap, nor looks at the groups behind the
        // record, whose first are in the record's page; what lies behind is bookkeeping beside the arena,
        // and reads as zeros from now on.
        unsafe {
            *place.region.heap() = Heap::EMPTY;
            core::ptr::write_bytes((record + RECORD) as *mut u8, 0, self.page() - RECORD);
            let _ = memory::unback(record + self.page(), span.len - span.heap - self.page(), Protection::Read);
        }
    }
}
