//! The bits that a policy sees: R and M in the page table entries of the pages in frames.

use crate::arena::Owner;
use crate::engine::Engine;
use crate::index::FrameIndex;
use crate::policy::Bits;
use crate::pte::{Pte, State};
use crate::region::Place;
use crate::sys::memory::Protection;
use core::sync::atomic::Ordering;

impl Engine {
    /// The number of faults for which a page that was just loaded is kept: what one instruction may
    /// touch, for each thread, but never more than half of the frames.
    fn grace(&self) -> u32 {
        if self.is_exact() {
            return 0;
        }
        let threads = self.gauges.threads.load(Ordering::Relaxed);
        threads.saturating_mul(4).max(12).min(self.pool_frames() / 3)
    }
}

/// Whether the page may be evicted.
pub(crate) fn can_leave(pte: Pte) -> bool {
    matches!(pte.state(), State::Resident | State::Retained) && pte.pins() == 0
}

/// What the policy sees: the bits in the page table entries.
pub(crate) struct LiveBits {
    engine: &'static Engine,
    now: u32,
    grace: u32,
}

impl LiveBits {
    /// With `spare_young`, pages that were just loaded are not evictable.
    pub(crate) fn new(engine: &'static Engine, spare_young: bool) -> LiveBits {
        let grace = if spare_young { engine.grace() } else { 0 };
        LiveBits { engine, now: engine.gauges.faults.load(Ordering::Relaxed), grace }
    }

    fn page(&self, frame: FrameIndex) -> Option<(Place, u64, Pte)> {
        let frame = frame.get();
        let Owner::Page(address) = self.engine.arena().frame(frame).owner() else {
            return None;
        };
        let (place, page) = self.engine.find_page(address)?;
        let pte = place.page(page).pte();
        (pte.index() == frame).then_some((place, page, pte))
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
        let entry = place.page(page);
        if entry.change(pte, pte.to(State::Filling)).is_err() {
            return true;
        }
        let dropped = place.protect(page, Protection::None).is_ok();
        let closed = if dropped { pte.without(Pte::READ | Pte::WRITE) } else { pte };
        self.engine.complete(entry, closed.without(Pte::R));
        true
    }

    fn is_dirty(&self, frame: FrameIndex) -> bool {
        self.page(frame).is_some_and(|(_, _, pte)| pte.has(Pte::M))
    }

    fn is_evictable(&self, frame: FrameIndex) -> bool {
        let stamp = self.engine.arena().frame(frame.get()).stamp.load(Ordering::Relaxed);
        // Frames that were mapped ahead have the stamp 1 and are never young.
        let young = stamp > 1 && self.now.wrapping_sub(stamp) < self.grace;
        !young && self.page(frame).is_some_and(|(_, _, pte)| can_leave(pte))
    }
}
