//! Faults: from the touched address to the repeated instruction.
//!
//! 1. The address gives the region and the page; the entry says what is asked for (`page/plan.rs`).
//! 2. One compare-and-swap to `Filling` takes the token; who loses it waits on the entry.
//! 3. A frame is obtained (`reclaim.rs`), and filled through the engine view: zeros, or the slot.
//! 4. Only then the frame is shown to the program, so nobody ever sees half a page.
//! 5. The policy is told, the entry becomes `Resident`, and the waiters are woken.
//!
//! Runs in the SIGSEGV handler with every signal blocked, and on behalf of system calls.
#![forbid(unsafe_code)]

use super::bits::LiveBits;
use super::evict::Obtained;
use super::place::Place;
use crate::engine::Engine;
use crate::events::stats::FaultKind;
use crate::events::{Event, Fault, Who};
use crate::index::{FrameIndex, PageNumber};
use crate::mapper::protection;
use crate::page::{granted, plan, Access, Plan, Pte, State, Token};
use crate::policy::Arrival;
use crate::report::say;
use crate::sys::thread::Quiet;
use crate::sys::torture;

/// How often a fault is tried again when the kernel refuses another mapping.
const ATTEMPTS: u32 = 1000;

/// How a fault ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The access can be repeated.
    Resolved,
    /// Not ours: the program's own handler, or death.
    Stray,
    /// The page cannot be had: the swap device failed. The toucher cannot go on.
    Lost,
}

/// A touch that is being served.
struct Touch<'a> {
    place: &'a Place,
    page: PageNumber,
    /// The address, for who observes.
    address: usize,
    access: Access,
    quiet: &'a Quiet,
    who: Who,
}

/// What a touch came to, so far.
enum Step {
    /// It was served: what there is to tell.
    Served(Fault),
    /// Look again: somebody else has changed the entry.
    Again,
    /// The kernel refused a mapping, and room was made, perhaps.
    Refused,
    /// The page cannot be had.
    Lost,
}

impl Engine {
    /// Serves a touch of `address`. `masked` if the caller has every signal blocked.
    pub fn fault(&'static self, address: usize, access: Access, masked: bool) -> Outcome {
        match self.find_page(address) {
            Some((place, page)) => self.touch(&place, page, address, access, masked),
            None => self.stray(&self.who(), address, access, None),
        }
    }

    /// Serves a touch of a page by its number: for a door whose pages are seen elsewhere than at their
    /// own addresses. `address`, the one that was touched, is for its sink. `masked` as for
    /// [`Engine::fault`].
    pub fn touch(&'static self, place: &Place, page: PageNumber, address: usize, access: Access, masked: bool) -> Outcome {
        let quiet = Quiet::unless(masked);
        self.serve(&Touch { place, page, address, access, quiet: &quiet, who: self.who() })
    }

    fn serve(&'static self, touch: &Touch<'_>) -> Outcome {
        let &Touch { place, page, access, .. } = touch;
        let entry = place.entry(page);
        let mut attempts = 0;
        loop {
            let pte = entry.load();
            let step = match plan(pte, access) {
                Plan::Stray => return self.stray(&touch.who, touch.address, access, Some((place, page))),
                Plan::Retry => Step::Served(touch.fault(FaultKind::Collision, pte.frame())),
                Plan::Wait => {
                    entry.wait(pte);
                    // Whoever was at it has probably done what we came for.
                    match entry.load() {
                        now if is_over(now, access) => Step::Served(touch.fault(FaultKind::Collision, now.frame())),
                        _ => Step::Again,
                    }
                }
                Plan::FirstTouch | Plan::SwapIn => {
                    entry.begin(pte, State::Filling).map_or(Step::Again, |token| self.fill(touch, token))
                }
                Plan::Reference => {
                    entry.begin(pte, State::Filling).map_or(Step::Again, |token| self.open(touch, token, FaultKind::Reference))
                }
                Plan::FirstWrite => {
                    entry.begin(pte, State::Filling).map_or(Step::Again, |token| self.open(touch, token, FaultKind::FirstWrite))
                }
            };
            match step {
                Step::Served(fault) => {
                    let sink = place.region.outlook().and_then(|outlook| outlook.sink);
                    self.emit(&touch.who, &Event::Fault(fault), sink);
                    return Outcome::Resolved;
                }
                Step::Again => {}
                Step::Refused if attempts < ATTEMPTS => attempts += 1,
                Step::Refused | Step::Lost => return lose(place, page),
            }
        }
    }

