//! The page table entry: one atomic word that says where a page is, and what may be done with it.
//!
//! ```text
//!  63            32 31      24 23        12 11 .. 4 3    0
//! +----------------+----------+------------+-------+------+
//! | frame or slot  |  terms   |    pins    | flags | state|
//! +----------------+----------+------------+-------+------+
//! ```
//!
//! Terms are what the program itself asked for with mprotect, mlock and the like: they belong to the
//! page wherever it is, and end when its block is freed.
//!
//! States and who may change them:
//! - `Void`      no block lies here and nothing backs the page.
//! - `Empty`     promised to a block, all zero, neither frame nor slot.
//! - `Filling`   somebody holds the token: a frame is being filled, or its protection changed.
//! - `Resident`  in the frame `index`; flags R, M and what the program view allows.
//! - `Retained`  in the frame `index`, but no block lies here: the cheapest victim there is.
//! - `Leaving`   somebody holds the token: the page in frame `index` is being evicted or released.
//! - `Swapped`   in the swap slot `index`.
//!
//! From `Filling` and `Leaving` only the holder of the token continues; everybody else waits on the
//! futex of the low half and looks again. All other transitions are one compare-and-swap.

#![forbid(unsafe_code)]

use crate::index::{FrameIndex, Slot};
use core::fmt;

/// What the program was doing to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading, or executing.
    Read,
    /// Writing.
    Write,
}

/// Where a page is. The value space is complete: 3 bits, 7 values; 7 never occurs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Nothing is here.
    Void = 0,
    /// Promised, zero, without frame or slot.
    Empty = 1,
    /// On its way in; the token is held.
    Filling = 2,
    /// In a frame.
    Resident = 3,
    /// In a frame that nobody needs.
    Retained = 4,
    /// On its way out; the token is held.
    Leaving = 5,
    /// In a swap slot.
    Swapped = 6,
}

/// The value of a page table entry at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pte(pub u64);

const STATE: u64 = 0b111;
const PIN_SHIFT: u32 = 12;
const PIN_ONE: u64 = 1 << PIN_SHIFT;
const PIN_MASK: u64 = 0xfff << PIN_SHIFT;
const INDEX_SHIFT: u32 = 32;

impl Pte {
    /// R: referenced since the policy last asked.
    pub const R: u64 = 1 << 4;
    /// M: modified since it was loaded; its slot, if any, is stale.
    pub const M: u64 = 1 << 5;
    /// Somebody sleeps on this word.
    pub const WAITERS: u64 = 1 << 6;
    /// The program view allows loads.
    pub const READ: u64 = 1 << 7;
    /// The program view allows stores.
    pub const WRITE: u64 = 1 << 8;
    /// The frame is all zero: mapped ahead and never handed out.
    pub const ZERO: u64 = 1 << 9;
    /// The index is a slot: the page was `Swapped` before it became `Filling`.
    pub const SLOT: u64 = 1 << 10;
    /// Brought in by read-ahead, closed, and not touched yet.
    pub const AHEAD: u64 = 1 << 11;
    /// Term: the program allows no access at all.
    pub const NO_LOADS: u64 = 1 << 24;
    /// Term: the program allows no stores.
    pub const NO_STORES: u64 = 1 << 25;
    /// Term: the program executes the page.
    pub const EXECUTE: u64 = 1 << 26;
    /// Term: the program has locked the page; one of the pins is for this.
    pub const LOCKED: u64 = 1 << 27;
    /// Term: the kernel keeps protections of parts of the page, or protection keys, that are not known
    /// here; one of the pins is for this.
    pub const PARTED: u64 = 1 << 28;
    /// Term: the program has unmapped the page or put something else there; the state is `Void`.
    pub const FOREIGN: u64 = 1 << 29;
    /// The terms that protect.
    pub const LIMITS: u64 = Pte::NO_LOADS | Pte::NO_STORES | Pte::EXECUTE;
    /// All terms.
    pub const TERMS: u64 = Pte::LIMITS | Pte::LOCKED | Pte::PARTED | Pte::FOREIGN;
    /// The most pins that one page can have.
    pub const MAX_PINS: u64 = PIN_MASK >> PIN_SHIFT;

    /// Nothing is here; also what fresh bookkeeping memory says.
    pub const VOID: Pte = Pte(0);

    /// Promised, all zero, with neither frame nor slot.
    pub const EMPTY: Pte = Pte::new(State::Empty, 0, 0);

    /// An entry in `state` with the frame or slot `index` and `flags`.
    pub const fn new(state: State, index: u32, flags: u64) -> Pte {
        Pte(state as u64 | flags | (index as u64) << INDEX_SHIFT)
    }

    /// Where the page is.
    pub const fn state(self) -> State {
        match self.0 & STATE {
            0 => State::Void,
            1 => State::Empty,
            2 => State::Filling,
            3 => State::Resident,
            4 => State::Retained,
            5 => State::Leaving,
            _ => State::Swapped,
        }
    }

    /// The frame (`Resident`, `Retained`, `Leaving`) or the slot (`Swapped`).
    pub const fn index(self) -> u32 {
        (self.0 >> INDEX_SHIFT) as u32
    }

    /// The frame that the page is in (`Resident`, `Retained`, `Leaving`).
    pub const fn frame(self) -> FrameIndex {
        FrameIndex::new(self.index())
    }

    /// The slot that the page is in (`Swapped`).
    pub const fn slot(self) -> Slot {
        Slot::new(self.index())
    }

