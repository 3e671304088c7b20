//! The pager: the life of a page fault, from the touched address to the repeated instruction.
//!
//! 1. The address gives the region and the page; the entry says what is asked for (`fault.rs`).
//! 2. One compare-and-swap to `Filling` takes the token; who loses it waits on the entry.
//! 3. A frame is obtained (`reclaim.rs`), and filled through the engine view: zeros, or the slot.
//! 4. Only then the frame is mapped into the program view, so nobody ever sees half a page.
//! 5. The policy is told, the entry becomes `Resident`, and the waiters are woken.
//!
//! Runs in the SIGSEGV handler with every signal blocked, and on behalf of system calls.

use crate::arena::Owner;
use crate::engine::{Engine, Who};
use crate::fault::{granted, plan, Plan};
use crate::index::FrameIndex;
use crate::live_bits::LiveBits;
use crate::outlook::Report;
use crate::page_table::Page;
use crate::policy::{Arrival, PageId};
use crate::pte::{Pte, State};
use crate::reclaim::Obtained;
use crate::region::Place;
use crate::report::say;
use crate::stats::{Counter, Eviction, FaultKind};
use crate::swap_map::ELSEWHERE;
use crate::sys::{thread, torture};
use crate::trace::{Access, PageName, What};
use crate::view::protection;
use core::sync::atomic::{AtomicU32, Ordering};

/// How often a fault is tried again when the kernel refuses another mapping.
const ATTEMPTS: u32 = 1000;

/// How a fault ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The access can be repeated.
    Resolved,
    /// Not ours: the program's own handler, or death.
    Stray,
    /// The page cannot be had: the swap file failed. The toucher cannot go on.
    Lost,
}

/// A touch that is being served.
pub(crate) struct Touch<'a> {
    /// The region.
    pub(crate) place: &'a Place,
    /// The number of the page in it.
    pub(crate) page: u64,
    /// The address, for who observes.
    pub(crate) address: usize,
    /// To do what.
    pub(crate) access: Access,
    /// The caller has every signal blocked.
    pub(crate) masked: bool,
    /// For whom.
    pub(crate) who: Who,
}

/// Why a page could not be filled.
enum Failure {
    /// Too many mappings; room may be made.
    Mappings,
    /// The swap file could not be read, or nothing could leave memory.
    Lost,
}

impl Engine {
    /// Serves a touch of `address`. `masked` if the caller has every signal blocked.
    pub fn fault(&'static self, address: usize, access: Access, masked: bool) -> Outcome {
        let who = (self.hooks.who)();
        let Some((place, page)) = self.find_page(address) else {
            return self.stray(who, access, None);
        };
        self.serve(&Touch { place: &place, page, address, access, masked, who })
    }

    /// Serves a touch of a page by its number: for a door whose pages are seen elsewhere than at their
    /// own addresses. `address`, the one that was touched, is for its observer. `masked` as for
    /// [`Engine::fault`].
    pub fn touch(&'static self, place: &Place, page: u64, address: usize, access: Access, masked: bool) -> Outcome {
        self.serve(&Touch { place, page, address, access, masked, who: (self.hooks.who)() })
    }

    /// Serves a touch of a page.
    pub(crate) fn serve(&'static self, touch: &Touch<'_>) -> Outcome {
        let &Touch { place, page, access, who, .. } = touch;
        let entry = place.page(page);
        let mut attempts = 0;
        loop {
            let pte = entry.pte();
            let plan = plan(pte, access);
            let kind = match plan {
                Plan::Stray => return self.stray(who, access, Some((place, page))),
                Plan::Retry | Plan::Wait => FaultKind::Collision,
                Plan::FirstTouch => FaultKind::FirstTouch,
                Plan::SwapIn => FaultKind::SwapIn,
                Plan::Reference => FaultKind::Reference,
                Plan::FirstWrite => FaultKind::FirstWrite,
            };
            match plan {
                Plan::Stray => {}
                Plan::Retry => {
                    self.note(touch, kind, pte.index(), None);
                    return Outcome::Resolved;
                }
                Plan::Wait => {
                    self.wait(entry, pte);
                    // Whoever was at it has probably done what we came for.
                    if fault_is_over(entry.pte(), access) {
                        self.note(touch, kind, entry.pte().index(), None);
                        return Outcome::Resolved;
                    }
                }
                Plan::FirstTouch | Plan::SwapIn => {
                    if entry.change(pte, pte.to(State::Filling)).is_err() {
                        continue;
                    }
                    torture::pause();
                    match self.fill(touch, pte) {
                        Ok(Obtained { frame, evicted }) => {
                            let slot = (plan == Plan::SwapIn && pte.index() != ELSEWHERE).then_some(pte.index());
                            self.note(touch, kind, frame, slot);
                            self.report(touch, kind, access == Access::Write, frame, evicted);
                            return Outcome::Resolved;
                        }
                        Err(failure) => {
                            self.complete(entry, pte);
                            attempts += 1;
                            if matches!(failure, Failure::Lost) || attempts > ATTEMPTS {
                                return self.lose(place, page);
                            }
                        }
                    }
                }
                Plan::Reference | Plan::FirstWrite => {
                    if entry.change(pte, pte.to(State::Filling)).is_err() {
                        continue;
                    }
                    torture::pause();
                    if self.open_page(touch, pte) {
                        self.note(touch, kind, pte.index(), None);
                        let dirtied = access == Access::Write && !pte.has(Pte::M);
                        self.report(touch, kind, dirtied, pte.index(), None);
                        return Outcome::Resolved;
                    }
                    attempts += 1;
                    if attempts > ATTEMPTS {
                        return self.lose(place, page);
                    }
                }
            }
        }
    }

