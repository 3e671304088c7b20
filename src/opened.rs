//! Regions that a door opens for itself: no thread owns them, no heap need lie in them; their pages are
//! promised one by one, and seen and kept as the region's [`Outlook`] says. For engines of the exact
//! regime only: an eager one maps pages ahead, at their own addresses.

use crate::engine::Engine;
use crate::heap::Heap;
use crate::index::PageNumber;
use crate::page::Pte;
use crate::pager::Place;
use crate::region::{Outlook, Owner, RECORD};
use crate::sync::Closer;
use crate::sys::memory::{self, Protection};

impl Engine {
    /// A region without pages; `None` when all are open, or memory is short. Without an outlook its pages
    /// are seen at their own addresses and kept in the swap device.
    pub fn open_region(&'static self, outlook: Option<&'static Outlook>) -> Option<Place> {
        let mut free = self.regions().hold_free();
        let place = self.take_listed(&mut free).or_else(|| self.make_next(&free))?;
        place.region.set_outlook(outlook);
        place.region.set_owner(Owner::Everybody);
        Some(place)
    }

    /// Promises the pages `page .. page + n`, which nobody else extends or releases meanwhile: from now on
    /// they can be touched, and are zero. False when backing or memory is short, or the region ends before.
    pub fn extend_region(&'static self, place: &Place, page: PageNumber, n: u64) -> bool {
        page.get().checked_add(n).is_some_and(|end| end <= place.page_count())
            && place.back_groups(page.get(), n, false)
            && place.promise_pages(page, n, false).is_some()
    }

    /// Releases all pages and closes the region, which the caller opened and nobody else uses. Its place,
    /// and its outlook, are then free for another.
    pub fn close_region(&'static self, place: &Place) {
        // Nobody takes in what was freed there meanwhile.
        let closer = Closer::hold();
        for page in place.backed_pages() {
            if place.entry(page).load() != Pte::VOID {
                place.release_pages(page, 1);
            }
        }
        self.forget(place, &closer);
        place.region.set_outlook(None);
        place.region.set_owner(Owner::Nobody);
        self.enlist(place);
    }

    /// Everything that is known of pages and blocks is as in a new region.
    fn forget(&self, place: &Place, closer: &Closer) {
        let (span, page) = (self.span(), self.page_size());
        let record = place.base + span.heap;
        place.region.begin_again(page);
        // SAFETY: nobody uses the region, so nobody holds its heap, nor looks at the groups behind the
        // record, whose first are in the record's page; what lies behind is bookkeeping beside the arena,
        // and reads as zeros from now on.
        unsafe {
            *place.region.gate().unowned(closer) = Heap::EMPTY;
            core::ptr::write_bytes((record + RECORD) as *mut u8, 0, page - RECORD);
            let _ = memory::unback(record + page, span.len - span.heap - page, Protection::Read);
        }
    }
}
