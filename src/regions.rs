//! Where regions come from and where they go: made for a thread, abandoned when it ends, taken over
//! when their blocks are gone, or nearly; and the frames of their growing bookkeeping.

use crate::arena::Owner;
use crate::engine::{Engine, Regions};
use crate::gate::Closer;
use crate::heap::{Ground, Heap};
use crate::page_table::{Group, GROUP_PAGES};
use crate::pte::{Pte, State};
use crate::region::{Place, Region};
use crate::report::say;
use crate::span::RECORD;
use crate::sys::memory::{self, Protection};
use crate::sys::thread::Quiet;
use crate::units::HumanSize;
use core::sync::atomic::{AtomicBool, Ordering};

/// The owner of a region that everybody may use with its gate closed, and nobody takes over.
pub const EVERYBODY: u32 = u32::MAX - 1;
/// With more ownerless regions than this, a new thread takes one over instead of getting a new one.
const MANY_OWNERLESS: usize = 16;

impl Engine {
    /// A region for the thread `thread`: one without blocks; or, unless it must be `whole`, one that an
    /// ended thread left with some blocks; or a new one.
    pub fn acquire_region(&'static self, thread: u32, whole: bool) -> Option<Place> {
        let _stack = self.keep_stack();
        if self.regions.hold().free == 0 {
            self.collect_ownerless();
        }
        let mut regions = self.regions.hold();
        let place = self
            .take_listed(&mut regions)
            .or_else(|| if whole { None } else { self.find_roomy() })
            .or_else(|| self.make_next(&mut regions))
            .or_else(|| if whole { None } else { self.ownerless().next() });
        let Some(place) = place else {
            self.complain_of_space();
            return None;
        };
        // Release: pairs with those who ask whose region it is.
        place.region.owner.store(thread + 1, Ordering::Release);
        drop(regions);
        // Whoever found the region abandoned may still be in it, with the right to close gates.
        drop(Closer::hold());
        if place.region.gate().enter() {
            // SAFETY: we are the owner, inside the gate.
            let heap = unsafe { place.region.heap() };
            collect(&place, heap);
            place.region.inherited.store(u32::from(heap.live() > 0), Ordering::Relaxed);
            place.region.gate().leave();
        }
        self.scrub(&place);
        Some(place)
    }

    /// No region could be made: says so, once.
    #[cold]
    fn complain_of_space(&self) {
        static SAID: AtomicBool = AtomicBool::new(false);
        if !SAID.swap(true, Ordering::Relaxed) {
            let heap = HumanSize(self.span().heap as u64);
            say(format_args!("no room for the region of a thread, VMALLOC_HEAP={heap}: no address space (ulimit -v), or no frames for its bookkeeping"));
        }
    }

    fn ownerless(&'static self) -> impl Iterator<Item = Place> {
        // Relaxed: the list of regions is held, or the answer is a hint.
        self.places().filter(|place| place.region.owner.load(Ordering::Relaxed) == 0)
    }

    /// A region without owner that is not even half used: it saves the bookkeeping of another, and the
    /// new owner finds its room in pages that are resident. With very many of them, any.
    fn find_roomy(&'static self) -> Option<Place> {
        let many = self.ownerless().count() > MANY_OWNERLESS;
        let roomy = |place: &Place| place.backed_groups() * GROUP_PAGES < place.pages() / 2 && !self.is_armed();
        self.ownerless().find(|place| many || roomy(place))
    }

    /// Clears what an earlier owner left where no block lies: no thread sees another's bytes.
    fn scrub(&'static self, place: &Place) {
        // A handler of the program may touch a page whose token we hold.
        let _quiet = Quiet::begin();
        for page in 0..(place.backed_groups() * GROUP_PAGES).min(place.pages()) {
            let entry = place.page(page);
            let pte = entry.pte();
            let stale = match pte.state() {
                State::Retained => !pte.has(Pte::ZERO),
                // Later these pages may be absent, and then they stay as they are.
                State::Resident => !self.is_armed() && pte.pins() == 0,
                _ => false,
            };
            if !stale || entry.change(pte, pte.to(State::Filling)).is_err() {
                continue;
            }
            if pte.state() == State::Retained {
                self.arena().clear(pte.index(), 1);
                self.complete(entry, pte.with(Pte::ZERO));
                continue;
            }
            Heap::each_dead_run(place, page, |first, n| {
                self.arena().clear_part(pte.index(), first as usize * 16, n as usize * 16)
            });
            self.complete(entry, pte);
        }
    }

    pub(crate) fn take_listed(&'static self, regions: &mut Regions) -> Option<Place> {
        let place = self.place(regions.free.checked_sub(1)?);
        regions.free = place.region.next.swap(0, Ordering::Relaxed);
        place.region.listed.store(0, Ordering::Relaxed);
        Some(place)
    }

