//! Moving pages: a large block that has to lie elsewhere takes its pages along. Page table entries
//! move, bytes do not; what is in swap stays there.

use crate::arena::Owner;
use crate::engine::Engine;
use crate::pte::{Pte, State};
use crate::region::Place;
use crate::sys::memory::{self, Protection};
use crate::sys::thread::Quiet;
use crate::view::protection;
use core::sync::atomic::Ordering;

impl Engine {
    /// Moves the contents of `n` pages from `from_page` on to `to_page` on, both promised and both the
    /// caller's. The old pages are then empty, and their old contents replace the new ones'.
    pub fn move_pages(&'static self, from: &Place, from_page: u64, to: &Place, to_page: u64, n: u64) {
        let _stack = self.keep_stack();
        // A handler of the program that forked would wait for these tokens.
        let _quiet = Quiet::begin();
        let mut i = 0;
        while i < n {
            let first = self.take_token(from, from_page + i);
            self.vacate_page(to, to_page + i);
            // Pages in neighbouring frames move with one mapping.
            let mut run = 1;
            while i + run < n && first.state() == State::Resident {
                let next = Pte::new(State::Resident, first.index() + run as u32, 0).0 | first.0 & FLAGS;
                let entry = from.page(from_page + i + run);
                if entry.pte().0 != next || entry.change(Pte(next), Pte(next).to(State::Leaving)).is_err() {
                    break;
                }
                self.vacate_page(to, to_page + i + run);
                run += 1;
            }
            self.move_run(to, to_page + i, run, first);
            i += run;
        }
        // SAFETY: pages of ours that are empty; who touches them faults and gets zeros.
        let _ = unsafe { memory::unback(from.page_address(from_page), n as usize * self.page(), Protection::None) };
        for i in 0..n {
            self.complete(from.page(from_page + i), Pte::new(State::Empty, 0, 0));
        }
    }

    /// Takes the token of a promised page; what the page was.
    pub(crate) fn take_token(&self, place: &Place, page: u64) -> Pte {
        let entry = place.page(page);
        loop {
            let pte = entry.pte();
            if pte.in_transit() {
                self.wait(entry, pte);
            } else if entry.change(pte, pte.to(State::Leaving)).is_ok() {
                // What the page becomes has no pins.
                self.gauges.pinned.fetch_sub(u32::from(pte.pins() > 0), Ordering::Relaxed);
                return pte;
            }
        }
    }

    /// Empties a page whose contents are of no value, and keeps its token.
    fn vacate_page(&'static self, place: &Place, page: u64) {
        let was = self.take_token(place, page);
        self.let_go(was);
    }

    /// Gives back the frame or the slot of a page whose token the caller holds.
    pub(crate) fn let_go(&'static self, was: Pte) {
        match was.state() {
            State::Resident => self.forsake(was.index()),
            State::Swapped => self.free_slot(was.index()),
            _ => {}
        }
    }

    /// Moves a run of pages to vacated ones; we hold all tokens, and keep those of the old pages.
    fn move_run(&'static self, to: &Place, to_page: u64, n: u64, first: Pte) {
        let target = to.page_address(to_page);
        let len = n as usize * self.page();
        if first.state() == State::Resident {
            for i in 0..n {
                let frame = first.index() + i as u32;
                self.arena().frame(frame).set_owner(Owner::Page(target + i as usize * self.page()));
            }
            // SAFETY: pages of ours whose tokens we hold; who touches them waits for us.
            while unsafe { self.arena().show(target, len, protection(first), first.index()) }.is_err() {
                self.make_room_for_mappings(false);
            }
        } else {
            // SAFETY: as above; the target may still show the frame that was given back.
            let _ = unsafe { memory::unback(target, len, Protection::None) };
        }
        for i in 0..n {
            let index = if first.state() == State::Empty { 0 } else { first.index() + i as u32 };
            let now = Pte::new(first.state(), index, first.0 & FLAGS);
            self.complete(to.page(to_page + i), now);
        }
    }
}

/// What moves with a page besides its place: everything that is known of its contents and protection.
const FLAGS: u64 = Pte::R | Pte::M | Pte::READ | Pte::WRITE | Pte::ZERO | Pte::SLOT | Pte::LIMITS;
