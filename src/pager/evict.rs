//! Eviction: how a page leaves memory. Six steps, all under the token of the victim.
//!
//! 1. Who wants the frame has claimed the victim: its entry is `Leaving`, and the policy has it in no list.
//! 2. The program's view is closed: from now on nobody changes the bytes, and who touches the page waits.
//! 3. A page that was not modified and has a copy in a slot leaves without a write; one that is all zero needs no slot.
//! 4. Any other is written to a slot. If that fails, the view is opened again and the page stays: nothing is lost.
//! 5. The entry says where the page is now, and its waiters are woken.
//! 6. The frame is nobody's: the caller's.
#![forbid(unsafe_code)]

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
    pub(crate) token: Token<'static>,
}

impl Victim {
    pub(crate) fn was(&self) -> Pte {
        self.token.was()
    }

    pub(crate) fn frame(&self) -> FrameIndex {
        self.was().frame()
    }

    fn name(&self) -> PageName {
        self.place.name(self.page)
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
        Some(Victim { place, page, token })
    }

    /// Evicts the victim; `None` if it had to stay, and then it is as it was.
    pub(crate) fn evict(&'static self, victim: Victim, quiet: &Quiet, who: &Who) -> Option<Obtained> {
        torture::pause();
        if victim.place.hide(victim.page).is_err() {
            // Too many mappings to cut one more: the page stays, another may do.
            let was = victim.was();
            self.keep(victim, was, quiet);
            return None;
        }
        torture::pause();
        if victim.was().state() == State::Retained {
            return Some(self.vacate(victim, Pte::VOID, None));
        }
        let Some((kind, left, slot)) = self.secure(&victim, quiet, who) else {
            self.reopen(victim, quiet);
            return None;
        };
        let (page, frame) = (victim.name(), victim.frame());
        let slot = slot.and_then(|slot| victim.place.traced(slot));
        self.emit(who, &Event::Evicted { kind, page, frame, slot }, None);
        let left = left.with_terms_of(victim.was());
        Some(self.vacate(victim, left, Some((page, kind))))
    }

    /// The page is gone from its frame: its entry becomes `left`.
    fn vacate(&self, victim: Victim, left: Pte, evicted: Option<(PageName, Eviction)>) -> Obtained {
        let frame = victim.frame();
        victim.token.finish(left);
        self.frames().frame(frame).set_user(User::Nobody);
        Obtained { frame, evicted }
    }

    /// Sees to it that the victim's bytes survive: how, what the entry becomes, and in which slot.
    fn secure(&'static self, victim: &Victim, quiet: &Quiet, who: &Who) -> Option<(Eviction, Pte, Option<Slot>)> {
        let (frame, dirty) = (victim.frame(), victim.was().has(Pte::M));
        if !dirty {
            if let Some(slot) = self.frames().frame(frame).take_copy() {
                return Some((Eviction::Clean, Pte::swapped(slot), Some(slot)));
            }
        }
        // Who counts wants a page that was modified to be written, whatever it holds.
        let zero = if self.is_exact() { !dirty } else { self.frames().arena().is_zero(frame) };
        if zero {
            return Some((Eviction::Zero, Pte::EMPTY, None));
        }
        torture::pause();
        let slot = victim.place.save(victim.page, frame, quiet, who)?;
        Some((Eviction::Dirty, Pte::swapped(slot), Some(slot)))
    }

    /// The victim's view was closed but it has to stay: it is opened again, without I/O.
    fn reopen(&'static self, victim: Victim, quiet: &Quiet) {
        let open = victim.was().with(Pte::M | victim.was().permitted());
        // It was open a moment ago; if somebody else has used up the mappings since, they will be fewer again.
        while victim.place.show(victim.page, victim.frame(), protection(open)).is_err() {
            thread::nap();
        }
        self.keep(victim, open, quiet);
    }

    fn keep(&'static self, victim: Victim, pte: Pte, quiet: &Quiet) {
        let address = victim.place.page_address(victim.page);
        let mut bits = LiveBits::new(self, false);
        self.frames().enter(victim.frame(), address, Arrival::Back, &mut bits, quiet);
        victim.token.finish(pte);
    }
}
