//! The engine as a whole: its parts, how they are made, and what is shared by all of them.
//!
//! Lock order, outermost first: the right to close gates, a region's gate, `regions`, `opening`,
//! `shared`, the pager's lock (`pool`), the trace's lock. The last two are never held during swap I/O,
//! and none while program memory is touched. The token of a page in transit is not a lock in this
//! order: its holder may take the pager's lock, but nobody who holds the pager's lock waits for a token.

use crate::arena::{Arena, Layout, Tables};
use crate::bitmap::BitmapState;
use crate::config::{Config, MIN_FRAMES};
use crate::descriptor::Descriptor;
use crate::frames::FrameMap;
use crate::gate;
use crate::lock::Lock;
use crate::policy::{Lists, ListsState, Policy};
use crate::span::Span;
use crate::stats::{Counter, Counters};
use crate::swap_file::SwapFile;
use crate::swap_map::{SwapMap, ELSEWHERE};
use crate::sys::memory::{self, Protection};
use crate::sys::Errno;
use crate::trace_log::TraceLog;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// What a door does for the engine.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// Called before the first page is absent: from now on system calls must be guarded.
    pub arm: fn(),
    /// Who is running.
    pub who: fn() -> Who,
}

/// A thread as the engine knows it.
#[derive(Clone, Copy)]
pub struct Who {
    /// Its number.
    pub thread: u32,
    /// Its own counters; without them the engine's are used.
    pub counters: Option<&'static Counters>,
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

/// Frames that are never promised: a page can always come in before another must leave.
const RESERVE: u64 = 8;

/// By which rules the frames of the pool are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Regime {
    /// A heap under a whole program: pages are mapped ahead, freed pages keep their frames for a while,
    /// pages that just came in are spared, bookkeeping grows in the pool, some frames are in reserve.
    Eager,
    /// To the letter, for who counts: every frame of the pool is for pages, the lowest free one first; a
    /// page comes in when it is touched, leaves when the policy says so, and gives its frame back at once
    /// when it is released. Each page is promised a slot. Bookkeeping lies in memory beside the arena.
    Exact,
}

/// What the pager's lock guards.
pub struct Pool {
    tables: Tables,
    free: BitmapState,
    slots: BitmapState,
    lists: ListsState,
}

impl Pool {
    /// Which frames are in use.
    pub fn frames(&mut self) -> FrameMap<'_> {
        FrameMap::new(self.tables.free, &mut self.free)
    }

    /// Which slots are in use.
    pub fn slots(&mut self) -> SwapMap<'_> {
        SwapMap::new(self.tables.swap, &mut self.slots)
    }

    /// The first `n` slots may be used.
    pub fn open_slots(&mut self, n: u32) {
        self.slots.grow(n);
    }

    /// A slot is free again, unless it is none of ours.
    pub fn give_slot(&mut self, slot: u32) {
        let given = slot == ELSEWHERE || self.slots().give(slot, 1);
        debug_assert!(given, "slot {slot} was not in use");
    }

    /// The policy's lists.
    pub fn lists(&mut self) -> Lists<'_> {
        Lists::new(self.tables.nodes, self.tables.ghosts, &mut self.lists)
    }
}

/// Numbers that all threads change.
#[derive(Default)]
pub struct Gauges {
    /// Pages that may still be promised.
    pub available: AtomicU64,
    /// There was no room for more slots than were needed at once.
    pub cramped: AtomicBool,
    /// Pages promised to blocks, and frames of growing bookkeeping.
    pub promised: AtomicU64,
    /// Frames of bookkeeping beyond the static part.
    pub bookkeeping: AtomicU32,
    /// Pages that hold a pin.
    pub pinned: AtomicU32,
    /// Numbers the faults, for the rule that a page just loaded must not leave.
    pub faults: AtomicU32,
    /// Frames that the hint map says hold retained pages.
    pub retained: AtomicU32,
    /// Slots of the span that have been looked at; changed with the list of regions held.
    pub regions: AtomicU32,
    /// Where the search for them goes on.
    pub retained_cursor: AtomicU32,
    /// Where the search for pages that are in slots goes on.
    pub saved: AtomicU32,
    /// Where the search for pages that stand alone goes on.
    pub lonely: AtomicU32,
    /// Frames in use at the most.
    pub resident_peak: AtomicU32,
    /// Threads that run.
    pub threads: AtomicU32,
    /// Bytes of live blocks at the most.
    pub bytes_peak: AtomicU64,
}

