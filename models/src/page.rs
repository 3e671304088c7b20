//! One page: its entry with loom's atomics, two frames and a slot as cells, and the transitions of
//! `pager.rs`, `reclaim.rs`, `promise.rs` and `pin.rs` without their system calls.
#![allow(clippy::panic)] // A model may.

use crate::futex::Futex;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use vmcore::page::Access;
use vmcore::page::{granted, plan, Plan};
use vmcore::page::{Pte, State};

/// What a frame holds that nobody may look at.
pub const JUNK: u64 = 0xdead;

/// A page and where its bytes may be.
pub struct Page {
    pte: AtomicU64,
    futex: Futex,
    /// Frames 0 and 1; a page comes in to frame 1, so that frame 0 shows whether it left too early.
    pub frames: [UnsafeCell<u64>; 2],
    /// Slot 0.
    pub slot: UnsafeCell<u64>,
    /// How often a frame was given back.
    pub frames_freed: AtomicUsize,
    /// Slots in use.
    pub slots_used: AtomicUsize,
    /// How often a frame was filled.
    pub fills: AtomicUsize,
}

impl Page {
    /// A page in the state `pte` whose frame 0 and slot hold `bytes`.
    pub fn new(pte: Pte, bytes: u64) -> Page {
        Page {
            pte: AtomicU64::new(pte.0),
            futex: Futex::default(),
            frames: [UnsafeCell::new(bytes), UnsafeCell::new(JUNK)],
            slot: UnsafeCell::new(bytes),
            frames_freed: AtomicUsize::new(0),
            slots_used: AtomicUsize::new(usize::from(pte.state() == State::Swapped)),
            fills: AtomicUsize::new(0),
        }
    }

    /// `page_table::Page::pte`.
    pub fn pte(&self) -> Pte {
        Pte(self.pte.load(Ordering::Acquire))
    }

