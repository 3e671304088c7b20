//! The bits that a policy sees: R and M in the page table entries of the pages in frames.
#![forbid(unsafe_code)]

use super::place::Place;
use crate::engine::Engine;
use crate::frames::User;
use crate::index::{FrameIndex, PageNumber};
use crate::page::{Pte, State};
use crate::policy::Bits;
use crate::sys::memory::Protection;

impl Engine {
    /// The number of faults for which a page that was just loaded is kept: what one instruction may
    /// touch, for each thread, but never more than half of the frames.
    fn grace(&self) -> u32 {
        if self.is_exact() {
            return 0;
        }
        self.threads().saturating_mul(4).max(12).min(self.frames().len() / 3)
    }

    /// The page in a frame.
    pub(crate) fn page_in(&'static self, frame: FrameIndex) -> Option<(Place, PageNumber)> {
        match self.frames().frame(frame).user() {
            User::Page(address) => self.find_page(address),
            _ => None,
        }
    }
}

/// Whether the page may be evicted.
pub(crate) fn can_leave(pte: Pte) -> bool {
    matches!(pte.state(), State::Resident | State::Retained) && pte.pins() == 0
}

/// What the policy sees: the bits in the page table entries.
pub(crate) struct LiveBits {
    engine: &'static Engine,
    grace: u32,
}

impl LiveBits {
    /// With `spare_young`, pages that were just loaded are not evictable.
    pub(crate) fn new(engine: &'static Engine, spare_young: bool) -> LiveBits {
        LiveBits { engine, grace: if spare_young { engine.grace() } else { 0 } }
    }

    fn page(&self, frame: FrameIndex) -> Option<(Place, PageNumber, Pte)> {
        let (place, page) = self.engine.page_in(frame)?;
        let pte = place.entry(page).load();
        (pte.frame() == frame).then_some((place, page, pte))
    }
}

impl Bits for LiveBits {
    fn take_referenced(&mut self, frame: FrameIndex) -> bool {
        let Some((place, page, pte)) = self.page(frame) else {
            return false;
        };
        if pte.state() != State::Resident || !pte.has(Pte::R) {
            return false;
        }
        if pte.pins() > 0 {
            // Pinned since it was found evictable: the kernel may be at it.
            return true;
        }
        let Some(token) = place.entry(page).begin(pte, State::Filling) else {
            return true;
        };
        let dropped = place.protect(page, Protection::None).is_ok();
        let closed = if dropped { pte.without(Pte::READ | Pte::WRITE) } else { pte };
        token.finish(closed.without(Pte::R));
        true
    }

    fn is_dirty(&self, frame: FrameIndex) -> bool {
        self.page(frame).is_some_and(|(_, _, pte)| pte.has(Pte::M))
    }

    fn is_evictable(&self, frame: FrameIndex) -> bool {
        let young = self.engine.frames().is_young(frame, self.grace);
        !young && self.page(frame).is_some_and(|(_, _, pte)| can_leave(pte))
    }
}
