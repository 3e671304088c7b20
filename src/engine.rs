//! The engine as a whole: its parts, how they are made, and by which rules they are used.
//!
//! Each part owns its state; what needs several of them stands above, in `pager/` and the rooms behind it.
//!
//! Lock order, outermost first: the right to close gates, a region's gate, the list of regions, `arming`, the growing of
//! the swap space, the shared region, the pager's lock, the slots' lock, the trace's. None is held during swap I/O, and
//! none while program memory is touched. The token of a page in transit is not a lock in this order: its holder may take
//! locks, but nobody who holds one waits for a token.

use crate::charge::CommitCharge;
use crate::config::{Config, MIN_FRAMES};
use crate::descriptor::Descriptor;
use crate::events::{Event, EventSink, Events, Who};
use crate::frames::{Arena, FramePool, Layout};
use crate::index::RegionNumber;
use crate::learning::ReadAhead;
use crate::mapper::Mapper;
use crate::region::{RegionList, Span};
use crate::swap::{NoSwap, Swap, SwapDevice};
use crate::sync::{self, Guard, Lock};
use crate::sys::memory::{self, Protection};
use crate::sys::Errno;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What a door does for the engine.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// Called before the first page is absent: from now on system calls must be guarded.
    pub arm: fn(),
    /// Who is running.
    pub who: fn() -> Who,
}

/// What an engine stands on, for who wants another ground than the process's mappings and files.
#[derive(Clone, Copy)]
pub struct Seams {
    /// What changes what the program sees.
    pub mapper: &'static dyn Mapper,
    /// Where swapped pages lie: on this device, which has room for all; else in a file of the swap directory.
    pub swap: Option<&'static dyn SwapDevice>,
}

impl Seams {
    /// The process's own mappings, and a swap file.
    pub const LIVE: Seams = Seams { mapper: &crate::mapper::SIGNAL, swap: None };
}

/// Why an engine could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// The bookkeeping of so much swap leaves too few frames in the arena.
    Crowded,
    /// The region size does not fit into the address space.
    HeapTooLarge,
    /// The swap directory's name is too long.
    SwapDirTooLong,
    /// The swap directory cannot hold the swap file.
    SwapDir(Errno),
    /// The kernel refused memory.
    Memory(Errno),
}

impl From<NoSwap> for StartError {
    fn from(reason: NoSwap) -> StartError {
        match reason {
            NoSwap::DirTooLong => StartError::SwapDirTooLong,
            NoSwap::Dir(error) => StartError::SwapDir(error),
        }
    }
}

/// By which rules the frames of the pool are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Regime {
    /// A heap under a whole program: pages are mapped ahead, freed pages keep their frames for a while,
    /// pages that just came in are spared, bookkeeping grows in the pool, some frames are in reserve.
    Eager,
    /// To the letter, for a door that counts. Every frame of the pool holds a page, and the engine takes the lowest free
    /// one first. A page gets its frame when the program touches it, leaves when the policy names it, and gives the frame
    /// back at once when it is released. Each page is promised a slot. Bookkeeping lies in memory beside the arena.
    Exact,
}

/// What is in use.
#[derive(Clone, Copy, Debug)]
pub struct InUse {
    /// Pages of the arena, for whatever.
    pub frames: u32,
    /// Slots.
    pub slots: u32,
    /// Slots at the most.
    pub slots_peak: u32,
}

/// A virtual memory system.
pub struct Engine {
    regime: Regime,
    hooks: Hooks,
    mapper: &'static dyn Mapper,
    frames: FramePool,
    swap: Swap,
    charge: CommitCharge,
    events: Events,
    span: Span,
    regions: RegionList,
    /// Threads that run.
    threads: AtomicU32,
    read_ahead: ReadAhead,
    armed: AtomicBool,
    arming: Lock<()>,
    shared: Lock<()>,
    /// Where the searches for pages that are in slots, and for those that stand alone, go on.
    cursors: [AtomicU32; 2],
}

