//! Eviction: how pages leave memory, a batch at a time. Six steps, all under the tokens of the victims.
//!
//! 1. Who wants a frame has claimed the victims: their entries are `Leaving`, and the policy has them in no list.
//! 2. The program's view of them is closed, neighbours with one call: from now on nobody changes the bytes, and who touches
//!    such a page waits. Each call interrupts every processor on which the process runs, so many pages share one.
//! 3. A page that was not modified and has a copy in a slot leaves without a write; one that is all zero needs no slot.
//! 4. The others are written to neighbouring slots, with one call for each run of them. Those that cannot be written are
//!    opened again and stay: nothing is lost.
//! 5. The entries say where the pages are now, and their waiters are woken.
//! 6. The frames are nobody's: one is the caller's, the others are free.

use super::bits::LiveBits;
use super::place::Place;
use crate::engine::Engine;
use crate::events::stats::Eviction;
use crate::events::{Event, Who};
use crate::frames::User;
use crate::index::{FrameIndex, PageName, PageNumber, Slot};
use crate::mapper::protection;
use crate::page::{Pte, State, Token};
use crate::policy::Arrival;
use crate::sys::thread::{self, Quiet};
use crate::sys::torture;

/// Pages that leave together at the most.
pub(crate) const BATCH: usize = 32;

/// A frame that is nobody's, and what had to leave it.
pub(crate) struct Obtained {
    /// Its bytes are of no value, or zero if it was never used.
    pub(crate) frame: FrameIndex,
    /// The page that was evicted for it.
    pub(crate) evicted: Option<(PageName, Eviction)>,
}

/// A page on its way out.
pub(crate) struct Victim {
    pub(crate) place: Place,
    pub(crate) page: PageNumber,
    token: Token<'static>,
    /// How it leaves, once that is known.
    left: Option<Left>,
}

/// How a page leaves.
#[derive(Clone, Copy)]
struct Left {
    /// What the entry becomes, but for its terms.
    pte: Pte,
    /// What is counted; nothing for a page on which no block lies.
    kind: Option<Eviction>,
}

impl Victim {
    fn was(&self) -> Pte {
        self.token.was()
    }

    pub(crate) fn frame(&self) -> FrameIndex {
        self.was().frame()
    }

    fn address(&self) -> usize {
        self.place.page_address(self.page)
    }

    /// Whether the page lies behind `other`'s, in the same region.
    fn follows(&self, other: &Victim) -> bool {
        core::ptr::eq(self.place.region, other.place.region) && self.page == other.page + 1
    }

    /// How the page leaves if that takes no write.
    fn settle(&mut self) {
        let engine = self.place.engine;
        let (frame, dirty) = (self.frame(), self.was().has(Pte::M));
        if self.was().state() == State::Retained {
            self.left = Some(Left { pte: Pte::VOID, kind: None });
            return;
        }
        if !dirty {
            if let Some(slot) = engine.frames().frame(frame).take_copy() {
                self.left = Some(Left { pte: Pte::swapped(slot), kind: Some(Eviction::Clean) });
                return;
            }
        }
        // Who counts wants a page that was modified to be written, whatever it holds.
        let zero = if engine.is_exact() { !dirty } else { engine.frames().arena().is_zero(frame) };
        if zero {
            self.left = Some(Left { pte: Pte::EMPTY, kind: Some(Eviction::Zero) });
        }
    }

    fn saved_in(&mut self, slot: Slot) {
        self.left = Some(Left { pte: Pte::swapped(slot), kind: Some(Eviction::Dirty) });
    }

    /// The page stays as it is, its view too.
    fn stay(self, quiet: &Quiet) {
        let was = self.was();
        self.keep(was, quiet);
    }

    /// The view was closed but the page has to stay: it is opened again, without I/O.
    fn reopen(self, quiet: &Quiet) {
        let open = self.was().with(Pte::M | self.was().permitted());
        // It was open a moment ago; if somebody else has used up the mappings since, they will be fewer again.
        while self.place.show(self.page, self.frame(), protection(open)).is_err() {
            thread::nap();
        }
        self.keep(open, quiet);
    }

    fn keep(self, pte: Pte, quiet: &Quiet) {
        let engine = self.place.engine;
        let mut bits = LiveBits::new(engine, false);
        engine.frames().enter(self.frame(), self.address(), Arrival::Back, &mut bits, quiet);
        self.token.finish(pte);
    }

    /// The page is gone: its entry says so, and the frame is nobody's.
    fn leave(self, left: Left, who: &Who) -> Obtained {
        let Victim { place, page, token, .. } = self;
        let (was, frame) = (token.was(), token.was().frame());
        if was.has(Pte::AHEAD) {
            place.engine.read_ahead().judge(false);
        }
        let name = place.name(page);
        if let Some(kind) = left.kind {
            let slot = (left.pte.state() == State::Swapped).then(|| place.traced(left.pte.slot())).flatten();
            place.engine.emit(who, &Event::Evicted { kind, page: name, frame, slot }, None);
        }
        token.finish(if left.kind.is_some() { left.pte.with_terms_of(was) } else { left.pte });
        place.engine.frames().frame(frame).set_user(User::Nobody);
        Obtained { frame, evicted: left.kind.map(|kind| (name, kind)) }
    }
}

