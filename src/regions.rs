//! Where regions come from and where they go: made for a thread, abandoned when it ends, taken over
//! when their blocks are gone, or nearly.

use crate::engine::Engine;
use crate::heap::Heap;
use crate::index::RegionNumber;
use crate::page::table::GROUP_PAGES;
use crate::page::{Pte, State};
use crate::pager::Place;
use crate::region::{FreeRegions, Owner, Region};
use crate::report::say;
use crate::sync::Closer;
use crate::sys::memory::{self, Protection};
use crate::sys::thread::Quiet;
use crate::units::HumanSize;
use core::sync::atomic::{AtomicBool, Ordering};

/// With more ownerless regions than this, a new thread takes one over instead of getting a new one.
const MANY_OWNERLESS: usize = 16;
/// A few places of the span may be taken by others; if many fail there is no memory for the record.
const PLACES_TRIED: u32 = 16;

impl Engine {
    /// A region for `owner`: one without blocks; or, unless it must be `whole`, one that an
    /// ended thread left with some blocks; or a new one.
    pub fn acquire_region(&'static self, owner: Owner, whole: bool) -> Option<Place> {
        let _stack = self.keep_stack();
        if self.regions().hold_free().is_empty() {
            self.collect_ownerless();
        }
        let mut free = self.regions().hold_free();
        let place = self
            .take_listed(&mut free)
            .or_else(|| if whole { None } else { self.find_roomy() })
            .or_else(|| self.make_next(&free))
            .or_else(|| if whole { None } else { self.ownerless().next() });
        let Some(place) = place else {
            self.complain_of_space();
            return None;
        };
        place.region.set_owner(owner);
        drop(free);
        // Whoever found the region abandoned may still be in it, with the right to close gates.
        drop(Closer::hold());
        // SAFETY: the region was just given to the caller.
        if let Some(mut heap) = unsafe { place.region.gate().enter() } {
            place.collect(&mut heap);
            place.region.set_inherited(heap.live() > 0);
        }
        self.scrub(&place);
        Some(place)
    }

    /// No region could be made: says so, once.
    #[cold]
    fn complain_of_space(&self) {
        static SAID: AtomicBool = AtomicBool::new(false);
        // Relaxed: nothing depends on who says it.
        if !SAID.swap(true, Ordering::Relaxed) {
            let heap = HumanSize(self.span().heap as u64);
            say(format_args!("no room for the region of a thread, VMALLOC_HEAP={heap}: no address space (ulimit -v), or no frames for its bookkeeping"));
        }
    }

    fn ownerless(&'static self) -> impl Iterator<Item = Place> {
        self.places().filter(|place| place.region.owner() == Owner::Nobody)
    }

    /// A region without owner that is not even half used: it saves the bookkeeping of another, and the
    /// new owner finds its room in pages that are resident. With very many of them, any.
    fn find_roomy(&'static self) -> Option<Place> {
        let many = self.ownerless().count() > MANY_OWNERLESS;
        let roomy = |place: &Place| place.region.groups() * GROUP_PAGES < place.page_count() / 2 && !self.is_armed();
        self.ownerless().find(|place| many || roomy(place))
    }

    /// Clears what an earlier owner left where no block lies: no thread sees another's bytes.
    fn scrub(&'static self, place: &Place) {
        // A handler of the program may touch a page whose token we hold.
        let _quiet = Quiet::begin();
        for page in place.backed_pages() {
            let entry = place.entry(page);
            let pte = entry.load();
            let stale = match pte.state() {
                State::Retained => !pte.has(Pte::ZERO),
                // Later these pages may be absent, and then they stay as they are.
                State::Resident => !self.is_armed() && pte.pins() == 0,
                _ => false,
            };
            let Some(token) = stale.then(|| entry.begin(pte, State::Filling)).flatten() else {
                continue;
            };
            let arena = self.frames().arena();
            if pte.state() == State::Retained {
                arena.clear(pte.frame());
                token.finish(pte.with(Pte::ZERO));
                continue;
            }
            Heap::each_dead_run(place, page.get(), |first, n| {
                arena.clear_part(pte.frame(), first as usize * 16, n as usize * 16)
            });
            token.give_back();
        }
    }

    pub(crate) fn take_listed(&'static self, free: &mut FreeRegions) -> Option<Place> {
        let place = self.place(free.first()?);
        free.advance(place.region.delist());
        Some(place)
    }