    pub(crate) fn make_next(&'static self, _regions: &mut Regions) -> Option<Place> {
        // A few slots may be taken by others; if many fail there is no memory for the record.
        let made = self.gauges.regions.load(Ordering::Relaxed);
        for number in made..self.span().most.min(made + 16) {
            if self.make_region(number) {
                // Release: pairs with `places`.
                self.gauges.regions.store(number + 1, Ordering::Release);
                return Some(self.place(number));
            }
        }
        None
    }

    /// Takes in what was freed in regions without owners.
    fn collect_ownerless(&'static self) {
        for place in self.places() {
            let region = place.region;
            if region.owner.load(Ordering::Relaxed) == 0 && region.freed_blocks.load(Ordering::Relaxed) > 0 {
                self.collect_abandoned(&place);
            }
        }
    }

    /// Reserves slot `number` and gives its record a frame.
    fn make_region(&'static self, number: u32) -> bool {
        let span = self.span();
        let slot = span.slot(number);
        // The room of an exact engine is reserved as a whole.
        if !self.is_exact() && memory::reserve_at(slot, span.len, Protection::None).is_err() {
            return false;
        }
        let table = slot + span.heap;
        // SAFETY: the slot was just reserved by us.
        let readable = unsafe { memory::protect(table, span.len - span.heap, Protection::Read) };
        if readable.is_err() || !self.map_bookkeeping(table) {
            if !self.is_exact() {
                // SAFETY: nobody knows the slot.
                let _ = unsafe { memory::unmap(slot, span.len) };
            }
            return false;
        }
        let region = self.place(number).region;
        region.number.store(number, Ordering::Relaxed);
        region.gate().reset();
        region.table.store(self.page(), Ordering::Relaxed);
        if let Some(word) = self.present.get(number as usize / 64) {
            // Release: pairs with `exists`.
            word.fetch_or(1 << (number % 64), Ordering::Release);
        }
        true
    }

    /// The owner ends: its region has no owner any more. The caller is the owner, outside the gate.
    pub fn abandon_region(&'static self, place: &Place) {
        let _stack = self.keep_stack();
        let closer = Closer::hold();
        // SAFETY: we are the owner and hold the right to close gates, so nobody else comes in.
        let heap = unsafe { place.region.heap() };
        collect(place, heap);
        self.tidy(place, heap);
        let empty = heap.live() == 0;
        // Release: pairs with the acquire of the next owner.
        place.region.owner.store(0, Ordering::Release);
        if empty {
            self.enlist(place);
        }
        drop(closer);
    }

    /// Enters an empty region without owner in the list; the caller holds the right to close gates.
    pub(crate) fn enlist(&'static self, place: &Place) {
        let mut regions = self.regions.hold();
        let number = place.region.number.load(Ordering::Relaxed);
        if place.region.owner.load(Ordering::Relaxed) == 0 && place.region.listed.swap(1, Ordering::Relaxed) == 0 {
            place.region.next.store(regions.free, Ordering::Relaxed);
            regions.free = number + 1;
        }
    }

    /// Takes in what other threads freed in a region without owner; called by whoever freed enough
    /// there to make it worth while.
    pub fn collect_abandoned(&'static self, place: &Place) {
        let _stack = self.keep_stack();
        let closer = Closer::hold();
        if place.region.owner.load(Ordering::Acquire) == 0 {
            // SAFETY: nobody owns the region, and whoever takes it over waits for us.
            let heap = unsafe { place.region.heap() };
            collect(place, heap);
            self.tidy(place, heap);
            if heap.live() == 0 {
                self.enlist(place);
            }
        }
        drop(closer);
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
        place.region.gate().close(&closer, own);
        // SAFETY: the gate is closed, and only one thread can close gates.
        let result = work(unsafe { place.region.heap() });
        place.region.gate().open(&closer);
        result
    }

    /// Memory is short: takes in everything that was freed anywhere and gives back every empty page.
    /// The caller is outside the gate of its own region, `own`.
    pub fn collect_everywhere(&'static self, own: Option<&Region>) {
        let _stack = self.keep_stack();
        let made = self.gauges.regions.load(Ordering::Acquire);
        for number in (0..made).filter(|number| self.exists(*number)) {
            let place = self.place(number);
            let is_own = own.is_some_and(|own| core::ptr::eq(own, place.region));
            self.with_closed(&place, is_own, |heap| {
                collect(&place, heap);
                heap.flush(&place);
                if heap.live() == 0 && place.region.owner.load(Ordering::Relaxed) == 0 {
                    self.enlist(&place);
                }
            });
        }
    }

    /// Every region that exists.
    pub fn places(&'static self) -> impl Iterator<Item = Place> {
        // Acquire: pairs with the release in `make_next`.
        let made = self.gauges.regions.load(Ordering::Acquire);
        (0..made).filter(|number| self.exists(*number)).map(|number| self.place(number))
    }