impl Engine {
    /// Makes an engine of these settings. Nothing is allocated from the heap.
    pub fn new(config: &Config<'_>, hooks: Hooks) -> Result<Engine, StartError> {
        let page_shift = config.page.trailing_zeros();
        let least = (MIN_FRAMES / 2) as u32;
        let layout =
            Layout::new(config.arena, config.swap, config.shared, page_shift, config.policy, least).ok_or(StartError::Crowded)?;
        let heap = usize::try_from(config.heap).map_err(|_| StartError::HeapTooLarge)?;
        let span = Span::new(heap, page_shift).ok_or(StartError::HeapTooLarge)?;
        Engine::build(config, hooks, Seams::LIVE, layout, span, Regime::Eager)
    }

    /// Makes an engine whose pool has exactly `frames` frames, for at most `regions` regions, which lie
    /// where the kernel has room for them. Of the settings, the sizes of arena and shared region do not
    /// matter, and pages may be absent from the start, so the hook `arm` is not called. Many such engines
    /// can exist at a time; [`Engine::dissolve`] ends one.
    pub fn exact(config: &Config<'_>, hooks: Hooks, seams: Seams, frames: u32, regions: u32) -> Result<Engine, StartError> {
        let page_shift = config.page.trailing_zeros();
        let slots = u32::try_from(config.swap >> page_shift).map_err(|_| StartError::Crowded)?;
        let layout = Layout::exact(frames, slots, page_shift, config.policy).ok_or(StartError::Crowded)?;
        let heap = usize::try_from(config.heap).map_err(|_| StartError::HeapTooLarge)?;
        let span = Span::of(regions, heap, page_shift).ok_or(StartError::HeapTooLarge)?;
        let base = reserve_room(&span).map_err(StartError::Memory)?;
        let engine = Engine::build(config, hooks, seams, layout, Span { base, ..span }, Regime::Exact);
        if engine.is_err() {
            // SAFETY: we have just reserved the room, and there is no engine that knows it.
            let _ = unsafe { memory::unmap(base, span.room()) };
        }
        engine
    }

    fn build(
        config: &Config<'_>,
        hooks: Hooks,
        seams: Seams,
        layout: Layout,
        span: Span,
        regime: Regime,
    ) -> Result<Engine, StartError> {
        sync::prepare();
        let exact = regime == Regime::Exact;
        let (arena, tables, slot_words) = Arena::new(layout).map_err(StartError::Memory)?;
        let frames = FramePool::new(arena, tables, config.policy, exact);
        let swap = Swap::new(seams.swap, config.swap_dir, layout.slots, layout.page_shift, slot_words).inspect_err(|_| {
            // SAFETY: nobody else knows the arena yet, and the tables are gone.
            unsafe { frames.arena().dissolve() }
        })?;
        let (pool, slots) = (u64::from(layout.pool), u64::from(layout.slots));
        Ok(Engine {
            regime,
            hooks,
            mapper: seams.mapper,
            frames,
            swap,
            charge: if exact { CommitCharge::exact(pool, slots) } else { CommitCharge::with_reserve(pool, slots) },
            events: Events::new(),
            span,
            regions: RegionList::new(),
            threads: AtomicU32::new(0),
            read_ahead: ReadAhead::new(),
            armed: AtomicBool::new(exact),
            arming: Lock::new(()),
            shared: Lock::new(()),
            cursors: [const { AtomicU32::new(0) }; 2],
        })
    }

    // The parts.

    /// The frames.
    #[inline]
    pub fn frames(&self) -> &FramePool {
        &self.frames
    }

    /// The swap space.
    #[inline]
    pub(crate) fn swap(&self) -> &Swap {
        &self.swap
    }

    /// What may be promised.
    pub fn charge(&self) -> &CommitCharge {
        &self.charge
    }

