//! Where the bytes of a page are while it has no frame: in a slot of the swap file, or where the region's
//! own store keeps them ([`ELSEWHERE`]). Callers hold the page's token and the frame; no lock is held.

use crate::engine::{Engine, Who};
use crate::outlook::Store;
use crate::region::Place;
use crate::stats::Counter;
use crate::swap_map::ELSEWHERE;
use crate::sys::Result;
use core::sync::atomic::Ordering;

impl Place {
    /// The region's own store, if it has one.
    pub(crate) fn store(&self) -> Option<&'static dyn Store> {
        self.region.outlook()?.store
    }
}

impl Engine {
    /// Makes the frame all zero, for a page that has no contents yet.
    pub(crate) fn clear(&self, place: &Place, page: u64, frame: u32) {
        match place.store() {
            Some(store) => store.clear(page, self.arena().number(frame)),
            // A frame that was never used is a hole of the memory file: zero.
            None if self.arena().frame(frame).stamp.load(Ordering::Relaxed) != 0 => self.arena().clear(frame, 1),
            None => {}
        }
    }

    /// Fills the frame with the page as it was saved in `slot`.
    pub(crate) fn load(&self, place: &Place, page: u64, slot: u32, frame: u32, who: Who) -> Result<()> {
        let loaded = match place.store() {
            Some(store) => store.load(page, self.arena().number(frame)),
            // SAFETY: a frame of the engine view that is ours alone.
            None => unsafe { self.swap.read(slot, self.arena().view(frame), self.page()) }
                .inspect_err(|error| self.swap.complain("read", slot, *error)),
        };
        self.count_transfer(loaded, Counter::SwapReads, Counter::SwapBytesRead, who)
    }

    /// Saves the page; in which slot, or `None` if that failed.
    pub(crate) fn save(&self, place: &Place, page: u64, frame: u32, masked: bool, who: Who) -> Option<u32> {
        let (slot, saved) = match place.store() {
            Some(store) => (ELSEWHERE, store.save(page, self.arena().number(frame))),
            None => {
                let slot = self.hold_pool(masked).slots().take()?;
                // SAFETY: a frame of the engine view.
                let written = unsafe { self.swap.write(slot, self.arena().view(frame), self.page()) };
                (slot, written.inspect_err(|error| self.swap.complain("write", slot, *error)))
            }
        };
        let saved = self.count_transfer(saved, Counter::SwapWrites, Counter::SwapBytesWritten, who);
        if saved.is_err() {
            self.hold_pool(masked).give_slot(slot);
        }
        saved.ok().map(|()| slot)
    }

    fn count_transfer(&self, result: Result<()>, transfers: Counter, bytes: Counter, who: Who) -> Result<()> {
        match result {
            Ok(()) => {
                self.count(who, transfers, 1);
                self.count(who, bytes, self.page() as u64);
            }
            Err(_) => self.count(who, Counter::SwapErrors, 1),
        }
        result
    }

    /// The frame's page is no longer what its slot holds.
    pub(crate) fn drop_slot(&self, frame: u32) {
        // AcqRel: pairs with the store when the page was read in; one taker only.
        let slot = self.arena().frame(frame).slot.swap(0, Ordering::AcqRel);
        if slot != 0 {
            self.free_slot(slot - 1);
        }
    }

    pub(crate) fn free_slot(&self, slot: u32) {
        if slot != ELSEWHERE {
            self.pool.hold().give_slot(slot);
        }
    }
}
