//! One page: the engine's own [`Entry`], two frames and a slot as cells, and between the transitions what `pager/` does
//! there, without its system calls. What an ordering or a lost waiter would break is in the entry, and so in the engine's code.
#![allow(clippy::panic)] // A model may.

use crate::index::{FrameIndex, Slot};
use crate::page::{granted, plan, Access, Entry, Plan, Pte, State, Token};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};

/// What a frame holds that nobody may look at.
pub const JUNK: u64 = 0xdead;
/// Where a page comes in, so that frame 0 shows whether it left too early.
const COMING: FrameIndex = FrameIndex::new(1);
/// The only slot.
const SLOT: Slot = Slot::new(0);

/// A page and where its bytes may be.
pub struct Page {
    entry: Entry,
    /// Two frames.
    pub frames: [UnsafeCell<u64>; 2],
    /// The slot.
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
        let entry = Entry::default();
        entry.update(|_| pte);
        Page {
            entry,
            frames: [UnsafeCell::new(bytes), UnsafeCell::new(JUNK)],
            slot: UnsafeCell::new(bytes),
            frames_freed: AtomicUsize::new(0),
            slots_used: AtomicUsize::new(usize::from(pte.state() == State::Swapped)),
            fills: AtomicUsize::new(0),
        }
    }

    /// What the entry says at this moment.
    pub fn pte(&self) -> Pte {
        self.entry.load()
    }

    /// `Engine::serve`.
    pub fn fault(&self, access: Access) {
        loop {
            let pte = self.entry.load();
            match plan(pte, access) {
                Plan::Stray => panic!("a page of a block is never {pte:?}"),
                Plan::Retry => return,
                Plan::Wait => self.entry.wait(pte),
                Plan::FirstTouch | Plan::SwapIn => {
                    if let Some(token) = self.entry.begin(pte, State::Filling) {
                        return self.fill(token, access);
                    }
                }
                Plan::Reference | Plan::FirstWrite => {
                    if let Some(token) = self.entry.begin(pte, State::Filling) {
                        let now = Pte::resident(pte.frame(), granted(pte, access));
                        return token.finish(now.with_pins_of(pte));
                    }
                }
            }
        }
    }

    /// `Engine::fill`. The slot is given up when the page becomes dirty.
    fn fill(&self, token: Token<'_>, access: Access) {
        let was = token.was();
        // SAFETY: we hold the token; loom checks what that is worth.
        let bytes = if was.state() == State::Swapped { self.slot.with(|slot| unsafe { *slot }) } else { 0 };
        // SAFETY: as above.
        self.frames[COMING.at()].with_mut(|frame| unsafe { *frame = bytes });
        self.fills.fetch_add(1, Ordering::Relaxed);
        let flags = granted(Pte::resident(COMING, 0), access);
        if was.state() == State::Swapped && flags & Pte::M != 0 {
            self.slots_used.fetch_sub(1, Ordering::Relaxed);
        }
        token.finish(Pte::resident(COMING, flags));
    }

    /// `Engine::claim` with `can_leave`, then `Engine::evict`. The frame is then somebody else's, who writes to it.
    pub fn evict(&self) {
        let was = self.entry.load();
        let can_leave = matches!(was.state(), State::Resident | State::Retained) && was.pins() == 0;
        let Some(token) = can_leave.then(|| self.entry.begin(was, State::Leaving)).flatten() else {
            return;
        };
        let frame = &self.frames[was.frame().at()];
        let left = if was.state() == State::Retained {
            Pte::VOID
        } else {
            // SAFETY: we hold the token; loom checks what that is worth.
            let bytes = frame.with(|frame| unsafe { *frame });
            // SAFETY: as above.
            self.slot.with_mut(|slot| unsafe { *slot = bytes });
            self.slots_used.fetch_add(1, Ordering::Relaxed);
            Pte::swapped(SLOT)
        };
        // SAFETY: as above.
        frame.with_mut(|frame| unsafe { *frame = JUNK });
        self.frames_freed.fetch_add(1, Ordering::Relaxed);
        token.finish(left);
    }

    /// `LiveBits::take_referenced`.
    pub fn take_referenced(&self) {
        let pte = self.entry.load();
        if pte.state() != State::Resident || !pte.has(Pte::R) || pte.pins() > 0 {
            return;
        }
        if let Some(token) = self.entry.begin(pte, State::Filling) {
            token.finish(pte.without(Pte::READ | Pte::WRITE | Pte::R));
        }
    }

    /// `Engine::pin_page`.
    pub fn pin(&self, access: Access) {
        loop {
            let pte = self.entry.load();
            match pte.state() {
                State::Void | State::Retained => return,
                State::Resident if pte.allows(access) => {
                    if pte.pinned().is_some_and(|pinned| self.entry.change(pte, pinned).is_ok()) {
                        return;
                    }
                }
                _ => self.fault(access),
            }
        }
    }

    /// `Engine::unpin`.
    pub fn unpin(&self) {
        self.entry.update(Pte::unpinned);
    }

    /// `Place::release_page`, until it is done.
    pub fn release(&self) {
        loop {
            let pte = self.entry.load();
            let released = match pte.state() {
                State::Resident => {
                    let retained = pte.to(State::Retained).without(Pte::R | Pte::ZERO).with(Pte::M);
                    self.entry.change(pte, retained.with_pins_of(Pte::VOID)).is_ok()
                }
                State::Swapped => {
                    let done = self.entry.change(pte, Pte::VOID).is_ok();
                    self.slots_used.fetch_sub(usize::from(done), Ordering::Relaxed);
                    done
                }
                State::Empty => self.entry.change(pte, Pte::VOID).is_ok(),
                State::Filling | State::Leaving => {
                    self.entry.wait(pte);
                    false
                }
                State::Void | State::Retained => true,
            };
            if released {
                return;
            }
        }
    }

    /// `Place::promise_pages`: the page is a block's again.
    pub fn promise(&self) {
        loop {
            let pte = self.entry.load();
            let done = match pte.state() {
                State::Void => self.entry.change(pte, Pte::EMPTY).is_ok(),
                State::Retained => {
                    let open = Pte::READ | Pte::WRITE | Pte::M;
                    self.entry.change(pte, Pte::resident(pte.frame(), open).with_pins_of(pte)).is_ok()
                }
                _ => {
                    self.entry.wait(pte);
                    false
                }
            };
            if done {
                return;
            }
        }
    }

    /// `Engine::move_pages`, from this page to one whose contents are of no value: the token is left open and taken up again.
    pub fn move_to(&self, to: &Page) {
        let token = self.entry.begin_leaving();
        let first = token.was();
        token.leave_open();
        to.entry.begin_leaving().leave_open();
        to.slot.with_mut(|slot| {
            // SAFETY: we hold both tokens; loom checks what that is worth.
            self.slot.with(|from| unsafe { *slot = *from });
        });
        to.frames.iter().zip(&self.frames).for_each(|(to, from)| {
            // SAFETY: as above.
            to.with_mut(|to| from.with_mut(|from| unsafe { core::ptr::swap(to, from) }));
        });
        to.entry.take_up().finish(first.with_pins_of(Pte::VOID));
        self.entry.take_up().finish(Pte::EMPTY);
    }

    /// Reads the bytes as the program or the kernel does once it may.
    pub fn read(&self) -> u64 {
        // SAFETY: the caller has pinned the page, or is alone; loom checks what that is worth.
        self.frames[self.pte().frame().at()].with(|frame| unsafe { *frame })
    }
}
