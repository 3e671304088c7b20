//! Blocks: what every allocating function does, whatever its name.
//!
//! A thread allocates in its own region and frees there almost without synchronisation (the region's
//! gate). A block of another thread's region is noted as freed and taken in by its owner later, or at
//! once if it is large. Without a region of its own (a thread that has ended, a signal handler that
//! interrupted malloc) a request is served from the fallback heap, a region that nobody owns.

use super::common::{FALLBACK_HEAP, LIBRARY_HEAP};
use super::native;
use crate::births::threads;
use crate::shared::engine::{self, torment};
use crate::shared::thread::{self, Withheld};
use crate::start;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use vmcore::engine::Engine;
use vmcore::events::stats::Counter;
use vmcore::heap::classes::BINNED;
use vmcore::heap::{Block, Ground, Heap, NoRoom, NotABlock};
use vmcore::pager::Place;
use vmcore::region::Owner;
use vmcore::sync::Inside;

/// Bytes per granule.
pub(crate) const GRANULE: usize = 16;
/// No request may be larger: differences of pointers into a block must fit.
pub(crate) const MOST: usize = isize::MAX as usize;
/// A region without owner is tidied after so many blocks were freed in it.
const TIDY: u64 = 256;

/// What went wrong with a pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bad {
    /// Not memory of this library.
    Foreign,
    /// Freed before, or never handed out.
    Freed,
    /// The middle of a block.
    Middle,
}

impl From<NotABlock> for Bad {
    fn from(what: NotABlock) -> Bad {
        match what {
            NotABlock::Freed => Bad::Freed,
            NotABlock::Middle => Bad::Middle,
        }
    }
}

#[inline]
pub(crate) fn granules(size: usize) -> u64 {
    (size.max(1) as u64).div_ceil(GRANULE as u64)
}

/// The running thread and its region, if it has one.
#[inline(always)]
pub(crate) fn own() -> Option<(&'static thread::Thread, Place)> {
    let thread = thread::current()?;
    Some((thread, thread.place(engine::get()?)?))
}

/// Enters the heap of `own`, the running thread's region; `None` if a signal handler interrupted malloc in this very thread.
#[inline]
pub(crate) fn enter(own: &Place) -> Option<Inside<'static, Heap>> {
    // SAFETY: the region is the running thread's, so no other thread enters.
    unsafe { own.region.gate().enter() }
}

/// As [`enter`], but `None` as well when that takes a call or a wait.
#[inline(always)]
fn try_enter(own: &Place) -> Option<Inside<'static, Heap>> {
    // SAFETY: as in `enter`.
    unsafe { own.region.gate().try_enter() }
}

/// A block of `size` bytes if one of that length was just freed; no call, no wait.
#[inline(always)]
pub fn allocate_at_hand(size: usize) -> Option<NonNull<u8>> {
    torment(16);
    let n = granules(size);
    let (thread, place) = own()?;
    if n > BINNED {
        return None;
    }
    let block = try_enter(&place)?.take_binned(&place, n)?;
    thread.note_allocated(block.len as usize * GRANULE);
    Some(pointer(&place, block))
}

/// A block of `size` bytes at a multiple of `align` (a power of two), zeroed if `zero`.
pub fn allocate(size: usize, align: usize, zero: bool) -> Option<NonNull<u8>> {
    torment(16);
    if let (Some((thread, place)), true) = (own(), align <= GRANULE) {
        let block = try_enter(&place).and_then(|mut heap| heap.allocate_at_hand(&place, granules(size)));
        if let Some(block) = block {
            thread.note_allocated(block.len as usize * GRANULE);
            return Some(finish(&place, block, size, zero));
        }
    }
    allocate_slowly(size, align, zero)
}

/// A block of `size` bytes that is the library's, on pages that hold no block of a thread.
pub fn allocate_for_library(size: usize) -> Option<NonNull<u8>> {
    let engine = start::engine()?;
    if size > MOST {
        return failed();
    }
    LIBRARY_HEAP.allocate(engine, granules(size), 1, false, size)
}