    /// The toucher of the page cannot go on: says so.
    #[cold]
    fn lose(&self, place: &Place, page: u64) -> Outcome {
        say(format_args!(
            "the page at {:#x} cannot be had: see above, or vm.max_map_count or `ulimit -v` is too low",
            place.page_address(page)
        ));
        Outcome::Lost
    }

    /// Fills a frame with the page and opens it. The caller holds the token, and completes the entry if
    /// this fails.
    fn fill(&'static self, touch: &Touch<'_>, was: Pte) -> Result<Obtained, Failure> {
        let &Touch { place, page, access, masked, who, .. } = touch;
        let id = PageId(place.page_address(page) as u64);
        let mut bits = LiveBits::new(self, false);
        self.policy.missed(&mut self.hold_pool(masked).lists(), id, &mut bits);
        let obtained = self.obtain_frame(masked).ok_or_else(|| {
            self.explain(place.page_address(page));
            Failure::Lost
        })?;
        let frame = obtained.frame;
        let known = self.arena().frame(frame);
        let slot = (was.state() == State::Swapped).then_some(was.index());
        match slot {
            Some(slot) if self.load(place, page, slot, frame, who).is_err() => {
                self.return_frame(frame);
                return Err(Failure::Lost);
            }
            Some(_) => {}
            None => self.clear(place, page, frame),
        }
        torture::pause();
        let flags = granted(Pte::new(State::Resident, frame, 0).with_terms_of(was), access);
        let now = Pte::new(State::Resident, frame, flags).with_terms_of(was);
        if place.open(page, frame, protection(now)).is_err() {
            self.return_frame(frame);
            return Err(if self.make_room_for_mappings(masked) { Failure::Mappings } else { Failure::Lost });
        }
        let dirty = flags & Pte::M != 0;
        let number = self.gauges.faults.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(2);
        known.stamp.store(number, Ordering::Relaxed);
        // Release: pairs with the swap of whoever drops or keeps the slot.
        known.slot.store(slot.filter(|_| !dirty).map_or(0, |slot| slot + 1), Ordering::Release);
        known.set_owner(Owner::Page(place.page_address(page)));
        let mut pool = self.hold_pool(masked);
        let mut bits = LiveBits::new(self, false);
        self.policy.inserted(&mut pool.lists(), FrameIndex::new(frame), id, Arrival::Fault, &mut bits);
        if let Some(slot) = slot.filter(|_| dirty) {
            pool.give_slot(slot);
        }
        drop(pool);
        self.complete(place.page(page), now);
        Ok(obtained)
    }

    /// Nothing could leave memory: says what is there, since this must not happen.
    #[cold]
    fn explain(&'static self, address: usize) {
        let layout = self.arena().layout();
        let (mut pinned, mut resident, mut retained, mut transit, mut other) = (0, 0, 0, 0, 0);
        for frame in layout.first_pool..layout.first_shared {
            if let Owner::Page(address) = self.arena().frame(frame).owner() {
                let pte = self.find_page(address).map_or(Pte::VOID, |(place, page)| place.page(page).pte());
                match pte.state() {
                    _ if pte.pins() > 0 => pinned += 1,
                    State::Resident => resident += 1,
                    State::Retained => retained += 1,
                    _ if pte.in_transit() => transit += 1,
                    _ => other += 1,
                }
            }
        }
        let usage = self.usage();
        say(format_args!(
            "no page could leave memory for the page at {address:#x}: of {} frames {} are in use, {resident} by pages, \
             {retained} retained, {pinned} pinned, {transit} in transit, {other} otherwise, {} by bookkeeping; {} of {} slots in use",
            layout.frames,
            usage.frames_used,
            self.gauges.bookkeeping.load(Ordering::Relaxed),
            usage.slots_used,
            layout.slots
        ));
    }

