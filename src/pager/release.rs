//! Release: pages on which no block lies any more. No swap I/O; frames stay mapped until somebody needs them (`Retained`),
//! unless who counts wants them back at once.

use super::place::Place;
use crate::index::{FrameIndex, PageNumber};
use crate::page::{Pte, State};
use crate::sys;
use crate::sys::thread::{self, Quiet};

impl Place {
    /// See [`Ground::release`](crate::heap::Ground::release).
    pub(crate) fn release_pages(&self, page: PageNumber, n: u64) {
        let _stack = self.engine.keep_stack();
        let mut done = 0;
        while done < n {
            done += u64::from(self.release_page(page + done));
        }
        if self.store().is_none() {
            self.engine.charge().give(n);
        }
    }

    /// Releases one page; false to look again.
    fn release_page(&self, page: PageNumber) -> bool {
        let entry = self.entry(page);
        let pte = entry.load();
        match pte.state() {
            State::Resident if self.engine.is_exact() => self.drop_resident(page, pte),
            State::Resident => self.retain(page, pte),
            State::Swapped => {
                let done = entry.change(pte, Pte::VOID).is_ok();
                if done {
                    self.free_slot(pte.slot());
                }
                done
            }
            State::Empty => entry.change(pte, Pte::VOID).is_ok(),
            State::Filling | State::Leaving => {
                entry.wait(pte);
                false
            }
            State::Void if pte.has(Pte::FOREIGN) => {
                // What the program mapped there ends with the block.
                let _ = self.hide(page);
                entry.change(pte, Pte::VOID).is_ok()
            }
            // Never promised: nothing to take back.
            State::Void | State::Retained => true,
        }
    }

    /// The page keeps its frame until somebody needs that.
    fn retain(&self, page: PageNumber, pte: Pte) -> bool {
        let frames = self.engine.frames();
        // Whatever pinned the block for its life (a thread's stack) has ended with it.
        let mut retained = pte.to(State::Retained).without(Pte::R | Pte::ZERO).with(Pte::M).with_pins_of(Pte::VOID);
        if pte.0 & Pte::TERMS != 0 {
            // The program's terms end here; its view is made anew with the next promise.
            self.forget_lock(page, pte);
            retained = retained.without(Pte::TERMS | Pte::READ | Pte::WRITE);
        }
        // The slot first: a retained page that is taken has none to lose.
        self.drop_copy(pte.frame());
        let done = self.entry(page).change(pte, retained).is_ok();
        if done {
            frames.note_unpinned(pte.pins() > 0);
            frames.note_retained(pte.frame(), true);
        }
        done
    }

    /// Gives back the frame of a resident page whose contents are of no value; false to look again.
    fn drop_resident(&self, page: PageNumber, was: Pte) -> bool {
        let Some(token) = self.entry(page).begin(was, State::Leaving) else {
            return false;
        };
        // Close to the limit of mappings it may take a moment; a page must not show what is another's.
        while self.hide(page).is_err() {
            thread::nap();
        }
        self.forsake(was.frame());
        self.engine.frames().note_unpinned(was.pins() > 0);
        token.finish(Pte::VOID);
        true
    }

    /// Gives back a frame whose page is mapped nowhere and of no value, with its slot if it has one.
    fn forsake(&self, frame: FrameIndex) {
        let quiet = Quiet::begin();
        self.engine.frames().leave(frame, &quiet);
        self.drop_copy(frame);
        self.engine.frames().give(frame, 1, &quiet);
    }

    /// Gives back the frame or the slot of a page that was `was`, whose token the caller holds and which nobody sees.
    pub(crate) fn let_go(&self, was: Pte) {
        match was.state() {
            State::Resident => self.forsake(was.frame()),
            State::Swapped => self.free_slot(was.slot()),
            _ => {}
        }
    }

    /// The page was locked by the program, perhaps: the kernel's lock ends with the pager's.
    fn forget_lock(&self, page: PageNumber, pte: Pte) {
        if pte.has(Pte::LOCKED) {
            let (at, len) = (self.page_address(page), self.engine.page_size());
            // SAFETY: munlock changes neither contents nor protections.
            let _ = unsafe { sys::syscall!(libc::SYS_munlock, at, len) };
        }
    }
}