    /// A new region; the list of free ones is held.
    pub(crate) fn make_next(&'static self, _free: &FreeRegions) -> Option<Place> {
        let made = self.regions().places_looked_at();
        for number in (made..self.span().most.min(made + PLACES_TRIED)).map(RegionNumber::new) {
            if self.make_region(number) {
                self.regions().note_looked_at(number);
                return Some(self.place(number));
            }
        }
        None
    }

    /// Takes in what was freed in regions without owners.
    fn collect_ownerless(&'static self) {
        for place in self.ownerless() {
            if place.region.has_freed() {
                self.collect_abandoned(&place);
            }
        }
    }

    /// Reserves the place with this number and gives its record a frame.
    fn make_region(&'static self, number: RegionNumber) -> bool {
        let span = self.span();
        let slot = span.slot(number);
        // The room of an exact engine is reserved as a whole.
        if !self.is_exact() && memory::reserve_at(slot, span.len, Protection::None).is_err() {
            return false;
        }
        let table = slot + span.heap;
        // SAFETY: the place was just reserved by us.
        let readable = unsafe { memory::protect(table, span.len - span.heap, Protection::Read) };
        if readable.is_err() || !self.map_bookkeeping(table) {
            if !self.is_exact() {
                // SAFETY: we have just reserved the place, and no region is there yet, so nobody knows it.
                let _ = unsafe { memory::unmap(slot, span.len) };
            }
            return false;
        }
        self.place(number).region.begin(number, self.page_size());
        self.regions().note_region(number);
        true
    }

    /// The owner ends: its region has no owner any more. The caller is the owner, outside the gate.
    pub fn abandon_region(&'static self, place: &Place) {
        let _stack = self.keep_stack();
        let closer = Closer::hold();
        // SAFETY: we are the owner, outside.
        let heap = unsafe { place.region.gate().unowned(&closer) };
        place.collect(heap);
        self.tidy(place, heap);
        let empty = heap.live() == 0;
        place.region.set_owner(Owner::Nobody);
        if empty {
            self.enlist(place);
        }
    }

    /// Enters an empty region without owner in the list; the caller holds the right to close gates.
    pub(crate) fn enlist(&'static self, place: &Place) {
        let mut free = self.regions().hold_free();
        if place.region.owner() == Owner::Nobody {
            free.enlist(place.region);
        }
    }

    /// Takes in what other threads freed in a region without owner; called by whoever freed enough
    /// there to make it worth while.
    pub fn collect_abandoned(&'static self, place: &Place) {
        let _stack = self.keep_stack();
        let closer = Closer::hold();
        if place.region.owner() == Owner::Nobody {
            // SAFETY: nobody owns the region, and whoever takes it over waits for us.
            let heap = unsafe { place.region.gate().unowned(&closer) };
            place.collect(heap);
            self.tidy(place, heap);
            if heap.live() == 0 {
                self.enlist(place);
            }
        }
    }

    /// Gives back the pages without blocks of a region that nobody owns. While frames are plentiful
    /// what lies in bins waits there until the last block is gone.
    fn tidy(&'static self, place: &Place, heap: &mut Heap) {
        if heap.live() == 0 || self.is_armed() {
            heap.flush(place);
        }
    }

    /// Does `work` on the heap of a region that is not the caller's, with its owner kept out.
    /// `own` when the caller owns the region after all.
    pub fn with_closed<T>(&'static self, place: &Place, own: bool, work: impl FnOnce(&mut Heap) -> T) -> T {
        let _stack = self.keep_stack();
        let closer = Closer::hold();
        let mut heap = place.region.gate().close(&closer, own);
        work(&mut heap)
    }

    /// Memory is short: takes in everything that was freed anywhere and gives back every empty page.
    /// The caller is outside the gate of its own region, `own`.
    pub fn collect_everywhere(&'static self, own: Option<&Region>) {
        let _stack = self.keep_stack();
        for place in self.places() {
            let is_own = own.is_some_and(|own| core::ptr::eq(own, place.region));
            self.with_closed(&place, is_own, |heap| {
                place.collect(heap);
                heap.flush(&place);
                if heap.live() == 0 {
                    place.unback_blocks();
                    self.enlist(&place);
                }
            });
        }
    }
}
