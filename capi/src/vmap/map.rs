//! One map: a region of the shared engine whose pages nobody maps, and the heap in it.
//!
//! Allocating and freeing exclude everything else in the map; copies only exclude those, so they wait for the
//! disk side by side. A copy pins one page at a time and never waits for a frame while it holds a pin, so a
//! single frame is enough for any number of threads.

use super::error::Error;
use core::ffi::c_int;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use vmcore::engine::Engine;
use vmcore::frames::Arena;
use vmcore::heap::granules::GRANULE;
use vmcore::heap::{Heap, NoRoom};
use vmcore::index::FrameIndex;
use vmcore::mapper::{Mapper, Pages};
use vmcore::page::Access;
use vmcore::pager::Place;
use vmcore::region::Outlook;
use vmcore::sync::Inside;
use vmcore::sys::memory::Protection;

/// Pages that are in frames, and nowhere else to be seen.
struct Unseen;

impl Mapper for Unseen {
    fn show(&self, _arena: &Arena, _pages: &Pages, _frame: FrameIndex, _protection: Protection) -> vmcore::sys::Result<()> {
        Ok(())
    }

    fn protect(&self, _pages: &Pages, _protection: Protection) -> vmcore::sys::Result<()> {
        Ok(())
    }

    fn hide(&self, _pages: &Pages) -> vmcore::sys::Result<()> {
        Ok(())
    }
}

static UNSEEN: Outlook = Outlook { mapper: Some(&Unseen), store: None, sink: None };

/// The blocks of a map: address and length as it was asked for, which the heap rounds up.
#[derive(Default)]
struct Blocks {
    lengths: BTreeMap<usize, usize>,
    destroyed: bool,
}

impl Blocks {
    /// The block that contains `address`: begin and length.
    fn around(&self, address: usize) -> Option<(usize, usize)> {
        let (start, len) = self.lengths.range(..=address).next_back()?;
        (address - start < *len).then_some((*start, *len))
    }
}

/// A map.
pub struct Map {
    engine: &'static Engine,
    place: Place,
    owner: c_int,
    blocks: RwLock<Blocks>,
}

/// A map of `owner`; `None` if there is no room for one more.
pub fn open(engine: &'static Engine, owner: c_int) -> Option<Map> {
    let place = engine.open_region(Some(&UNSEEN))?;
    Some(Map { engine, place, owner, blocks: RwLock::default() })
}

impl Map {
    /// Refuses strangers.
    pub fn check_owner(&self, owner: c_int) -> Result<(), Error> {
        if owner == self.owner {
            Ok(())
        } else {
            Err(Error::Owner)
        }
    }

    fn change(&self) -> Result<RwLockWriteGuard<'_, Blocks>, Error> {
        let blocks = self.blocks.write().unwrap_or_else(PoisonError::into_inner);
        if blocks.destroyed {
            return Err(Error::NoMap);
        }
        Ok(blocks)
    }

    fn look(&self) -> Result<RwLockReadGuard<'_, Blocks>, Error> {
        let blocks = self.blocks.read().unwrap_or_else(PoisonError::into_inner);
        if blocks.destroyed {
            return Err(Error::NoMap);
        }
        Ok(blocks)
    }

    /// The heap, for who changes the blocks.
    fn heap(&self, _blocks: &RwLockWriteGuard<'_, Blocks>) -> Option<Inside<'_, Heap>> {
        // SAFETY: only who holds the lock of the blocks for writing enters.
        unsafe { self.place.region.gate().enter() }
    }

    /// Ends the map; its blocks are gone, and its region is free for another.
    pub fn close(&self) -> Result<(), Error> {
        let mut blocks = self.change()?;
        blocks.destroyed = true;
        blocks.lengths.clear();
        self.engine.close_region(&self.place);
        Ok(())
    }

    /// A block of `size` bytes.
    pub fn allocate(&self, size: c_int) -> Result<usize, Error> {
        let len = usize::try_from(size).ok().filter(|len| *len > 0).ok_or(Error::Size)?;
        let mut blocks = self.change()?;
        let n = (len as u64).div_ceil(GRANULE);
        let start = match self.allocate_in(&blocks, n) {
            Err(NoRoom::Backing) => {
                // What was freed in any map waits there for a request of its length. The map is ours meanwhile, but not its gate.
                self.engine.collect_everywhere(None);
                self.allocate_in(&blocks, n)
            }
            other => other,
        };
        let address = self.place.address(start.map_err(|_| Error::NoMemory)?);
        blocks.lengths.insert(address, len);
        Ok(address)
    }

    /// The first granule of a new block of `n`.
    fn allocate_in(&self, blocks: &RwLockWriteGuard<'_, Blocks>, n: u64) -> Result<u64, NoRoom> {
        let mut heap = self.heap(blocks).ok_or(NoRoom::Region)?;
        let block = heap.allocate(&self.place, n, 1, false).or_else(|_: NoRoom| {
            // What was freed a moment ago may be what is missing.
            heap.flush(&self.place);
            heap.allocate(&self.place, n, 1, false)
        });
        block.map(|block| block.start)
    }

    /// Frees the block at `address`.
    pub fn free(&self, address: usize) -> Result<(), Error> {
        let mut blocks = self.change()?;
        if blocks.lengths.remove(&address).is_none() {
            return Err(if blocks.around(address).is_some() { Error::Middle } else { Error::Pointer });
        }
        let mut heap = self.heap(&blocks).ok_or(Error::NoMap)?;
        let freed = heap.free(&self.place, self.place.granule(address));
        debug_assert!(freed.is_ok(), "the heap and the list of blocks know the same blocks");
        Ok(())
    }

    /// Copies between `size` bytes at `address`, in one block, and the caller's `data`.
    ///
    /// # Safety
    /// `data` is the caller's, and as long.
    pub unsafe fn copy(&self, address: usize, data: *mut u8, size: c_int, access: Access) -> Result<(), Error> {
        let len = usize::try_from(size).ok().filter(|len| *len > 0).ok_or(Error::Size)?;
        if data.is_null() {
            return Err(Error::Data);
        }
        let blocks = self.look()?;
        let (start, block) = blocks.around(address).ok_or(Error::Pointer)?;
        if len > block - (address - start) {
            return Err(Error::Range);
        }
        let page = self.engine.page_size();
        let mut done = 0;
        while done < len {
            let at = address + done;
            let piece = (page - at % page).min(len - done);
            // SAFETY: the piece lies within the `len` bytes of `data` that the caller promises.
            unsafe { self.copy_piece(at, data.add(done), piece, access)? };
            done += piece;
        }
        Ok(())
    }

    /// Copies a piece of one page, which is held in its frame meanwhile.
    ///
    /// # Safety
    /// As [`Map::copy`].
    unsafe fn copy_piece(&self, at: usize, data: *mut u8, len: usize, access: Access) -> Result<(), Error> {
        if self.engine.pin(at, len, access, false) != len {
            return Err(Error::Io);
        }
        let page = self.engine.page_size();
        let frame = self.place.entry(self.place.page_of(at)).load().frame();
        let memory = (self.engine.frames().arena().view(frame) + at % page) as *mut u8;
        // SAFETY: the page is pinned, so the frame stays its own; the caller promises `len` bytes at `data`.
        unsafe {
            match access {
                Access::Read => core::ptr::copy_nonoverlapping(memory, data, len),
                Access::Write => core::ptr::copy_nonoverlapping(data, memory, len),
            }
        }
        self.engine.unpin(at, len);
        Ok(())
    }
}
