//! Where the bytes of a page are while it has no frame: in a slot of the swap device, or where the region's
//! own store keeps them, which keeps page `n` as its number `n`. Callers hold the page's token and the frame; no lock is held.

use super::place::Place;
use crate::engine::Engine;
use crate::events::{Event, Who};
use crate::index::{FrameIndex, PageNumber, Slot};
use crate::region::Store;
use crate::sys::Result;

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

    /// Fills the frame with the page as the region's own store keeps it.
    pub(crate) fn load_from(&self, store: &dyn Store, page: PageNumber, frame: FrameIndex, who: &Who) -> Result<()> {
        self.tell_loaded(store.load(page, frame), 1, who)
    }

    /// Fills frames, by their addresses in the engine view, with the pages that were saved in the slots from `first` on.
    pub(crate) fn load_run(&self, first: Slot, frames: &[usize], who: &Who) -> Result<()> {
        // SAFETY: frames that are the caller's alone.
        let loaded = unsafe { self.engine.swap().read(first, frames) };
        self.tell_loaded(loaded, frames.len(), who)
    }

    /// Saves the page where the region's own store keeps it: what that calls it.
    pub(crate) fn save(&self, page: PageNumber, frame: FrameIndex, who: &Who) -> Option<Slot> {
        let saved = self.store()?.save(page, frame);
        self.engine.tell_saved(saved.is_ok(), 1, who);
        saved.ok().map(|()| kept_as(page))
    }

    fn tell_loaded(&self, result: Result<()>, pages: usize, who: &Who) -> Result<()> {
        let bytes = self.engine.page_size() as u64;
        for _ in 0..if result.is_ok() { pages } else { 1 } {
            self.engine.emit(who, &if result.is_ok() { Event::Loaded(bytes) } else { Event::TransferFailed }, None);
        }
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
