//! Regions that no thread owns, for requests that are not to be met from the running thread's own memory: everybody closes
//! their gate to use them. A kind that has used up its region gets another.

use super::blocks::{failed, finish, reaches, GRANULE};
use crate::shared::thread::{self, Thread, Withheld};
use core::ptr::{null_mut, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering};
use vmcore::engine::Engine;
use vmcore::heap::{Block, Ground, NoRoom};
use vmcore::pager::Place;
use vmcore::region::{Owner, Region};

/// The regions of one kind.
pub(super) struct Common {
    owner: Owner,
    /// The one that the last request was met from.
    current: AtomicPtr<Region>,
}

/// For those who cannot use a region of their own: a thread that has ended, a signal handler that interrupted malloc.
pub(super) static FALLBACK_HEAP: Common = Common::of(Owner::Everybody);
/// For the library's own requests (LIBRARYREQ), and for what a thread takes to begin. None of it counts as a thread's memory.
pub(super) static LIBRARY_HEAP: Common = Common::of(Owner::Library);

impl Common {
    const fn of(owner: Owner) -> Common {
        Common { owner, current: AtomicPtr::new(null_mut()) }
    }

    /// A block of `n` granules at a multiple of `align` granules.
    pub fn allocate(&self, engine: &'static Engine, n: u64, align: u64, zero: bool, size: usize) -> Option<NonNull<u8>> {
        let found = self.take_block(engine, n, align, zero).or_else(|reason| {
            if reason == NoRoom::Backing {
                engine.collect_everywhere(None);
            }
            self.take_block(engine, n, align, zero)
        });
        let Ok((place, block)) = found else {
            return failed();
        };
        if let Some(thread) = thread::current() {
            thread.note_allocated(block.len as usize * GRANULE);
        }
        Some(finish(&place, block, size, zero))
    }

    /// In the current region, in another of the kind, or in a new one.
    fn take_block(&self, engine: &'static Engine, n: u64, align: u64, zero: bool) -> Result<(Place, Block), NoRoom> {
        let take = |place: &Place| {
            if !reaches(place, align) || n > place.pages() << place.page_shift() {
                return Err(NoRoom::Region);
            }
            engine.with_closed(place, false, |heap| {
                place.collect(heap);
                heap.allocate(place, n, align, zero)
            })
        };
        // Acquire: pairs with the release below. SAFETY: regions live for ever.
        if let Some(current) = unsafe { self.current.load(Ordering::Acquire).as_ref() } {
            let place = engine.place_of(current);
            match take(&place) {
                Err(NoRoom::Region) => {}
                other => return other.map(|block| (place, block)),
            }
        }
        let others = engine.places().filter(|place| place.region.owner() == self.owner);
        let found = others.filter_map(|place| Some((place, take(&place).ok()?))).next();
        let (place, block) = match found {
            Some(found) => found,
            None => {
                let place = engine.acquire_region(self.owner, true).ok_or(NoRoom::Backing)?;
                (place, take(&place)?)
            }
        };
        // Release: pairs with the acquire above.
        self.current.store(core::ptr::from_ref(place.region).cast_mut(), Ordering::Release);
        Ok((place, block))
    }
}

/// While this lives, the running thread's requests are met from the library's memory.
pub struct ForLibrary(Option<(&'static Thread, Withheld)>);

impl ForLibrary {
    /// From now on.
    pub fn begin() -> ForLibrary {
        ForLibrary(thread::current().map(|thread| (thread, thread.withhold(Withheld::ForLibrary))))
    }
}

impl Drop for ForLibrary {
    fn drop(&mut self) {
        if let Some((thread, before)) = self.0 {
            thread.withhold(before);
        }
    }
}
