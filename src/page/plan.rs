//! The fault planner: what does this page table entry ask for when it is touched?
//!
//! Pure, so that the table below is the whole decision and can be tested line by line.

#![forbid(unsafe_code)]

use super::pte::{Access, Pte, State};

/// What the pager has to do before the access can be repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plan {
    /// No page of ours: the program's own handler, or death.
    Stray,
    /// The access is possible already: another thread was faster.
    Retry,
    /// Another thread holds the token: wait for it, then look again.
    Wait,
    /// Demand zero: give it a frame.
    FirstTouch,
    /// Read it from its slot.
    SwapIn,
    /// Resident, but its protection was dropped to sample R.
    Reference,
    /// Resident and clean, and about to become dirty.
    FirstWrite,
}

/// Decides what a touch of a page in the state `pte` asks for.
pub const fn plan(pte: Pte, access: Access) -> Plan {
    if pte.forbids(access) && !pte.in_transit() {
        return Plan::Stray;
    }
    match pte.state() {
        State::Void | State::Retained => Plan::Stray,
        State::Empty => Plan::FirstTouch,
        State::Filling | State::Leaving => Plan::Wait,
        State::Swapped => Plan::SwapIn,
        State::Resident => {
            if pte.has(Pte::PARTED) {
                // Open as far as we are concerned: the fault is about a part of the page.
                Plan::Stray
            } else if pte.allows(access) {
                Plan::Retry
            } else if pte.has(Pte::READ) {
                Plan::FirstWrite
            } else {
                Plan::Reference
            }
        }
    }
}

/// The flags of a resident page after `access` has been granted to it in the state `pte`, as far as
/// the program's terms permit.
///
/// A page that is already dirty is opened for stores at once, even by a load: a fault that could
/// only tell what is known decides nothing.
pub const fn granted(pte: Pte, access: Access) -> u64 {
    let dirty = matches!(access, Access::Write) || pte.has(Pte::M);
    let flags = if dirty { Pte::R | Pte::M | Pte::READ | Pte::WRITE } else { Pte::R | Pte::READ };
    flags & !(Pte::READ | Pte::WRITE) | flags & pte.permitted()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Access::{Read, Write};

    #[test]
    fn the_whole_table() {
        let at = |state, flags| Pte::new(state, 3, flags);
        for access in [Read, Write] {
            assert_eq!(plan(Pte::VOID, access), Plan::Stray);
            assert_eq!(plan(at(State::Retained, Pte::READ | Pte::WRITE), access), Plan::Stray);
            assert_eq!(plan(at(State::Empty, 0), access), Plan::FirstTouch);
            assert_eq!(plan(at(State::Filling, 0), access), Plan::Wait);
            assert_eq!(plan(at(State::Leaving, 0), access), Plan::Wait);
            assert_eq!(plan(at(State::Swapped, 0), access), Plan::SwapIn);
            assert_eq!(plan(at(State::Resident, Pte::M), access), Plan::Reference);
            assert_eq!(plan(at(State::Resident, Pte::READ | Pte::WRITE), access), Plan::Retry);
        }
        assert_eq!(plan(at(State::Resident, Pte::READ), Read), Plan::Retry);
        assert_eq!(plan(at(State::Resident, Pte::READ), Write), Plan::FirstWrite);
    }

    #[test]
    fn what_the_program_forbids_is_its_own_fault() {
        for state in [State::Empty, State::Swapped, State::Resident] {
            let closed = Pte::new(state, 3, Pte::NO_LOADS | Pte::NO_STORES);
            assert_eq!((plan(closed, Read), plan(closed, Write)), (Plan::Stray, Plan::Stray));
            let constant = Pte::new(state, 3, Pte::NO_STORES);
            assert_eq!(plan(constant, Write), Plan::Stray);
            assert_ne!(plan(constant, Read), Plan::Stray);
        }
        assert_eq!(plan(Pte::new(State::Filling, 3, Pte::NO_LOADS), Read), Plan::Wait);
        let dirty = Pte::new(State::Resident, 3, Pte::M | Pte::NO_STORES);
        assert_eq!(granted(dirty, Read), Pte::R | Pte::M | Pte::READ);
    }

    #[test]
    fn a_read_of_a_clean_page_leaves_it_clean() {
        let clean = Pte::new(State::Resident, 3, 0);
        assert_eq!(granted(clean, Read), Pte::R | Pte::READ);
        assert_eq!(granted(clean, Write), Pte::R | Pte::READ | Pte::M | Pte::WRITE);
        assert_eq!(granted(clean.with(Pte::M), Read), granted(clean, Write));
    }
}