    /// Fills a frame with the page and shows it.
    fn fill(&'static self, touch: &Touch<'_>, token: Token<'_>) -> Step {
        torture::pause();
        let &Touch { place, page, access, quiet, .. } = touch;
        let was = token.was();
        let mut bits = LiveBits::new(self, false);
        self.frames().missed(place.page_address(page), &mut bits, quiet);
        let Some(Obtained { frame, evicted }) = self.obtain_frame(quiet) else {
            self.explain(place.page_address(page));
            token.give_back();
            return Step::Lost;
        };
        let slot = (was.state() == State::Swapped).then_some(was.slot());
        let mut cluster = None;
        let filled = match (slot, place.store()) {
            (None, _) => {
                place.clear(page, frame);
                Ok(())
            }
            (Some(_), Some(store)) => place.load_from(store, page, frame, &touch.who),
            (Some(slot), None) => cluster.insert(self.gather(place, page, slot, frame, quiet)).read(&touch.who),
        };
        if filled.is_err() {
            cluster.into_iter().for_each(|cluster| cluster.give_back(quiet));
            self.frames().give(frame, 1, quiet);
            token.give_back();
            return Step::Lost;
        }
        torture::pause();
        let flags = granted(Pte::resident(frame, 0).with_terms_of(was), access);
        let now = Pte::resident(frame, flags).with_terms_of(was);
        if place.show(page, frame, protection(now)).is_err() {
            cluster.into_iter().for_each(|cluster| cluster.give_back(quiet));
            self.frames().give(frame, 1, quiet);
            let room = self.make_room_for_mappings(quiet);
            token.give_back();
            return if room { Step::Refused } else { Step::Lost };
        }
        let dirty = flags & Pte::M != 0;
        self.frames().frame(frame).set_copy(slot.filter(|_| !dirty));
        self.frames().enter(frame, place.page_address(page), Arrival::Fault, &mut bits, quiet);
        slot.filter(|_| dirty).into_iter().for_each(|slot| place.free_slot(slot));
        token.finish(now);
        cluster.into_iter().for_each(|cluster| cluster.show(quiet, &touch.who));
        let kind = if slot.is_some() { FaultKind::SwapIn } else { FaultKind::FirstTouch };
        let slot = slot.and_then(|slot| place.traced(slot));
        Step::Served(Fault { slot, dirtied: access == Access::Write, evicted, ..touch.fault(kind, frame) })
    }

    /// Gives a resident page the protection that the access needs.
    fn open(&'static self, touch: &Touch<'_>, token: Token<'_>, kind: FaultKind) -> Step {
        torture::pause();
        let &Touch { place, page, access, quiet, .. } = touch;
        let was = token.was();
        let frame = was.frame();
        let flags = granted(was, access);
        let now = Pte::resident(frame, flags).with_pins_of(was).with_terms_of(was);
        if place.protect(page, protection(now)).is_err() {
            token.give_back();
            self.make_room_for_mappings(quiet);
            return Step::Refused;
        }
        if flags & Pte::M != 0 {
            place.drop_copy(frame);
        }
        if was.has(Pte::AHEAD) {
            self.read_ahead().judge(true);
            self.emit(&touch.who, &Event::AheadUsed, None);
        }
        if !was.has(Pte::READ) {
            self.frames().referenced(frame, &mut LiveBits::new(self, false), quiet);
        }
        token.finish(now);
        Step::Served(Fault { dirtied: access == Access::Write && !was.has(Pte::M), ..touch.fault(kind, frame) })
    }

    fn stray(&self, who: &Who, address: usize, access: Access, page: Option<(&Place, PageNumber)>) -> Outcome {
        let page = page.map(|(place, page)| place.name(page));
        let kind = FaultKind::Stray;
        let fault = Fault { kind, access, address, page, frame: None, slot: None, dirtied: false, evicted: None };
        self.emit(who, &Event::Fault(fault), None);
        Outcome::Stray
    }

    /// Nothing could leave memory: says what is there, since this must not happen.
    #[cold]
    fn explain(&'static self, address: usize) {
        let (mut pinned, mut resident, mut retained, mut transit, mut other) = (0, 0, 0, 0, 0);
        for frame in self.frames().all_from(0) {
            let Some((place, page)) = self.page_in(frame) else {
                continue;
            };
            let pte = place.entry(page).load();
            match pte.state() {
                _ if pte.pins() > 0 => pinned += 1,
                State::Resident => resident += 1,
                State::Retained => retained += 1,
                _ if pte.in_transit() => transit += 1,
                _ => other += 1,
            }
        }
        let in_use = self.in_use();
        say(format_args!(
            "no page could leave memory for the page at {address:#x}: of {} frames {} are in use, {resident} by pages, \
             {retained} retained, {pinned} pinned, {transit} in transit, {other} otherwise, {} by bookkeeping; {} of {} slots in use",
            self.frames().len(),
            self.frames().used(),
            self.frames().bookkeeping(),
            in_use.slots,
            self.swap().len()
        ));
    }
}

impl Touch<'_> {
    fn fault(&self, kind: FaultKind, frame: FrameIndex) -> Fault {
        Fault {
            kind,
            access: self.access,
            address: self.address,
            page: Some(self.place.name(self.page)),
            frame: Some(frame),
            slot: None,
            dirtied: false,
            evicted: None,
        }
    }
}

fn is_over(pte: Pte, access: Access) -> bool {
    pte.state() == State::Resident && pte.allows(access)
}

/// The toucher of the page cannot go on: says so.
#[cold]
fn lose(place: &Place, page: PageNumber) -> Outcome {
    say(format_args!(
        "the page at {:#x} cannot be had: see above, or vm.max_map_count or `ulimit -v` is too low",
        place.page_address(page)
    ));
    Outcome::Lost
}