/// What is in use.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Frames, for whatever.
    pub frames_used: u32,
    /// Slots.
    pub slots_used: u32,
    /// Slots at the most.
    pub slots_peak: u32,
}

/// A virtual memory system.
pub struct Engine {
    arena: Arena,
    span: Span,
    regime: Regime,
    pub(crate) swap: SwapFile,
    pub(crate) pool: Lock<Pool>,
    pub(crate) policy: &'static dyn Policy,
    pub(crate) hooks: Hooks,
    pub(crate) opening: Lock<()>,
    pub(crate) regions: Lock<Regions>,
    pub(crate) armed: AtomicBool,
    /// Which slots of the span hold a region: one bit each.
    pub(crate) present: [AtomicU64; 1024],
    pub(crate) shared: Lock<()>,
    /// What all threads counted that have no counters of their own.
    pub counters: Counters,
    /// Numbers that all threads change.
    pub gauges: Gauges,
    /// The trace, if one is written.
    pub trace: TraceLog,
}

/// The list of regions.
#[derive(Default)]
pub struct Regions {
    /// 1 + the first region without owner and blocks.
    pub free: u32,
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
        Engine::build(config, hooks, layout, span, Regime::Eager)
    }

    /// Makes an engine whose pool has exactly `frames` frames, for at most `regions` regions, which lie
    /// where the kernel has room for them. Of the settings, the sizes of arena and shared region do not
    /// matter, and pages may be absent from the start, so the hook `arm` is not called. Many such engines
    /// can exist at a time; [`Engine::dissolve`] ends one.
    pub fn exact(config: &Config<'_>, hooks: Hooks, frames: u32, regions: u32) -> Result<Engine, StartError> {
        let page_shift = config.page.trailing_zeros();
        let slots = u32::try_from(config.swap >> page_shift).map_err(|_| StartError::Crowded)?;
        let layout = Layout::exact(frames, slots, page_shift, config.policy).ok_or(StartError::Crowded)?;
        let heap = usize::try_from(config.heap).map_err(|_| StartError::HeapTooLarge)?;
        let span = Span::of(regions, heap, page_shift).ok_or(StartError::HeapTooLarge)?;
        let slot = 1 << span.slot_shift;
        // One more, so that the first can begin at a multiple of the distance.
        let found = memory::reserve(span.room() + slot, Protection::None).map_err(StartError::Memory)?;
        let base = found.next_multiple_of(slot);
        // SAFETY: the ends of a mapping that was just made, outside of the room.
        let _ = unsafe {
            (base > found).then(|| memory::unmap(found, base - found));
            memory::unmap(base + span.room(), found + slot - base)
        };
        let engine = Engine::build(config, hooks, layout, Span { base, ..span }, Regime::Exact);
        if engine.is_err() {
            // SAFETY: nobody knows the room.
            let _ = unsafe { memory::unmap(base, span.room()) };
        }
        engine
    }

    fn build(config: &Config<'_>, hooks: Hooks, layout: Layout, span: Span, regime: Regime) -> Result<Engine, StartError> {
        let swap = SwapFile::new(config.swap_dir, config.swap).ok_or(StartError::SwapDirTooLong)?;
        swap.open().map_err(StartError::SwapDir)?;
        gate::prepare();
        let (arena, tables) = Arena::new(layout).map_err(StartError::Memory)?;
        let mut pool = Pool {
            tables,
            free: BitmapState::new(layout.frames),
            slots: BitmapState::new(0),
            lists: ListsState::new(layout.first_shared - layout.first_pool, 1),
        };
        let taken = pool.frames().take_at(0, layout.first_pool)
            && pool.frames().take_at(layout.first_shared, layout.frames - layout.first_shared);
        debug_assert!(taken, "the layout's own frames are free at the start");
        let gauges = Gauges::default();
        let pool_frames = u64::from(layout.first_shared - layout.first_pool);
        let slots = u64::from(layout.slots);
        let available = match regime {
            Regime::Eager => pool_frames - RESERVE.min(pool_frames) + slots,
            Regime::Exact => pool_frames.max(slots),
        };
        gauges.available.store(available, Ordering::Relaxed);
        Ok(Engine {
            arena,
            span,
            regime,
            swap,
            pool: Lock::new(pool),
            policy: config.policy,
            hooks,
            opening: Lock::new(()),
            regions: Lock::new(Regions::default()),
            armed: AtomicBool::new(regime == Regime::Exact),
            present: [const { AtomicU64::new(0) }; 1024],
            shared: Lock::new(()),
            counters: Counters::new(),
            gauges,
            trace: TraceLog::new(),
        })
    }

    /// log2 of the page size.
    #[inline]
    pub fn page_shift(&self) -> u32 {
        self.arena.layout().page_shift
    }

    /// Bytes in a page.
    #[inline]
    pub fn page(&self) -> usize {
        self.arena.page()
    }

    /// The frames.
    #[inline]
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Our descriptors: of the arena, the swap file and its directory.
    pub fn descriptors(&self) -> [&Descriptor; 3] {
        let [file, place] = self.swap.descriptors();
        [self.arena.file(), file, place]
    }

    /// The regions' geometry.
    #[inline]
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Frames for pages and growing bookkeeping.
    pub fn pool_frames(&self) -> u32 {
        let layout = self.arena.layout();
        layout.first_shared - layout.first_pool
    }

    /// Promises that need no swap.
    pub fn frames_to_promise(&self) -> u64 {
        let reserve = if self.is_exact() { 0 } else { RESERVE };
        u64::from(self.pool_frames()).saturating_sub(reserve)
    }

    /// Whether the frames are used by the letter: [`Regime::Exact`].
    #[inline]
    pub fn is_exact(&self) -> bool {
        self.regime == Regime::Exact
    }

    /// Gives everything back to the system: frames, swap file, address space.
    ///
    /// # Safety
    /// The engine was made by [`Engine::exact`], and neither it nor its regions are used from now on.
    pub unsafe fn dissolve(&self) {
        // SAFETY: the caller's promise; the room is this engine's alone.
        unsafe {
            let _ = memory::unmap(self.span.base, self.span.room());
            self.arena.dissolve();
        }
        self.swap.close();
    }

    /// Whether pages may be absent, and so system calls are guarded.
    #[inline]
    pub fn is_armed(&self) -> bool {
        // Acquire: pairs with the release in `arm`.
        self.armed.load(Ordering::Acquire)
    }

    /// What is in use at this moment.
    pub fn usage(&self) -> Usage {
        let mut pool = self.pool.hold();
        let frames_used = pool.frames().state().used();
        let slots = *pool.slots().state();
        Usage { frames_used, slots_used: slots.used(), slots_peak: slots.peak() }
    }

    /// Whether `address` lies where regions lie: whether anything of it can be ours.
    #[inline]
    pub fn is_ours(&self, address: usize) -> bool {
        self.span.find(address).is_some()
    }

    /// Whether slot `number` of the span holds a region.
    #[inline]
    pub fn exists(&self, number: u32) -> bool {
        // Acquire: pairs with the release when the region is made.
        let word = self.present.get(number as usize / 64);
        word.is_some_and(|word| word.load(Ordering::Acquire) & 1 << (number % 64) != 0)
    }

    /// Counts one for the thread that is running.
    pub(crate) fn count(&self, who: Who, counter: Counter, amount: u64) {
        match who.counters {
            Some(counters) => counters.add(counter, amount),
            None => self.counters.add_shared(counter, amount),
        }
    }

    /// Pages may be absent from now on: has the door guard system calls, once.
    pub(crate) fn arm(&self) {
        if self.is_armed() {
            return;
        }
        let _once = self.opening.hold();
        if !self.armed.load(Ordering::Acquire) {
            (self.hooks.arm)();
            // Release: pairs with `is_armed`.
            self.armed.store(true, Ordering::Release);
        }
    }
}
