//! Promises: a page of a block is backed by a frame or a slot from the moment malloc returns, so that
//! no later touch can fail for want of space. And map-ahead: while frames are plentiful, pages are
//! mapped when they are promised, in runs, and never fault.

use crate::arena::Owner;
use crate::engine::Engine;
use crate::heap::Ground;
use crate::index::FrameIndex;
use crate::live_bits::LiveBits;
use crate::policy::{Arrival, Departure, PageId};
use crate::pte::{Pte, State};
use crate::region::Place;
use crate::sys;
use crate::sys::memory::{self, Protection};
use crate::sys::thread;
use core::sync::atomic::Ordering;

/// What a page that is mapped ahead allows: everything, and so it counts as modified.
const OPEN: u64 = Pte::READ | Pte::WRITE | Pte::M;
/// Slots that are reserved beyond those needed at once, on a disk that is nearly full.
const LITTLE: u64 = 1024;
/// Pages mapped ahead of a growing heap at the most.
const AHEAD: u64 = 64;

impl Engine {
    /// Takes `n` from what may be promised.
    pub(crate) fn take_promise(&self, n: u64) -> bool {
        let available = &self.gauges.available;
        // Relaxed: the number alone decides; nothing is read on the strength of it.
        let taken = available.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(n));
        if taken.is_err() {
            return false;
        }
        let promised = self.gauges.promised.fetch_add(n, Ordering::Relaxed) + n;
        let slots = promised.saturating_sub(self.frames_to_promise());
        if slots > 0 && !self.has_reserved(slots, promised) {
            self.give_promise(n);
            return false;
        }
        true
    }

    /// Gives `n` back to what may be promised.
    pub(crate) fn give_promise(&self, n: u64) {
        self.gauges.promised.fetch_sub(n, Ordering::Relaxed);
        self.gauges.available.fetch_add(n, Ordering::Relaxed);
    }

    /// Whether the space of `least` slots is reserved, which is done before they are promised. With as many as there are
    /// pages, clean ones can keep theirs.
    fn has_reserved(&self, least: u64, pages: u64) -> bool {
        let all = u64::from(self.arena().layout().slots);
        let reserved = self.swap.reserved() >> self.page_shift();
        let wanted = if self.gauges.cramped.load(Ordering::Relaxed) { least } else { pages.min(all) };
        reserved >= wanted || self.reserve_slots(least, all)
    }

    /// Reserves more: the double, if there is room for it.
    fn reserve_slots(&self, least: u64, all: u64) -> bool {
        let plenty = if self.is_exact() { all } else { 2 * (least + u64::from(self.pool_frames())) };
        let opening = self.opening.hold();
        let mut reserved = Ok(());
        for slots in [plenty, least + LITTLE, least] {
            reserved = self.swap.reserve(slots.min(all) << self.page_shift());
            if reserved.is_ok() {
                break;
            }
            self.gauges.cramped.store(true, Ordering::Relaxed);
        }
        self.pool.hold().open_slots((self.swap.reserved() >> self.page_shift()) as u32);
        drop(opening);
        if let Err(error) = reserved {
            self.swap.complain_of_space(error);
        }
        reserved.is_ok()
    }

    /// See [`Ground::promise`]. The caller holds the region's gate. A store of the region's own has made
    /// its own promises.
    pub(crate) fn promise(&'static self, place: &Place, page: u64, n: u64, zero: bool) -> Option<bool> {
        let _stack = self.keep_stack();
        if place.store().is_none() && !self.take_promise(n) {
            return None;
        }
        let mut known_zero = true;
        let mut at = page;
        while at < page + n {
            let entry = place.page(at);
            let pte = entry.pte();
            match pte.state() {
                State::Void => {
                    let mut run = 1;
                    while at + run < page + n && place.page(at + run).pte() == Pte::VOID {
                        run += 1;
                    }
                    self.promise_void(place, at, run, n);
                    at += run;
                }
                State::Retained => {
                    if let Some(was_zero) = self.promise_retained(place, at, pte, zero) {
                        known_zero &= was_zero || zero;
                        at += 1;
                    }
                }
                _ => self.wait(entry, pte),
            }
        }
        Some(known_zero)
    }

    /// Promises pages that nothing backs: mapped now if frames are plentiful, on first touch if not.
    fn promise_void(&'static self, place: &Place, page: u64, n: u64, requested: u64) {
        let small = requested <= 4;
        let spare = self.spare_frames();
        let mut mapped = 0;
        if spare >= n {
            mapped = self.map_run(place, page, n, State::Resident, small);
            // A growing heap of small blocks: the next pages will be wanted soon.
            if small && mapped == n {
                let ahead = AHEAD.min(page / 4).min((spare - n) / 8);
                let limit = (place.backed_groups() * 64).min(place.pages());
                let next = page + n;
                let void = (next..limit.min(next + ahead)).take_while(|p| place.page(*p).pte() == Pte::VOID).count();
                if void > 3 {
                    self.map_run(place, next, void as u64, State::Retained, true);
                }
            }
        }
        if mapped < n {
            self.arm();
            for absent in page + mapped..page + n {
                place.page(absent).finish(Pte::new(State::Empty, 0, 0));
            }
        }
    }

    /// Frames that may be mapped without need: all but the last sixteenth.
    pub(crate) fn spare_frames(&self) -> u64 {
        if self.is_exact() {
            return 0;
        }
        let low = self.pool_frames() / 16 + 8;
        let free = self.pool.hold().frames().state().free();
        u64::from(free.saturating_sub(low))
    }

    /// Maps the void pages `page .. page + n` to free frames, open for everything, as far as there are
    /// any; returns how many. The caller holds the region's gate, so the pages stay void meanwhile.
    fn map_run(&'static self, place: &Place, page: u64, n: u64, state: State, populate: bool) -> u64 {
        let mut done = 0;
        while done < n {
            // A handler of the program may fork, and a fork waits until every frame has its owner.
            let _quiet = thread::Quiet::begin();
            let taken = self.pool.hold_masked().frames().take_run((n - done).min(u64::from(u32::MAX)) as u32);
            let Some((first, count)) = taken else {
                return done;
            };
            for frame in first..first + count {
                // A frame that was never used is a hole of the memory file: zero.
                if self.arena().frame(frame).stamp.load(Ordering::Relaxed) != 0 {
                    self.arena().clear(frame, 1);
                }
            }
            let at = place.page_address(page + done);
            let len = count as usize * self.page();
            // SAFETY: void pages of a region of ours: nobody uses their addresses.
            let mapped = unsafe {
                if populate {
                    self.arena().show_populated(at, len, first)
                } else {
                    self.arena().show(at, len, Protection::ReadWrite, first)
                }
            };
            if mapped.is_err() {
                let given = self.pool.hold_masked().frames().give(first, count);
                debug_assert!(given, "frames that were just taken");
                return done;
            }
            let mut pool = self.pool.hold_masked();
            for (i, frame) in (first..first + count).enumerate() {
                self.arena().frame(frame).stamp.store(1, Ordering::Relaxed);
                self.arena().frame(frame).set_owner(Owner::Page(at + i * self.page()));
                // Before the entry says so: a page that can leave must be where victims are found.
                let id = PageId((at + i * self.page()) as u64);
                let mut bits = LiveBits::new(self, false);
                self.policy.inserted(&mut pool.lists(), FrameIndex::new(frame), id, Arrival::MappedAhead, &mut bits);
            }
            self.note_resident(pool.frames().state().used());
            drop(pool);
            for (i, frame) in (first..first + count).enumerate() {
                place.page(page + done + i as u64).finish(Pte::new(state, frame, OPEN | Pte::ZERO));
                if state == State::Retained {
                    self.note_retained(frame, true);
                }
            }
            done += u64::from(count);
        }
        done
    }

    /// Promises a page whose frame was kept; whether its bytes were zero, or `None` to look again.
    fn promise_retained(&'static self, place: &Place, page: u64, pte: Pte, zero: bool) -> Option<bool> {
        let entry = place.page(page);
        let frame = pte.index();
        let open = Pte::new(State::Resident, frame, OPEN);
        if pte.has(Pte::WRITE) && (pte.has(Pte::ZERO) || !zero) {
            entry.change(pte, open.with_pins_of(pte)).ok()?;
        } else {
            // Under the token, so that nobody evicts the page meanwhile; and no handler waits for it.
            let _quiet = thread::Quiet::begin();
            entry.change(pte, pte.to(State::Filling)).ok()?;
            if zero && !pte.has(Pte::ZERO) {
                self.clear(place, page, frame);
            }
            if !pte.has(Pte::WRITE) {
                let _ = place.protect(page, Protection::ReadWrite);
            }
            self.complete(entry, open.with_pins_of(pte));
        }
        self.note_retained(frame, false);
        Some(pte.has(Pte::ZERO))
    }

    /// See [`Ground::release`]. No swap I/O; frames stay mapped until somebody needs them, unless the
    /// regime is exact.
    pub(crate) fn release(&'static self, place: &Place, page: u64, n: u64) {
        let _stack = self.keep_stack();
        let mut at = page;
        while at < page + n {
            let entry = place.page(at);
            let pte = entry.pte();
            let released = match pte.state() {
                State::Resident if self.is_exact() => self.drop_resident(place, at, pte),
                State::Resident => {
                    // Whatever pinned the block for its life (a thread's stack) has ended with it.
                    let mut retained = pte.to(State::Retained).without(Pte::R | Pte::ZERO).with(Pte::M).with_pins_of(Pte::VOID);
                    if pte.0 & Pte::TERMS != 0 {
                        // The program's terms end here; its view is made anew with the next promise.
                        self.forget_lock(place.page_address(at), pte);
                        retained = retained.without(Pte::TERMS | Pte::READ | Pte::WRITE);
                    }
                    // The slot first: a retained page that is taken has none to lose.
                    self.drop_slot(pte.index());
                    let done = entry.change(pte, retained).is_ok();
                    if done {
                        self.gauges.pinned.fetch_sub(u32::from(pte.pins() > 0), Ordering::Relaxed);
                        self.note_retained(pte.index(), true);
                    }
                    done
                }
                State::Swapped => {
                    let done = entry.change(pte, Pte::VOID).is_ok();
                    if done {
                        self.free_slot(pte.index());
                    }
                    done
                }
                State::Empty => entry.change(pte, Pte::VOID).is_ok(),
                State::Filling | State::Leaving => {
                    self.wait(entry, pte);
                    false
                }
                State::Void if pte.has(Pte::FOREIGN) => {
                    // SAFETY: a page of a block that ends here, and what the program mapped there with it.
                    let _ = unsafe { memory::unback(place.page_address(at), self.page(), Protection::None) };
                    entry.change(pte, Pte::VOID).is_ok()
                }
                // Never promised: nothing to take back.
                State::Void | State::Retained => true,
            };
            at += u64::from(released);
        }
        if place.store().is_none() {
            self.give_promise(n);
        }
    }

    /// Gives back the frame of a resident page whose contents are of no value; false to look again.
    fn drop_resident(&'static self, place: &Place, page: u64, was: Pte) -> bool {
        let entry = place.page(page);
        if entry.change(was, was.to(State::Leaving)).is_err() {
            return false;
        }
        // Close to the limit of mappings it may take a moment; a page must not show what is another's.
        while place.close(page).is_err() {
            thread::nap();
        }
        self.forsake(was.index());
        self.gauges.pinned.fetch_sub(u32::from(was.pins() > 0), Ordering::Relaxed);
        self.complete(entry, Pte::VOID);
        true
    }

    /// Gives back a frame whose page is mapped nowhere and of no value, with its slot if it has one.
    pub(crate) fn forsake(&self, frame: u32) {
        let id = match self.arena().frame(frame).owner() {
            Owner::Page(address) => PageId(address as u64),
            _ => PageId(0),
        };
        let mut pool = self.pool.hold();
        self.policy.removed(&mut pool.lists(), FrameIndex::new(frame), id, Departure::Freed);
        drop(pool);
        self.drop_slot(frame);
        self.return_frame(frame);
    }

    /// The page was locked by the program, perhaps: the kernel's lock ends with the pager's.
    fn forget_lock(&self, at: usize, pte: Pte) {
        if pte.has(Pte::LOCKED) {
            // SAFETY: no effect on contents.
            let _ = unsafe { sys::syscall!(libc::SYS_munlock, at, self.page()) };
        }
    }

    /// Keeps the hint map of retained pages, and their number.
    pub(crate) fn note_retained(&self, frame: u32, is: bool) {
        let Some(word) = self.arena().retained().get(frame as usize / 64) else {
            return;
        };
        let bit = 1u64 << (frame % 64);
        // Relaxed: a hint; the page table entry decides.
        if is {
            if word.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
                self.gauges.retained.fetch_add(1, Ordering::Relaxed);
            }
        } else if word.fetch_and(!bit, Ordering::Relaxed) & bit != 0 {
            self.gauges.retained.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn note_resident(&self, used: u32) {
        self.gauges.resident_peak.fetch_max(used, Ordering::Relaxed);
    }
}
