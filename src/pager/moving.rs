//! Moving pages: a large block that has to lie elsewhere takes its pages along. Page table entries
//! move, bytes do not; what is in swap stays there.
#![forbid(unsafe_code)]

use super::place::Place;
use crate::engine::Engine;
use crate::frames::User;
use crate::index::PageNumber;
use crate::mapper::protection;
use crate::page::{Pte, State, Token};
use crate::sys::thread::Quiet;

/// What moves with a page besides its place: everything that is known of its contents and protection.
const FLAGS: u64 = Pte::R | Pte::M | Pte::READ | Pte::WRITE | Pte::ZERO | Pte::SLOT | Pte::LIMITS;

impl Engine {
    /// Moves the contents of `n` pages from `from_page` on to `to_page` on, both promised and both the
    /// caller's. The old pages are then empty, and their old contents replace the new ones'.
    pub fn move_pages(&'static self, from: &Place, from_page: PageNumber, to: &Place, to_page: PageNumber, n: u64) {
        let _stack = self.keep_stack();
        // A handler of the program that forked would wait for these tokens.
        let quiet = Quiet::begin();
        let mut i = 0;
        while i < n {
            let token = from.begin_leaving(from_page + i);
            let first = token.was();
            // All old pages stay in transit until their view is closed, with one call.
            token.leave_open();
            to.vacate(to_page + i).leave_open();
            let run = 1
                + (1..n - i)
                    .take_while(|next| self.joins(from, from_page + i + *next, first, *next, to, to_page + i + *next))
                    .count() as u64;
            self.move_run(to, to_page + i, run, first, &quiet);
            i += run;
        }
        let _ = from.hide_run(from_page, n);
        for page in from_page.run(n) {
            from.entry(page).take_up().finish(Pte::EMPTY);
        }
    }

    /// Takes the tokens of a page that lies `next` frames behind the resident page `first`, and of the page that it moves
    /// to: neighbours move with one mapping. False, and no token is taken, if it lies elsewhere.
    fn joins(&'static self, from: &Place, page: PageNumber, first: Pte, next: u64, to: &Place, to_page: PageNumber) -> bool {
        if first.state() != State::Resident {
            return false;
        }
        let expected = Pte(Pte::resident(first.frame().plus(next as u32), 0).0 | first.0 & FLAGS);
        let Some(token) = from.entry(page).begin(expected, State::Leaving) else {
            return false;
        };
        token.leave_open();
        to.vacate(to_page).leave_open();
        true
    }

    /// Moves a run of pages to vacated ones; both are in transit, and the old ones stay so.
    fn move_run(&'static self, to: &Place, to_page: PageNumber, n: u64, first: Pte, quiet: &Quiet) {
        let pages = to.pages_from(to_page, n);
        if first.state() == State::Resident {
            for (i, page) in (0..).zip(pages.each()) {
                self.frames().frame(first.frame().plus(i)).set_user(User::Page(page.address));
            }
            while to.show_run(&pages, first.frame(), protection(first)).is_err() {
                self.make_room_for_mappings(quiet);
            }
        } else {
            // The target may still show the frame that was given back.
            let _ = to.hide_run(to_page, n);
        }
        for (i, page) in (0..).zip(to_page.run(n)) {
            let index = if first.state() == State::Empty { 0 } else { first.index() + i };
            to.entry(page).take_up().finish(Pte::new(first.state(), index, first.0 & FLAGS));
        }
    }
}

impl Place {
    /// Begins the leaving of a promised page, which will have no pins.
    pub(crate) fn begin_leaving(&self, page: PageNumber) -> Token<'static> {
        let token = self.entry(page).begin_leaving();
        self.engine.frames().note_unpinned(token.was().pins() > 0);
        token
    }

    /// Empties a page whose contents are of no value, which stays in transit.
    fn vacate(&self, page: PageNumber) -> Token<'static> {
        let token = self.begin_leaving(page);
        self.let_go(token.was());
        token
    }
}