    /// `page_table::Page::change`.
    pub fn change(&self, from: Pte, to: Pte) -> bool {
        self.pte.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// `page_table::Page::finish`, and `Engine::complete`.
    pub fn complete(&self, to: Pte) {
        let was = Pte(self.pte.swap(to.without(Pte::WAITERS).0, Ordering::AcqRel));
        if was.has(Pte::WAITERS) {
            self.futex.wake_all();
        }
    }

    /// `Engine::wait`. The futex compares the low half only.
    pub fn wait(&self, mut pte: Pte) {
        while pte.in_transit() {
            let waiting = pte.with(Pte::WAITERS);
            if waiting != pte && !self.change(pte, waiting) {
                pte = self.pte();
                continue;
            }
            self.futex.wait(|| self.pte.load(Ordering::SeqCst) as u32 == waiting.0 as u32);
            pte = self.pte();
        }
    }

    /// `Engine::serve`.
    pub fn fault(&self, access: Access) {
        loop {
            let pte = self.pte();
            match plan(pte, access) {
                Plan::Stray => panic!("a page of a block is never {pte:?}"),
                Plan::Retry => return,
                Plan::Wait => self.wait(pte),
                Plan::FirstTouch | Plan::SwapIn => {
                    if self.change(pte, pte.to(State::Filling)) {
                        self.fill(pte, access);
                        return;
                    }
                }
                Plan::Reference | Plan::FirstWrite => {
                    if self.change(pte, pte.to(State::Filling)) {
                        let now = Pte::new(State::Resident, pte.index(), granted(pte, access));
                        self.complete(now.with_pins_of(pte));
                        return;
                    }
                }
            }
        }
    }

    /// `Engine::fill`: into frame 1. The slot is given up when the page becomes dirty.
    fn fill(&self, was: Pte, access: Access) {
        // SAFETY: we hold the token; loom checks what that is worth.
        let bytes = if was.state() == State::Swapped { self.slot.with(|slot| unsafe { *slot }) } else { 0 };
        // SAFETY: as above.
        self.frames[1].with_mut(|frame| unsafe { *frame = bytes });
        self.fills.fetch_add(1, Ordering::Relaxed);
        let flags = granted(Pte::new(State::Resident, 1, 0), access);
        if was.state() == State::Swapped && flags & Pte::M != 0 {
            self.slots_used.fetch_sub(1, Ordering::Relaxed);
        }
        self.complete(Pte::new(State::Resident, 1, flags));
    }

    /// `Engine::token_of` with `can_leave`, then `Engine::evict`. The frame is then somebody else's, who
    /// writes to it.
    pub fn evict(&self) {
        let was = self.pte();
        let can_leave = matches!(was.state(), State::Resident | State::Retained) && was.pins() == 0;
        if !can_leave || !self.change(was, was.to(State::Leaving)) {
            return;
        }
        let frame = &self.frames[was.index() as usize];
        let left = if was.state() == State::Retained {
            Pte::VOID
        } else {
            // SAFETY: we hold the token; loom checks what that is worth.
            let bytes = frame.with(|frame| unsafe { *frame });
            // SAFETY: as above.
            self.slot.with_mut(|slot| unsafe { *slot = bytes });
            self.slots_used.fetch_add(1, Ordering::Relaxed);
            Pte::new(State::Swapped, 0, Pte::SLOT)
        };
        // SAFETY: as above.
        frame.with_mut(|frame| unsafe { *frame = JUNK });
        self.frames_freed.fetch_add(1, Ordering::Relaxed);
        self.complete(left);
    }

    /// `LiveBits::take_referenced`.
    pub fn take_referenced(&self) {
        let pte = self.pte();
        let referenced = pte.state() == State::Resident && pte.has(Pte::R);
        if referenced && self.change(pte, pte.to(State::Filling)) {
            self.complete(pte.without(Pte::READ | Pte::WRITE | Pte::R));
        }
    }

    /// The loop of `Engine::pin`.
    pub fn pin(&self, access: Access) {
        loop {
            let pte = self.pte();
            match pte.state() {
                State::Void | State::Retained => return,
                State::Resident if pte.allows(access) => {
                    if pte.pinned().is_some_and(|pinned| self.change(pte, pinned)) {
                        return;
                    }
                }
                _ => self.fault(access),
            }
        }
    }

    /// The loop of `Engine::unpin`.
    pub fn unpin(&self) {
        loop {
            let pte = self.pte();
            if pte.pins() == 0 {
                return;
            }
            if pte.in_transit() {
                self.wait(pte);
            } else if self.change(pte, pte.unpinned()) {
                return;
            }
        }
    }

    /// The loop of `Engine::release`.
    pub fn release(&self) {
        loop {
            let pte = self.pte();
            let released = match pte.state() {
                State::Resident => {
                    let retained = pte.to(State::Retained).without(Pte::R | Pte::ZERO).with(Pte::M);
                    self.change(pte, retained.with_pins_of(Pte::VOID))
                }
                State::Swapped => {
                    let done = self.change(pte, Pte::VOID);
                    self.slots_used.fetch_sub(usize::from(done), Ordering::Relaxed);
                    done
                }
                State::Empty => self.change(pte, Pte::VOID),
                State::Filling | State::Leaving => {
                    self.wait(pte);
                    false
                }
                State::Void | State::Retained => true,
            };
            if released {
                return;
            }
        }
    }

    /// `Engine::promise_retained`, or a first promise: the page is a block's again.
    pub fn promise(&self) {
        loop {
            let pte = self.pte();
            let done = match pte.state() {
                State::Void => {
                    self.complete(Pte::new(State::Empty, 0, 0));
                    true
                }
                State::Retained => {
                    let open = Pte::READ | Pte::WRITE | Pte::M;
                    self.change(pte, Pte::new(State::Resident, pte.index(), open).with_pins_of(pte))
                }
                _ => {
                    self.wait(pte);
                    false
                }
            };
            if done {
                return;
            }
        }
    }

    /// Reads the bytes as the program or the kernel does once it may.
    pub fn read(&self) -> u64 {
        // SAFETY: the caller has pinned the page, or is alone; loom checks what that is worth.
        self.frames[self.pte().index() as usize].with(|frame| unsafe { *frame })
    }
}