    /// See [`Ground::back`].
    pub(crate) fn back(&'static self, place: &Place, page: u64, n: u64, with_granules: bool) -> bool {
        let groups = (page + n).div_ceil(GROUP_PAGES);
        let region = place.region;
        if groups > place.backed_groups() {
            let wanted = RECORD + groups as usize * size_of::<Group>();
            while region.table.load(Ordering::Relaxed) < wanted {
                let table = region.table.load(Ordering::Relaxed);
                if !self.map_bookkeeping(place.base + self.span().heap + table) {
                    return false;
                }
                region.table.store(table + self.page(), Ordering::Relaxed);
            }
            // Release: pairs with `backed_groups` of other threads.
            region.groups.store(groups as u32, Ordering::Release);
        }
        if !with_granules {
            return true;
        }
        (page / GROUP_PAGES..groups).all(|number| {
            let group = place.group(number);
            let at = place.base + self.span().granules + number as usize * self.page();
            group.has(Group::BITS)
                || (self.map_bookkeeping(at) && {
                    group.mark(Group::BITS);
                    true
                })
        })
    }

    /// See [`Shelves::back_shelf`](crate::heap::bins::Shelves::back_shelf): frames are plentiful until
    /// the first page is absent.
    pub(crate) fn back_shelf(&'static self, place: &Place, number: usize) -> bool {
        if self.is_armed() {
            return false;
        }
        let page = (number * size_of::<u32>()) >> self.page_shift();
        let bit = 1 << page;
        // Relaxed: only the holder of the region's gate looks at it.
        let backed = place.region.shelves.load(Ordering::Relaxed);
        if backed & bit == 0 {
            if !self.map_bookkeeping(place.base + self.span().shelves + (page << self.page_shift())) {
                return false;
            }
            place.region.shelves.store(backed | bit, Ordering::Relaxed);
        }
        true
    }

    /// Makes room to note blocks that other threads free in the group of `page`. The caller keeps
    /// all others out of the region.
    pub fn back_freed(&'static self, place: &Place, page: u64) -> bool {
        let pair = (page / GROUP_PAGES) & !1;
        let at = place.base + self.span().freed + (pair / 2) as usize * self.page();
        let done = place.group(pair).has(Group::FREED);
        if !done && !self.map_bookkeeping(at) {
            return false;
        }
        place.group(pair).mark(Group::FREED);
        true
    }

    /// Whether blocks in the group of `page` can be noted as freed.
    #[inline]
    pub fn can_note_freed(&self, place: &Place, page: u64) -> bool {
        place.group((page / GROUP_PAGES) & !1).has(Group::FREED)
    }

    /// Gives the bookkeeping page at `at` a frame for ever; memory beside the arena if that is for pages only.
    fn map_bookkeeping(&'static self, at: usize) -> bool {
        if self.is_exact() {
            // SAFETY: the address is bookkeeping space of a region of ours that nothing backs yet.
            return unsafe { memory::unback(at, self.page(), Protection::ReadWrite) }.is_ok();
        }
        let _stack = self.keep_stack();
        // Paging needs frames too: bookkeeping never takes the last of them.
        let taken = self.gauges.bookkeeping.load(Ordering::Relaxed) + self.gauges.pinned.load(Ordering::Relaxed);
        if taken + (self.pool_frames() / 8).max(12) >= self.pool_frames() || !self.take_promise(1) {
            return false;
        }
        // Until the frame has its owner: a handler of the program may fork, which waits for that.
        let _quiet = Quiet::begin();
        let Some(frame) = self.obtain_frame(true).map(|obtained| obtained.frame) else {
            self.give_promise(1);
            return false;
        };
        self.arena().clear(frame, 1);
        // SAFETY: the address is bookkeeping space of a region of ours that has no frame yet.
        if unsafe { self.arena().show(at, self.page(), Protection::ReadWrite, frame) }.is_err() {
            self.return_frame(frame);
            self.give_promise(1);
            return false;
        }
        self.arena().frame(frame).set_owner(Owner::Bookkeeping(at));
        self.gauges.bookkeeping.fetch_add(1, Ordering::Relaxed);
        true
    }
}

/// Takes in the blocks of a region that other threads freed. The caller may use the heap.
pub fn collect(place: &Place, heap: &mut Heap) -> u64 {
    // AcqRel: pairs with the release of those who freed.
    let mut residues = place.region.freed_groups.swap(0, Ordering::AcqRel);
    let mut collected = 0;
    while residues != 0 {
        let residue = u64::from(residues.trailing_zeros());
        residues &= residues - 1;
        let mut number = residue;
        while number < place.backed_groups() {
            collected += heap.collect(place, number);
            number += 64;
        }
    }
    place.region.freed_blocks.fetch_sub(collected, Ordering::Relaxed);
    collected
}
