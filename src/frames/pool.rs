//! The pool: which frames are free, in which order the others should be given up, and how many serve what.
//!
//! The pager's lock guards the allocation map and the policy's lists; it is held for a few list operations, never
//! during a transfer, and never while program memory is touched. A fork holds it while it copies ([`Frozen`]).
//!
//! Invariants, with the lock held:
//! - a frame is marked used exactly if a page or bookkeeping lies in it, or somebody is being given it;
//! - a frame that holds a page is in the policy's lists, except while the page's token is held;
//! - a victim is claimed by its token with the lock held, so a fork that holds the lock and sees no page in
//!   transit knows that none will be.
#![forbid(unsafe_code)]

use super::arena::{Arena, Tables};
use super::frame::{Frame, User, NO_FAULT};
use crate::bitmap::{Bitmap, BitmapState};
use crate::index::FrameIndex;
use crate::policy::{Arrival, Bits, Departure, Lists, ListsState, PageId, Policy};
use crate::sync::{Guard, Lock};
use crate::sys::thread::Quiet;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What the pager's lock guards.
struct Order {
    tables: Tables,
    map: BitmapState,
    lists: ListsState,
}

impl Order {
    fn map(&mut self) -> Bitmap<'_> {
        Bitmap::new(self.tables.free, &mut self.map)
    }

    fn lists(&mut self) -> Lists<'_> {
        Lists::new(self.tables.nodes, self.tables.ghosts, &mut self.lists)
    }
}

/// The frames of an engine.
pub struct FramePool {
    arena: Arena,
    order: Lock<Order>,
    policy: &'static dyn Policy,
    /// The lowest free frame is taken first, for who counts; else the next, for neighbours.
    lowest_first: bool,
    /// Numbers the faults, for the rule that a page just loaded must not leave.
    faults: AtomicU32,
    /// Frames that the hint map says hold retained pages, and where the search for them goes on.
    retained: AtomicU32,
    retained_cursor: AtomicU32,
    /// Frames of growing bookkeeping.
    bookkeeping: AtomicU32,
    /// Pages that hold a pin.
    pinned: AtomicU32,
    /// Frames in use at the most.
    peak: AtomicU32,
}

impl FramePool {
    /// A pool of free frames.
    pub fn new(arena: Arena, tables: Tables, policy: &'static dyn Policy, lowest_first: bool) -> FramePool {
        let pool = arena.layout().pool;
        let order = Order { tables, map: BitmapState::new(pool), lists: ListsState::new(pool, 1) };
        FramePool {
            arena,
            order: Lock::new(order),
            policy,
            lowest_first,
            faults: AtomicU32::new(0),
            retained: AtomicU32::new(0),
            retained_cursor: AtomicU32::new(0),
            bookkeeping: AtomicU32::new(0),
            pinned: AtomicU32::new(0),
            peak: AtomicU32::new(0),
        }
    }

    /// The memory of the frames.
    #[inline]
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// What is known of a frame.
    #[inline]
    pub fn frame(&self, frame: FrameIndex) -> &Frame {
        self.arena.frame(frame)
    }