    /// Gives a resident page the protection that `access` needs. The caller holds the token, which
    /// this gives up in any case.
    fn open_page(&'static self, touch: &Touch<'_>, was: Pte) -> bool {
        let &Touch { place, page, access, masked, .. } = touch;
        let entry = place.page(page);
        let flags = granted(was, access);
        let now = Pte::new(State::Resident, was.index(), flags).with_pins_of(was).with_terms_of(was);
        if place.protect(page, protection(now)).is_err() {
            self.complete(entry, was);
            self.make_room_for_mappings(masked);
            return false;
        }
        if flags & Pte::M != 0 {
            self.drop_slot(was.index());
        }
        if !was.has(Pte::READ) {
            let mut pool = self.hold_pool(masked);
            let mut bits = LiveBits::new(self, false);
            self.policy.referenced(&mut pool.lists(), FrameIndex::new(was.index()), &mut bits);
        }
        self.complete(entry, now);
        true
    }

    /// Waits until the page is no longer in transit.
    pub(crate) fn wait(&self, entry: &Page, mut pte: Pte) {
        while pte.in_transit() {
            let waiting = pte.with(Pte::WAITERS);
            if waiting != pte && entry.change(pte, waiting).is_err() {
                pte = entry.pte();
                continue;
            }
            thread::futex_wait(low_half(entry), waiting.0 as u32, None);
            pte = entry.pte();
        }
    }

    /// Ends a transition and wakes who waited for it.
    pub(crate) fn complete(&self, entry: &Page, to: Pte) {
        torture::pause();
        if entry.finish(to.without(Pte::WAITERS)).has(Pte::WAITERS) {
            thread::futex_wake(low_half(entry), i32::MAX);
        }
    }

    /// The kernel refuses another mapping: evicts a page that stands alone between absent ones, which
    /// makes three mappings one.
    pub(crate) fn make_room_for_mappings(&'static self, masked: bool) -> bool {
        (0..64).fold(false, |made, _| {
            let obtained = self.obtain_lonely(masked);
            if let Some(obtained) = &obtained {
                self.return_frame(obtained.frame);
            }
            made | obtained.is_some()
        })
    }

    fn stray(&self, who: Who, access: Access, page: Option<(&Place, u64)>) -> Outcome {
        self.count(who, Counter::Stray, 1);
        if self.trace.is_on() {
            let name = page.map(|(place, page)| name(place, page));
            self.trace.enter(who.thread, What::Fault(FaultKind::Stray, access), name, None, None);
        }
        Outcome::Stray
    }

    fn note(&self, touch: &Touch<'_>, kind: FaultKind, frame: u32, slot: Option<u32>) {
        self.count(touch.who, kind.counter(), 1);
        if self.trace.is_on() {
            let name = name(touch.place, touch.page);
            self.trace.enter(touch.who.thread, What::Fault(kind, touch.access), Some(name), Some(frame), slot);
        }
    }

    /// Tells the region's observer, if it has one.
    fn report(&self, touch: &Touch<'_>, kind: FaultKind, dirtied: bool, frame: u32, evicted: Option<(PageName, Eviction)>) {
        if let Some(observer) = touch.place.region.outlook().and_then(|outlook| outlook.observer) {
            let (page, frame) = (name(touch.place, touch.page), self.arena().number(frame));
            let &Touch { address, access, .. } = touch;
            observer.served(&Report { page, address, kind, access, dirtied, frame, evicted });
        }
    }
}

fn fault_is_over(pte: Pte, access: Access) -> bool {
    pte.state() == State::Resident && pte.allows(access)
}

fn name(place: &Place, page: u64) -> PageName {
    PageName { region: place.region.number.load(Ordering::Relaxed), page: page as u32 }
}

/// The half of the entry with state, flags and pins: what a futex can compare.
fn low_half(entry: &Page) -> &AtomicU32 {
    let word: *const core::sync::atomic::AtomicU64 = entry.pte_word();
    // SAFETY: on little-endian x86-64 the low half of the word begins at its address; the kernel
    // only compares it.
    unsafe { &*word.cast::<AtomicU32>() }
}
