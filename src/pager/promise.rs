//! Promises: a page of a block is backed by a frame or a slot from the moment malloc returns, so that
//! no later touch can fail for want of space. And map-ahead: while frames are plentiful, pages are
//! mapped when they are promised, in runs, and never fault.
//!
//! The caller holds the region's gate, so pages on which no block lies stay as they are meanwhile, but for those retained:
//! somebody may take their frames.
#![forbid(unsafe_code)]

use super::bits::LiveBits;
use super::place::Place;
use crate::engine::Engine;
use crate::index::PageNumber;
use crate::page::{Pte, State};
use crate::sys::memory::Protection;
use crate::sys::thread::Quiet;

/// What a page that is mapped ahead allows: everything, and so it counts as modified.
const OPEN: u64 = Pte::READ | Pte::WRITE | Pte::M;
/// Pages mapped ahead of a growing heap at the most.
const AHEAD: u64 = 64;
/// A request for so few pages is one for small blocks, whose heap will grow on.
const SMALL: u64 = 4;

impl Place {
    /// See [`Ground::promise`](crate::heap::Ground::promise). A store of the region's own has made its own promises.
    pub(crate) fn promise_pages(&self, page: PageNumber, n: u64, zero: bool) -> Option<bool> {
        let _stack = self.engine.keep_stack();
        if self.store().is_none() && !self.engine.take_promises(n) {
            return None;
        }
        let mut known_zero = true;
        let mut done = 0;
        while done < n {
            let at = page + done;
            let entry = self.entry(at);
            let pte = entry.load();
            match pte.state() {
                State::Void => {
                    let void = |next: &PageNumber| self.entry(*next).load() == Pte::VOID;
                    let run = 1 + (at + 1).run(n - done - 1).take_while(void).count() as u64;
                    self.promise_void(at, run, n);
                    done += run;
                }
                State::Retained => {
                    if let Some(was_zero) = self.promise_retained(at, pte, zero) {
                        known_zero &= was_zero || zero;
                        done += 1;
                    }
                }
                _ => entry.wait(pte),
            }
        }
        Some(known_zero)
    }

    /// Promises pages that nothing backs: mapped now if frames are plentiful, on first touch if not.
    fn promise_void(&self, page: PageNumber, n: u64, requested: u64) {
        let small = requested <= SMALL;
        let spare = self.engine.spare_frames();
        let mut mapped = 0;
        if spare >= n {
            mapped = self.map_run(page, n, State::Resident, small);
            // A growing heap of small blocks: the next pages will be wanted soon.
            if small && mapped == n {
                self.map_ahead(page + n, AHEAD.min(page.get() / 4).min((spare - n) / 8));
            }
        }
        if mapped < n {
            self.engine.arm();
            for absent in (page + mapped).run(n - mapped) {
                let promised = self.entry(absent).change(Pte::VOID, Pte::EMPTY);
                debug_assert!(promised.is_ok(), "the gate's holder alone promises a void page");
            }
        }
    }

    /// Maps up to `n` void pages from `page` on, without promising them.
    fn map_ahead(&self, page: PageNumber, n: u64) {
        let end = self.page_count().min(self.region.groups() * crate::page::table::GROUP_PAGES);
        let n = n.min(end.saturating_sub(page.get()));
        let void = page.run(n).take_while(|next| self.entry(*next).load() == Pte::VOID).count() as u64;
        if void > 3 {
            self.map_run(page, void, State::Retained, true);
        }
    }

    /// Maps the void pages `page .. page + n` to free frames, open for everything, as far as there are
    /// any; returns how many.
    fn map_run(&self, page: PageNumber, n: u64, state: State, soon: bool) -> u64 {
        let frames = self.engine.frames();
        let mut done = 0;
        while done < n {
            // A handler of the program may fork, and a fork waits until every frame has its user.
            let quiet = Quiet::begin();
            let Some((first, count)) = frames.take_run(n - done, &quiet) else {
                return done;
            };
            for i in 0..count {
                if frames.frame(first.plus(i)).was_used() {
                    frames.arena().clear(first.plus(i));
                }
            }
            let pages = self.pages_from(page + done, u64::from(count));
            if self.show_ahead(&pages, first, soon).is_err() {
                frames.give(first, count, &quiet);
                return done;
            }
            // Before the entry says so: a page that can leave must be where victims are found.
            let mut bits = LiveBits::new(self.engine, false);
            frames.enter_run(first, count, pages.address, &mut bits, &quiet);
            for (i, page) in (0..count).zip(pages.first.run(pages.n)) {
                let frame = first.plus(i);
                let shown = self.entry(page).change(Pte::VOID, Pte::new(state, frame.get(), OPEN | Pte::ZERO));
                debug_assert!(shown.is_ok(), "the gate's holder alone promises a void page");
                if state == State::Retained {
                    frames.note_retained(frame, true);
                }
            }
            done += u64::from(count);
        }
        done
    }

    /// Promises a page whose frame was kept; whether its bytes were zero, or `None` to look again.
    fn promise_retained(&self, page: PageNumber, pte: Pte, zero: bool) -> Option<bool> {
        let entry = self.entry(page);
        let frame = pte.frame();
        let open = Pte::resident(frame, OPEN).with_pins_of(pte);
        if pte.has(Pte::WRITE) && (pte.has(Pte::ZERO) || !zero) {
            entry.change(pte, open).ok()?;
        } else {
            // Under the token, so that nobody evicts the page meanwhile; and no handler waits for it.
            let _quiet = Quiet::begin();
            let token = entry.begin(pte, State::Filling)?;
            if zero && !pte.has(Pte::ZERO) {
                self.clear(page, frame);
            }
            if !pte.has(Pte::WRITE) {
                let _ = self.protect(page, Protection::ReadWrite);
            }
            token.finish(open);
        }
        self.engine.frames().note_retained(frame, false);
        Some(pte.has(Pte::ZERO))
    }
}

impl Engine {
    /// Frames that may be mapped without need: all but the last sixteenth.
    fn spare_frames(&self) -> u64 {
        if self.is_exact() {
            return 0;
        }
        let low = self.frames().len() / 16 + 8;
        u64::from(self.frames().free().saturating_sub(low))
    }
}