#[inline(always)]
fn pointer(place: &Place, block: Block) -> NonNull<u8> {
    // SAFETY: blocks never lie at address zero.
    unsafe { NonNull::new_unchecked(place.address(block.start) as *mut u8) }
}

pub(super) fn finish(place: &Place, block: Block, size: usize, zero: bool) -> NonNull<u8> {
    let pointer = pointer(place, block);
    if zero && !block.zero {
        // SAFETY: a fresh block of at least `size` bytes; its pages may fault, no lock is held.
        unsafe { pointer.write_bytes(0, size) };
    }
    pointer
}

#[cold]
fn allocate_slowly(size: usize, align: usize, zero: bool) -> Option<NonNull<u8>> {
    let Some(engine) = start::engine() else {
        return native::allocate(size, align, zero);
    };
    if size > MOST {
        return failed();
    }
    let n = granules(size);
    let align = (align / GRANULE).max(1) as u64;
    match thread::current().map(thread::Thread::withheld) {
        Some(Withheld::ForLibrary) => return LIBRARY_HEAP.allocate(engine, n, align, zero, size),
        Some(Withheld::Full) => return failed(),
        _ => {}
    }
    let Some(place) = threads::enter().and_then(|thread| own_place(engine, thread)) else {
        return FALLBACK_HEAP.allocate(engine, n, align, zero, size);
    };
    if !reaches(&place, align) {
        return failed();
    }
    let Some(mut heap) = enter(&place) else {
        return FALLBACK_HEAP.allocate(engine, n, align, zero, size);
    };
    if place.region.has_freed() {
        place.collect(&mut heap);
    }
    let mut block = heap.allocate(&place, n, align, zero);
    if block.is_err() {
        heap.flush(&place);
        block = heap.allocate(&place, n, align, zero);
    }
    drop(heap);
    if block == Err(NoRoom::Backing) {
        engine.collect_everywhere(Some(place.region));
        if let Some(mut heap) = enter(&place) {
            block = heap.allocate(&place, n, align, zero);
        }
    }
    if block == Err(NoRoom::Region) && place.region.is_inherited() {
        return allocate_in_whole(engine, &place, size, align, zero);
    }
    match block {
        Ok(block) => {
            if let Some(thread) = thread::current() {
                thread.note_allocated(block.len as usize * GRANULE);
                thread.report_bytes();
            }
            Some(finish(&place, block, size, zero))
        }
        Err(reason) => {
            if let Some(thread) = thread::current().filter(|_| reason == NoRoom::Region && place.pages() == 1) {
                // A thread's memory is one page: the assignment wants it full for good then.
                thread.withhold(Withheld::Full);
            }
            failed()
        }
    }
}

/// Whether a multiple of `align` granules lies in the region. A heap counts from the region's first address, which is a
/// multiple of every power of two up to the region's length; of larger ones it must be one itself.
pub(super) fn reaches(place: &Place, align: u64) -> bool {
    (place.base as u64 / GRANULE as u64).is_multiple_of(align)
}

/// The thread's region is used up, in part by blocks of a thread that ended: it gets one of its own.
fn allocate_in_whole(engine: &'static Engine, old: &Place, size: usize, align: u64, zero: bool) -> Option<NonNull<u8>> {
    let thread = thread::current()?;
    if granules(size) > old.pages() << old.page_shift() || acquire(engine, thread, true).is_none() {
        return failed();
    }
    engine.abandon_region(old);
    // Either the new region has room, or it is nobody's but the caller's and really used up.
    allocate_slowly(size, align as usize * GRANULE, zero)
}

pub(crate) fn failed() -> Option<NonNull<u8>> {
    if let Some(thread) = thread::current() {
        thread.counters.count(Counter::MallocFailed);
    }
    None
}