    /// A page in `frame`, with `flags`.
    pub const fn resident(frame: FrameIndex, flags: u64) -> Pte {
        Pte::new(State::Resident, frame.get(), flags)
    }

    /// A page in `slot`.
    pub const fn swapped(slot: Slot) -> Pte {
        Pte::new(State::Swapped, slot.get(), Pte::SLOT)
    }

    /// Whether all bits of `flags` are set.
    pub const fn has(self, flags: u64) -> bool {
        self.0 & flags == flags
    }

    /// The same entry with `flags` set.
    pub const fn with(self, flags: u64) -> Pte {
        Pte(self.0 | flags)
    }

    /// The same entry with `flags` cleared.
    pub const fn without(self, flags: u64) -> Pte {
        Pte(self.0 & !flags)
    }

    /// The same entry in another state.
    pub const fn to(self, state: State) -> Pte {
        Pte(self.0 & !STATE | state as u64)
    }

    /// How many holders need the page to stay in its frame.
    pub const fn pins(self) -> u64 {
        (self.0 & PIN_MASK) >> PIN_SHIFT
    }

    /// One pin more, or `None` when the counter is full.
    pub const fn pinned(self) -> Option<Pte> {
        if self.pins() == Self::MAX_PINS {
            None
        } else {
            Some(Pte(self.0 + PIN_ONE))
        }
    }

    /// One pin less; an entry without pins stays as it is.
    pub const fn unpinned(self) -> Pte {
        if self.pins() == 0 {
            self
        } else {
            Pte(self.0 - PIN_ONE)
        }
    }

    /// The same entry with as many pins as `other`.
    pub const fn with_pins_of(self, other: Pte) -> Pte {
        Pte(self.0 & !PIN_MASK | other.0 & PIN_MASK)
    }

    /// The same entry on the terms of `other`.
    pub const fn with_terms_of(self, other: Pte) -> Pte {
        Pte(self.0 & !Pte::TERMS | other.0 & Pte::TERMS)
    }

    /// What the program's terms leave of `READ` and `WRITE`.
    pub const fn permitted(self) -> u64 {
        if self.has(Pte::NO_LOADS) {
            0
        } else if self.has(Pte::NO_STORES) {
            Pte::READ
        } else {
            Pte::READ | Pte::WRITE
        }
    }

    /// Whether the program's terms forbid `access`: such a fault is its own.
    pub const fn forbids(self, access: Access) -> bool {
        match access {
            Access::Read => self.has(Pte::NO_LOADS),
            Access::Write => self.0 & (Pte::NO_LOADS | Pte::NO_STORES) != 0,
        }
    }

    /// Whether the program view already allows `access`.
    pub const fn allows(self, access: Access) -> bool {
        match access {
            Access::Read => self.has(Pte::READ),
            Access::Write => self.has(Pte::READ | Pte::WRITE),
        }
    }

    /// Whether another thread holds the token of a transition.
    pub const fn in_transit(self) -> bool {
        matches!(self.state(), State::Filling | State::Leaving)
    }
}

impl fmt::Debug for Pte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({}", self.state(), self.index())?;
        for (flag, letter) in
            [(Pte::R, " R"), (Pte::M, " M"), (Pte::READ, " r"), (Pte::WRITE, " w"), (Pte::ZERO, " z"), (Pte::WAITERS, " waiters")]
        {
            if self.has(flag) {
                f.write_str(letter)?;
            }
        }
        write!(f, ", {} pins)", self.pins())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_overlap() {
        let all = Pte::R | Pte::M | Pte::WAITERS | Pte::READ | Pte::WRITE | Pte::ZERO;
        let pte = Pte::new(State::Resident, u32::MAX, all);
        assert_eq!(pte.state(), State::Resident);
        assert_eq!(pte.index(), u32::MAX);
        assert_eq!(pte.pins(), 0);
        let pinned = (0..Pte::MAX_PINS).fold(pte, |p, _| p.pinned().unwrap());
        assert_eq!(pinned.pins(), Pte::MAX_PINS);
        assert!(pinned.pinned().is_none());
        assert_eq!((pinned.state(), pinned.index(), pinned.has(all)), (State::Resident, u32::MAX, true));
        assert_eq!(pinned.without(all).unpinned().pins(), Pte::MAX_PINS - 1);
        assert_eq!(Pte::VOID.unpinned(), Pte::VOID);
        let terms = pinned.with_terms_of(Pte(Pte::TERMS));
        assert_eq!((terms.state(), terms.index(), terms.pins()), (State::Resident, u32::MAX, Pte::MAX_PINS));
        assert_eq!(terms.with_terms_of(Pte::VOID), pinned);
    }

    #[test]
    fn terms_forbid_what_they_do_not_permit() {
        for (terms, permitted) in [
            (0, Pte::READ | Pte::WRITE),
            (Pte::EXECUTE, Pte::READ | Pte::WRITE),
            (Pte::NO_STORES, Pte::READ),
            (Pte::NO_LOADS | Pte::NO_STORES, 0),
        ] {
            let pte = Pte::new(State::Swapped, 1, terms);
            assert_eq!(pte.permitted(), permitted);
            assert_eq!(pte.forbids(Access::Read), permitted & Pte::READ == 0);
            assert_eq!(pte.forbids(Access::Write), permitted & Pte::WRITE == 0);
        }
    }

    #[test]
    fn every_state_survives_a_round_trip() {
        for state in [State::Void, State::Empty, State::Filling, State::Resident, State::Retained, State::Leaving, State::Swapped]
        {
            assert_eq!(Pte::new(State::Swapped, 7, Pte::M).to(state).state(), state);
        }
    }
}
