//! Where the bytes of a page are while it has no frame: in a slot of the swap device, or where the region's
//! own store keeps them, which keeps page `n` as its number `n`. Callers hold the page's token and the frame; no lock is held.

use super::place::Place;
use crate::engine::Engine;
use crate::events::{Event, Who};
use crate::index::{FrameIndex, PageNumber, Slot};
use crate::region::Store;
use crate::sys::{Errno, Result};

impl Place {
    /// The region's own store, if it has one.
    pub(crate) fn store(&self) -> Option<&'static dyn Store> {
        self.region.outlook()?.store
    }

    /// Makes the frame all zero, for a page that has no contents yet.
    pub(crate) fn clear(&self, page: PageNumber, frame: FrameIndex) {
        let frames = self.engine.frames();
        match self.store() {
            Some(store) => store.clear(page, frame),
            None if frames.frame(frame).was_used() => frames.arena().clear(frame),
            None => {}
        }
    }

    /// Fills the frame with the page as it was saved in `slot`.
    pub(crate) fn load(&self, page: PageNumber, slot: Slot, frame: FrameIndex, who: &Who) -> Result<()> {
        let engine = self.engine;
        let loaded = match self.store() {
            Some(store) => store.load(page, frame),
            // SAFETY: a frame of the engine view that is the caller's alone.
            None => unsafe { engine.swap().read(slot, &[engine.frames().arena().view(frame)]) },
        };
        self.tell(loaded, Event::Loaded(engine.page_size() as u64), who)
    }

    /// Saves the page where the region's own store keeps it: what that calls it.
    pub(crate) fn save(&self, page: PageNumber, frame: FrameIndex, who: &Who) -> Option<Slot> {
        let saved = self.store()?.save(page, frame);
        self.engine.tell_saved(saved.is_ok(), 1, who);
        saved.ok().map(|()| kept_as(page))
    }

    fn tell(&self, result: core::result::Result<(), Errno>, event: Event, who: &Who) -> Result<()> {
        let event = if result.is_ok() { event } else { Event::TransferFailed };
        self.engine.emit(who, &event, None);
        result
    }

    /// The frame's page is no longer what its slot holds.
    pub(crate) fn drop_copy(&self, frame: FrameIndex) {
        if let Some(slot) = self.engine.frames().frame(frame).take_copy() {
            self.free_slot(slot);
        }
    }

    /// The bytes in a slot of this region are of no value any more.
    pub(crate) fn free_slot(&self, slot: Slot) {
        if self.store().is_none() {
            self.engine.swap().give(slot);
        }
    }

    /// A slot of this region as the trace knows it: none, if it is no slot of the swap device.
    pub(crate) fn traced(&self, slot: Slot) -> Option<Slot> {
        self.store().is_none().then_some(slot)
    }
}

impl Engine {
    /// Pages were saved, or could not be.
    pub(crate) fn tell_saved(&self, saved: bool, pages: usize, who: &Who) {
        let bytes = self.page_size() as u64;
        let events = if saved { pages } else { 1 };
        for _ in 0..events {
            self.emit(who, &if saved { Event::Saved(bytes) } else { Event::TransferFailed }, None);
        }
    }
}

/// What a store of a region's own calls a page.
fn kept_as(page: PageNumber) -> Slot {
    Slot::new(page.get() as u32)
}