/// The region of the running thread, acquired now if it has none.
fn own_place(engine: &'static Engine, thread: &'static thread::Thread) -> Option<Place> {
    // One page is not shared with the blocks that another thread left there.
    thread.place(engine).or_else(|| acquire(engine, thread, engine.span().heap == engine.page_size()))
}

fn acquire(engine: &'static Engine, thread: &'static thread::Thread, whole: bool) -> Option<Place> {
    let place = engine.acquire_region(Owner::Thread(thread.number.load(Ordering::Relaxed)), whole)?;
    thread.region.store(core::ptr::from_ref(place.region).cast_mut(), Ordering::Relaxed);
    Some(place)
}

/// Frees the block at `address` if its bin has room; false, and nothing has changed, if not.
#[inline(always)]
pub fn free_at_hand(address: usize) -> bool {
    let Some((thread, place)) = own() else {
        return false;
    };
    if !place.contains(address) || !address.is_multiple_of(GRANULE) {
        return false;
    }
    let Some(n) = try_enter(&place).and_then(|mut heap| heap.free_binned(&place, place.granule(address))) else {
        return false;
    };
    thread.note_freed(n as usize * GRANULE);
    true
}

/// Frees the block at `address`.
pub fn free(address: usize) -> Result<(), Bad> {
    if let Some((thread, place)) = own() {
        let inside = (place.contains(address) && address.is_multiple_of(GRANULE)).then(|| enter(&place)).flatten();
        if let Some(mut heap) = inside {
            let freed = heap.free(&place, place.granule(address));
            drop(heap);
            thread.note_freed(freed? as usize * GRANULE);
            return Ok(());
        }
    }
    free_elsewhere(address)
}

/// Frees a block that is not in the caller's own region, or not at this moment.
#[inline(never)]
fn free_elsewhere(address: usize) -> Result<(), Bad> {
    let Some(engine) = start::engine() else {
        return free_foreign(address);
    };
    let Some(place) = engine.find(address) else {
        return if engine.is_shared(address) { Ok(engine.shared_free(address)?) } else { free_foreign(address) };
    };
    if !address.is_multiple_of(GRANULE) {
        return Err(Bad::Middle);
    }
    free_from_afar(engine, &place, place.granule(address), thread::current())
}

/// A block of another allocator goes back to it.
fn free_foreign(address: usize) -> Result<(), Bad> {
    if native::free(address) {
        Ok(())
    } else {
        Err(Bad::Foreign)
    }
}

/// Frees a block of a region that is not the caller's, or not at this moment.
fn free_from_afar(
    engine: &'static Engine,
    place: &Place,
    start: u64,
    thread: Option<&'static thread::Thread>,
) -> Result<(), Bad> {
    let n = Heap::measure(place, start)?;
    let page = start >> place.page_shift();
    let own = thread.is_some_and(|thread| core::ptr::eq(thread.region.load(Ordering::Relaxed), place.region));
    if Heap::is_large(place, n) && !own {
        engine.with_closed(place, false, |heap| heap.free(place, start))?;
    } else if place.can_note_freed(page) {
        note_freed(engine, place, start)?;
    } else if own {
        // A signal handler interrupted malloc, and there is no room yet to note what it frees: the
        // block is lost rather than the heap.
        return Ok(());
    } else {
        engine.with_closed(place, false, |heap| {
            // With room for notes, the next free is cheap; this one is done here.
            place.back_freed(page);
            heap.free(place, start)
        })?;
    }
    if let Some(thread) = thread {
        thread.note_freed(n as usize * GRANULE);
    }
    Ok(())
}

fn note_freed(engine: &'static Engine, place: &Place, start: u64) -> Result<(), Bad> {
    let noted = place.note_freed(start)?;
    if noted.is_multiple_of(TIDY) && place.region.owner() == Owner::Nobody {
        engine.collect_abandoned(place);
    }
    Ok(())
}