    /// How many frames there are.
    pub fn len(&self) -> u32 {
        self.arena.layout().pool
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every frame, from `first` on and around.
    pub fn all_from(&self, first: u32) -> impl Iterator<Item = FrameIndex> {
        let len = self.len();
        (0..len).map(move |i| FrameIndex::new(first.wrapping_add(i) % len))
    }

    // Handing frames out.

    /// A free frame.
    pub fn take(&self, quiet: &Quiet) -> Option<FrameIndex> {
        let mut order = self.order.hold_in(quiet);
        let mut map = order.map();
        let frame = if self.lowest_first { map.take_lowest() } else { map.take() };
        self.peak.fetch_max(map.state().used(), Relaxed);
        frame.map(FrameIndex::new)
    }

    /// Up to `most` free frames that are neighbours.
    pub fn take_run(&self, most: u64, quiet: &Quiet) -> Option<(FrameIndex, u32)> {
        let mut order = self.order.hold_in(quiet);
        let mut map = order.map();
        let run = map.take_run(u32::try_from(most).unwrap_or(u32::MAX));
        self.peak.fetch_max(map.state().used(), Relaxed);
        run.map(|(first, n)| (FrameIndex::new(first), n))
    }

    /// Gives back frames that are mapped nowhere and in none of the policy's lists.
    pub fn give(&self, first: FrameIndex, n: u32, quiet: &Quiet) {
        for i in 0..n {
            let frame = self.frame(first.plus(i));
            frame.note_use();
            frame.set_user(User::Nobody);
        }
        let given = self.order.hold_in(quiet).map().give(first.get(), n);
        debug_assert!(given, "frames from {first} on were not in use");
    }

    /// Frames that are free at this moment.
    pub fn free(&self) -> u32 {
        self.order.hold().map().state().free()
    }

    /// Frames in use at this moment.
    pub fn used(&self) -> u32 {
        self.order.hold().map().state().used()
    }

    /// Frames in use at the most.
    pub fn peak(&self) -> u32 {
        self.peak.load(Relaxed)
    }

    // The policy's order.

    /// The page at `address`, which is in no frame, was touched: a frame will be looked for.
    pub fn missed(&self, address: usize, bits: &mut dyn Bits, quiet: &Quiet) {
        self.policy.missed(&mut self.order.hold_in(quiet).lists(), PageId(address as u64), bits);
    }

    /// The page at `address` lies in `frame` now; by a fault, it is young.
    pub fn enter(&self, frame: FrameIndex, address: usize, arrival: Arrival, bits: &mut dyn Bits, quiet: &Quiet) {
        let known = self.frame(frame);
        if arrival == Arrival::Fault {
            // From 2 on: 0 and 1 say something else.
            known.set_stamp(self.faults.fetch_add(1, Relaxed).wrapping_add(1).max(NO_FAULT + 1));
        }
        known.set_user(User::Page(address));
        let mut order = self.order.hold_in(quiet);
        self.policy.inserted(&mut order.lists(), frame, PageId(address as u64), arrival, bits);
    }

    /// The `n` pages from `address` on lie in the frames from `first` on, mapped ahead.
    pub fn enter_run(&self, first: FrameIndex, n: u32, address: usize, bits: &mut dyn Bits, quiet: &Quiet) {
        let mut order = self.order.hold_in(quiet);
        for i in 0..n {
            let (frame, address) = (first.plus(i), address + i as usize * self.arena.page_size());
            self.frame(frame).set_stamp(NO_FAULT);
            self.frame(frame).set_user(User::Page(address));
            self.policy.inserted(&mut order.lists(), frame, PageId(address as u64), Arrival::MappedAhead, bits);
        }
    }

    /// The page in `frame` is given up by the program.
    pub fn leave(&self, frame: FrameIndex, quiet: &Quiet) {
        let mut order = self.order.hold_in(quiet);
        self.remove(&mut order, frame, Departure::Freed);
    }

    /// A fault showed that the page in `frame`, whose R had been taken, is in use.
    pub fn referenced(&self, frame: FrameIndex, bits: &mut dyn Bits, quiet: &Quiet) {
        self.policy.referenced(&mut self.order.hold_in(quiet).lists(), frame, bits);
    }

    /// Has the policy name up to `n` victims and `claim` take their tokens; they are in no list from then on. Ends with the
    /// first whose token cannot be had.
    pub fn choose(&self, n: u32, bits: &mut dyn Bits, quiet: &Quiet, mut claim: impl FnMut(FrameIndex) -> bool) {
        let mut order = self.order.hold_in(quiet);
        for _ in 0..n {
            let chosen = self.policy.victim(&mut order.lists(), bits);
            let claimed = |frame| self.claim(&mut order, frame, Departure::Evicted, |frame| claim(frame).then_some(()));
            if chosen.and_then(claimed).is_none() {
                return;
            }
        }
    }

    /// The first frame, from number `first` on, whose token `claim` takes; it is in no list from then on.
    pub fn claim_first<T>(&self, first: u32, quiet: &Quiet, claim: impl Fn(FrameIndex) -> Option<T>) -> Option<T> {
        let mut order = self.order.hold_in(quiet);
        self.all_from(first).find_map(|frame| self.claim(&mut order, frame, Departure::Evicted, &claim))
    }

    /// A retained page whose token `claim` takes.
    pub fn claim_retained<T>(&self, quiet: &Quiet, claim: impl Fn(FrameIndex) -> Option<T>) -> Option<T> {
        if self.retained.load(Relaxed) == 0 {
            return None;
        }
        let mut order = self.order.hold_in(quiet);
        let words = self.arena.retained();
        let first = self.retained_cursor.load(Relaxed);
        for i in 0..words.len() as u32 {
            let number = (first + i) % words.len() as u32;
            let mut bits = words.get(number as usize).map_or(0, |word| word.load(Relaxed));
            while bits != 0 {
                let frame = FrameIndex::new(number * 64 + bits.trailing_zeros());
                bits &= bits - 1;
                self.note_retained(frame, false);
                if let Some(claimed) = self.claim(&mut order, frame, Departure::Freed, &claim) {
                    self.retained_cursor.store(number, Relaxed);
                    return Some(claimed);
                }
            }
            if self.retained.load(Relaxed) == 0 {
                return None;
            }
        }
        None
    }

    fn claim<T>(
        &self,
        order: &mut Order,
        frame: FrameIndex,
        how: Departure,
        claim: impl FnOnce(FrameIndex) -> Option<T>,
    ) -> Option<T> {
        let claimed = claim(frame)?;
        self.remove(order, frame, how);
        Some(claimed)
    }

    fn remove(&self, order: &mut Order, frame: FrameIndex, how: Departure) {
        if let User::Page(address) = self.frame(frame).user() {
            self.policy.removed(&mut order.lists(), frame, PageId(address as u64), how);
        }
    }

    /// Whether `frame` holds, or does not hold, a retained page. A hint; the entry decides.
    pub fn note_retained(&self, frame: FrameIndex, is: bool) {
        let Some(word) = self.arena.retained().get(frame.at() / 64) else {
            return;
        };
        let bit = 1u64 << (frame.get() % 64);
        // Relaxed: a hint, and its number.
        if is {
            if word.fetch_or(bit, Relaxed) & bit == 0 {
                self.retained.fetch_add(1, Relaxed);
            }
        } else if word.fetch_and(!bit, Relaxed) & bit != 0 {
            self.retained.fetch_sub(1, Relaxed);
        }
    }

    /// Whether the page in `frame` was brought in by one of the last `grace` faults.
    pub fn is_young(&self, frame: FrameIndex, grace: u32) -> bool {
        let stamp = self.frame(frame).stamp();
        stamp > NO_FAULT && self.faults.load(Relaxed).wrapping_sub(stamp) < grace
    }

    // What frames serve.

    /// Whether one more frame may serve bookkeeping: paging needs frames too, so it never takes the last of them.
    pub fn has_room_for_bookkeeping(&self) -> bool {
        let taken = self.bookkeeping() + self.pinned();
        taken + (self.len() / 8).max(12) < self.len()
    }

    /// One more frame serves bookkeeping, seen at `address`.
    pub fn note_bookkeeping(&self, frame: FrameIndex, address: usize) {
        self.frame(frame).set_user(User::Bookkeeping(address));
        self.bookkeeping.fetch_add(1, Relaxed);
    }

    /// One frame less does, and is about to be given back.
    pub fn forget_bookkeeping(&self) {
        self.bookkeeping.fetch_sub(1, Relaxed);
    }

    /// Frames of growing bookkeeping.
    pub fn bookkeeping(&self) -> u32 {
        self.bookkeeping.load(Relaxed)
    }

    /// A page got its first pin.
    pub fn note_pinned(&self) {
        self.pinned.fetch_add(1, Relaxed);
    }

    /// A page lost its last pin, if `last`.
    pub fn note_unpinned(&self, last: bool) {
        self.pinned.fetch_sub(u32::from(last), Relaxed);
    }

    /// Pages that hold a pin.
    pub fn pinned(&self) -> u32 {
        self.pinned.load(Relaxed)
    }

    /// So many pages may be pinned before requests are cut short: half of the frames for pages.
    pub fn most_pinned(&self) -> u32 {
        self.len().saturating_sub(self.bookkeeping()) / 2
    }

    /// In a child process, which has none of its parent's pins.
    pub fn forget_pins(&self) {
        self.pinned.store(0, Relaxed);
    }

    // fork.

    /// Holds the pager's lock: no page leaves and no frame changes hands.
    pub fn freeze(&self) -> Frozen<'_> {
        Frozen(self.order.hold())
    }
}

/// The pager's lock, held for a fork.
pub struct Frozen<'p>(Guard<'p, Order>);

impl<'p> Frozen<'p> {
    /// Frames in use.
    pub fn used(&mut self) -> u32 {
        self.0.map().state().used()
    }

    /// The frames in use, as runs of neighbours.
    pub fn runs(&mut self) -> impl Iterator<Item = (FrameIndex, u32)> + use<'_, 'p> {
        let mut next = 0;
        let map = self.0.map();
        core::iter::from_fn(move || {
            let first = map.next_used(next)?;
            let mut n = 1;
            while map.next_used(first + n) == Some(first + n) {
                n += 1;
            }
            next = first + n;
            Some((FrameIndex::new(first), n))
        })
    }
}