impl Engine {
    /// Claims the page in `frame` if `suits` says so.
    pub(crate) fn claim(&'static self, frame: FrameIndex, suits: impl Fn(Pte) -> bool) -> Option<Victim> {
        let (place, page) = self.page_in(frame)?;
        let entry = place.entry(page);
        let was = entry.load();
        if was.frame() != frame || !suits(was) {
            return None;
        }
        let token = entry.begin(was, State::Leaving)?;
        Some(Victim { place, page, token, left: None })
    }
}

/// Victims that leave together, in the order of their addresses.
pub(crate) struct Batch {
    victims: [Option<Victim>; BATCH],
    len: usize,
}

impl Batch {
    /// A batch without victims.
    pub(crate) fn new() -> Batch {
        Batch { victims: [const { None }; BATCH], len: 0 }
    }

    /// A batch of one.
    pub(crate) fn of(victim: Victim) -> Batch {
        let mut batch = Batch::new();
        batch.add(victim);
        batch
    }

    /// Whether it has no victims.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a victim. There are fewer than [`BATCH`].
    pub(crate) fn add(&mut self, victim: Victim) {
        let Some(room) = self.victims.get_mut(self.len) else {
            return victim.token.give_back();
        };
        *room = Some(victim);
        // To its place by address: from the end on, past those that lie higher.
        let mut at = self.len;
        self.len += 1;
        while let Some([before, this]) = at.checked_sub(1).and_then(|before| self.victims.get_mut(before..=at)) {
            let address = |victim: &Option<Victim>| victim.as_ref().map_or(0, Victim::address);
            if address(before) <= address(this) {
                break;
            }
            core::mem::swap(before, this);
            at -= 1;
        }
    }

    /// Has the victims leave: a frame of those that did; the others' frames are free. `None` if all had to stay.
    pub(crate) fn evict(mut self, quiet: &Quiet, who: &Who) -> Option<Obtained> {
        torture::pause();
        self.hide(quiet);
        torture::pause();
        self.victims.iter_mut().flatten().for_each(Victim::settle);
        torture::pause();
        self.save(quiet, who);
        let mut obtained = None;
        for room in &mut self.victims {
            let Some(victim) = room.take() else { continue };
            let Some(left) = victim.left else {
                victim.reopen(quiet);
                continue;
            };
            let frames = victim.place.engine.frames();
            let one = victim.leave(left, who);
            if obtained.is_none() {
                obtained = Some(one);
            } else {
                frames.give(one.frame, 1, quiet);
            }
        }
        obtained
    }

    /// Closes the program's view of the victims, neighbours with one call. Those of which the kernel will not close it stay:
    /// there are too many mappings to cut one more.
    fn hide(&mut self, quiet: &Quiet) {
        let mut at = 0;
        while let Some(Some(first)) = self.victims.get(at) {
            let (place, page) = (first.place, first.page);
            let mut n = 1;
            while let Some([Some(before), Some(next)]) = self.victims.get(at + n - 1..=at + n) {
                if !next.follows(before) {
                    break;
                }
                n += 1;
            }
            if place.hide_run(page, n as u64).is_err() {
                let rooms = self.victims.get_mut(at..at + n).into_iter().flatten();
                rooms.filter_map(Option::take).for_each(|victim| victim.stay(quiet));
            }
            at += n;
        }
    }

    /// Writes those that have to be written.
    fn save(&mut self, quiet: &Quiet, who: &Who) {
        let mut at = 0;
        while let Some(room) = self.victims.get_mut(at) {
            at += 1;
            let Some(victim) = room.as_mut().filter(|victim| victim.left.is_none()) else {
                continue;
            };
            if victim.place.store().is_some() {
                let slot = victim.place.save(victim.page, victim.frame(), who);
                slot.into_iter().for_each(|slot| victim.saved_in(slot));
            } else {
                at = self.save_run(at - 1, quiet, who);
            }
        }
    }

    /// Writes the next of those from `at` on that have to be written, to one run of slots: where the rest begins.
    fn save_run(&mut self, at: usize, quiet: &Quiet, who: &Who) -> usize {
        let (mut pages, mut n, mut end) = ([0; BATCH], 0, at);
        let mut engine = None;
        for room in self.victims.iter().skip(at) {
            let unsaved = room.as_ref().filter(|victim| victim.left.is_none() && victim.place.store().is_none());
            if let (Some(victim), Some(page)) = (unsaved, pages.get_mut(n)) {
                *page = victim.place.engine.frames().arena().view(victim.frame());
                engine = Some(victim.place.engine);
                n += 1;
            }
            end += 1;
        }
        let Some((engine, pages)) = engine.zip(pages.get(..n)) else {
            return end;
        };
        let Some((first, n)) = engine.swap().take_run(n as u32, quiet) else {
            return end;
        };
        let pages = pages.get(..n as usize).unwrap_or(&[]);
        // SAFETY: frames of the engine view, whose pages the program does not see.
        let written = unsafe { engine.swap().write(first, pages) };
        engine.tell_saved(written.is_ok(), pages.len(), who);
        if written.is_err() {
            engine.swap().give_run(first, n);
            return end;
        }
        let unsaved =
            self.victims.iter_mut().skip(at).flatten().filter(|victim| victim.left.is_none() && victim.place.store().is_none());
        for (i, victim) in (0..n).zip(unsaved) {
            victim.saved_in(first.plus(i));
        }
        // There may be more, for another run.
        at
    }
}