    /// Who is told what happens.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// What changes what the program sees.
    #[inline]
    pub(crate) fn mapper(&self) -> &'static dyn Mapper {
        self.mapper
    }

    /// The regions' geometry.
    #[inline]
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// log2 of the page size.
    #[inline]
    pub fn page_shift(&self) -> u32 {
        self.frames.arena().layout().page_shift
    }

    /// Bytes in a page.
    #[inline]
    pub fn page_size(&self) -> usize {
        self.frames.arena().page_size()
    }

    /// Whether the frames are used by the letter: [`Regime::Exact`].
    #[inline]
    pub fn is_exact(&self) -> bool {
        self.regime == Regime::Exact
    }

    /// Our descriptors: of the arena, the swap file and its directory.
    pub fn descriptors(&self) -> [&Descriptor; 3] {
        let [file, place] = self.swap.descriptors();
        [self.frames.arena().file(), file, place]
    }

    /// What is in use at this moment.
    pub fn in_use(&self) -> InUse {
        let layout = self.frames.arena().layout();
        let slots = self.swap.in_use();
        InUse { frames: layout.arena - layout.pool + self.frames.used(), slots: slots.used, slots_peak: slots.peak }
    }

    /// Gives everything back to the system: frames, swap file, address space.
    ///
    /// # Safety
    /// The engine was made by [`Engine::exact`], and neither it nor its regions are used from now on.
    pub unsafe fn dissolve(&self) {
        // SAFETY: nobody uses the engine any more, as the caller promises; the room is this engine's alone.
        unsafe {
            let _ = memory::unmap(self.span.base, self.span.room());
            self.frames.arena().dissolve();
        }
        self.swap.close();
    }

    // Which regions there are.

    /// Whether `address` lies where regions lie: whether anything of it can be ours.
    #[inline]
    pub fn is_ours(&self, address: usize) -> bool {
        self.span.find(address).is_some()
    }

    /// Whether there is a region with this number.
    #[inline]
    pub fn exists(&self, number: RegionNumber) -> bool {
        self.regions.exists(number)
    }

    /// Which regions there are.
    pub(crate) fn regions(&self) -> &RegionList {
        &self.regions
    }

    /// A thread begins.
    pub fn count_thread(&self) {
        self.threads.fetch_add(1, Ordering::Relaxed);
    }

    /// A thread ends.
    pub fn discount_thread(&self) {
        self.threads.fetch_sub(1, Ordering::Relaxed);
    }

    /// So many threads run now.
    pub fn set_threads(&self, threads: u32) {
        // Relaxed, as above and below: a number to decide by.
        self.threads.store(threads, Ordering::Relaxed);
    }

    /// So many threads run.
    pub fn threads(&self) -> u32 {
        self.threads.load(Ordering::Relaxed)
    }

    // What happens.

    /// Who is running.
    #[inline]
    pub(crate) fn who(&self) -> Who {
        (self.hooks.who)()
    }

    /// Something happened to the running thread, in a region with an outlook of its own if `sink` is given.
    pub(crate) fn emit(&self, who: &Who, event: &Event, sink: Option<&dyn EventSink>) {
        self.events.emit(who, event, sink);
    }

    /// What was learned of read-ahead.
    pub(crate) fn read_ahead(&self) -> &ReadAhead {
        &self.read_ahead
    }

    /// Whether pages may be absent, and so system calls are guarded.
    #[inline]
    pub fn is_armed(&self) -> bool {
        // Acquire: pairs with the release in `arm`.
        self.armed.load(Ordering::Acquire)
    }

    /// Pages may be absent from now on: has the door guard system calls, once.
    pub(crate) fn arm(&self) {
        if self.is_armed() {
            return;
        }
        let _once = self.arming.hold();
        if !self.is_armed() {
            (self.hooks.arm)();
            // Release: pairs with `is_armed`.
            self.armed.store(true, Ordering::Release);
        }
    }

    /// Nobody arms while this is held.
    pub(crate) fn hold_arming(&self) -> Guard<'_, ()> {
        self.arming.hold()
    }

    /// The words of the shared region, held.
    pub(crate) fn hold_shared(&self) -> Guard<'_, ()> {
        self.shared.hold()
    }

    /// Where the search for pages that are in slots goes on.
    pub(crate) fn saved_cursor(&self) -> &AtomicU32 {
        &self.cursors[0]
    }

    /// Where the search for pages that stand alone goes on.
    pub(crate) fn lonely_cursor(&self) -> &AtomicU32 {
        &self.cursors[1]
    }
}

/// Address space for the regions of an exact engine, beginning at a multiple of their distance.
fn reserve_room(span: &Span) -> Result<usize, Errno> {
    let slot = 1 << span.slot_shift;
    // One more, so that the first can begin at a multiple of the distance.
    let found = memory::reserve(span.room() + slot, Protection::None)?;
    let base = found.next_multiple_of(slot);
    // SAFETY: the ends of a mapping that was just made, outside of the room.
    let _ = unsafe {
        (base > found).then(|| memory::unmap(found, base - found));
        memory::unmap(base + span.room(), found + slot - base)
    };
    Ok(base)
}
