//! Terms: what the program itself asks for its pages, as it may for any memory: mprotect, mlock,
//! madvise, munmap. They are flags in the page table entry, so they hold wherever the page is, and
//! every transition carries them along. They end with the block.
//!
//! What flags cannot say, protections of a part of a large page and protection keys, the kernel keeps
//! in the program view; such a page stays in its frame (`PARTED`).
//!
//! Callers have every signal blocked, and give ranges of whole system pages in one heap.
#![forbid(unsafe_code)]

use super::fault::Outcome;
use super::place::Place;
use crate::engine::Engine;
use crate::index::PageNumber;
use crate::mapper::protection;
use crate::page::{Access, Pte, State};
use crate::sys::thread::Quiet;
use crate::sys::{Errno, Result};

/// How often a change is tried again when the kernel refuses another mapping.
const ATTEMPTS: u32 = 1000;

/// Whose addresses a range has.
pub enum Whose {
    /// Not ours in any part.
    Program,
    /// All of it in this heap.
    Heap(Place),
    /// In part ours, or our bookkeeping.
    Mixed,
}

/// A page of a range.
struct Part {
    page: PageNumber,
    /// The part of it that the range covers, and whether that is all.
    at: usize,
    len: usize,
    whole: bool,
}

impl Engine {
    /// Whose the addresses `at .. at + len` are.
    pub fn whose(&'static self, at: usize, len: usize) -> Whose {
        let last = at.saturating_add(len.max(1) - 1);
        match (self.find(at), self.find(last)) {
            (Some(first), Some(end)) if first.base == end.base => Whose::Heap(first),
            _ => {
                let meets = |base: usize| base <= last && at < base + self.span().len;
                if self.regions().existing().any(|number| meets(self.span().slot(number))) {
                    Whose::Mixed
                } else {
                    Whose::Program
                }
            }
        }
    }

    /// The pages of a range.
    fn parts(&self, place: &Place, at: usize, len: usize) -> impl Iterator<Item = Part> + use<> {
        let (base, shift, size) = (place.base, self.page_shift(), self.page_size());
        let end = at + len;
        // Beyond what is backed there is no page and no entry to write to.
        let last = (((end - base - 1) >> shift) as u64 + 1).min(place.region.groups() * 64);
        (((at - base) >> shift) as u64..last).map(move |page| {
            let start = base + ((page as usize) << shift);
            let (from, to) = (start.max(at), (start + size).min(end));
            Part { page: PageNumber::new(page), at: from, len: to - from, whole: to - from == size }
        })
    }

    /// mprotect: the pages allow what `limits` ([`Pte::LIMITS`]) leave. With `key` a protection key of
    /// the kernel's guards them as well.
    pub fn limit(&'static self, place: &Place, at: usize, len: usize, limits: u64, key: Option<usize>) -> Result<()> {
        let _stack = self.keep_stack();
        for part in self.parts(place, at, len) {
            if part.whole && key.is_none() {
                self.limit_page(place, part.page, limits)?;
            } else {
                self.limit_part(place, &part, limits, key)?;
            }
        }
        Ok(())
    }

    fn limit_page(&'static self, place: &Place, page: PageNumber, limits: u64) -> Result<()> {
        let entry = place.entry(page);
        let mut attempts = 0;
        loop {
            let was = entry.load();
            let limited = Pte(was.0 & !Pte::LIMITS | limits);
            match was.state() {
                State::Void if was.has(Pte::FOREIGN) => {
                    let wanted = protection(limited.with(limited.permitted()));
                    // What the program mapped there itself.
                    return place.protect(page, wanted);
                }
                // No block: what the next one may do does not depend on it.
                State::Void | State::Retained => return Ok(()),
                State::Filling | State::Leaving => entry.wait(was),
                State::Empty | State::Swapped => {
                    if entry.change(was, limited).is_ok() {
                        return Ok(());
                    }
                }
                State::Resident => {
                    let Some(token) = entry.begin(was, State::Filling) else {
                        continue;
                    };
                    // Dirty pages open at once, clean ones for loads: the first store shows M.
                    let open = if was.has(Pte::M) { Pte::READ | Pte::WRITE } else { Pte::READ };
                    let now = limited.without(Pte::READ | Pte::WRITE | Pte::PARTED).with(limited.permitted() & open | Pte::R);
                    let now = if was.has(Pte::PARTED) { now.unpinned() } else { now };
                    if place.protect(page, protection(now)).is_ok() {
                        self.frames().note_unpinned(was.pins() > 0 && now.pins() == 0);
                        token.finish(now);
                        return Ok(());
                    }
                    token.give_back();
                    attempts += 1;
                    if attempts > ATTEMPTS || !self.make_room_for_mappings(&Quiet::already()) {
                        return Err(Errno(libc::ENOMEM));
                    }
                }
            }
        }
    }

    /// A protection that flags cannot say: the page stays, and the kernel keeps it.
    fn limit_part(&'static self, place: &Place, part: &Part, limits: u64, key: Option<usize>) -> Result<()> {
        let entry = place.entry(part.page);
        let was = entry.load();
        if matches!(was.state(), State::Void | State::Retained) {
            return Ok(());
        }
        let start = place.page_address(part.page);
        if !was.has(Pte::PARTED) {
            self.limit_page(place, part.page, 0)?;
            if self.pin(start, self.page_size(), Access::Write, true) < self.page_size() {
                return Err(Errno(libc::ENOMEM));
            }
            place.entry(part.page).update(|pte| pte.with(Pte::PARTED));
            let before = protection(Pte(was.0 & Pte::LIMITS).with(was.permitted()));
            // A page of ours that stays in its frame.
            place.protect(part.page, before)?;
        }
        let wanted = protection(Pte(limits).with(Pte(limits).permitted()));
        place.protect_part(part.at, part.len, wanted, key)
    }

    /// madvise(MADV_DONTNEED): the range reads as zeros from now on.
    pub fn discard(&'static self, place: &Place, at: usize, len: usize) -> Result<()> {
        let _stack = self.keep_stack();
        if self.parts(place, at, len).any(|part| place.entry(part.page).load().has(Pte::LOCKED)) {
            return Err(Errno(libc::EINVAL));
        }
        self.parts(place, at, len).try_for_each(|part| self.discard_page(place, &part))
    }

    fn discard_page(&'static self, place: &Place, part: &Part) -> Result<()> {
        let entry = place.entry(part.page);
        loop {
            let was = entry.load();
            match was.state() {
                State::Void | State::Retained | State::Empty => return Ok(()),
                State::Filling | State::Leaving => entry.wait(was),
                State::Swapped if part.whole => {
                    if entry.change(was, Pte::EMPTY.with_terms_of(was)).is_ok() {
                        place.free_slot(was.slot());
                        return Ok(());
                    }
                }
                State::Swapped => {
                    if self.touch(place, part.page, part.at, Access::Read, true) != Outcome::Resolved {
                        return Err(Errno(libc::EINVAL));
                    }
                }
                // While nothing may be absent, and while somebody needs it there, the page stays.
                State::Resident if !part.whole || was.pins() > 0 || !self.is_armed() => {
                    if let Some(token) = entry.begin(was, State::Filling) {
                        let inside = part.at - place.page_address(part.page);
                        self.frames().arena().clear_part(was.frame(), inside, part.len);
                        place.drop_copy(was.frame());
                        token.finish(was.with(Pte::M));
                        return Ok(());
                    }
                }
                State::Resident => {
                    let Some(token) = entry.begin(was, State::Leaving) else {
                        continue;
                    };
                    if place.hide(part.page).is_err() {
                        token.give_back();
                        return Err(Errno(libc::ENOMEM));
                    }
                    place.let_go(was);
                    token.finish(Pte::EMPTY.with_terms_of(was));
                    return Ok(());
                }
            }
        }
    }

    /// munmap, and what comes before a mapping of the program's own: the pages are no longer ours,
    /// until their block is freed. Parts of pages are closed.
    pub fn unmap(&'static self, place: &Place, at: usize, len: usize) -> Result<()> {
        let _stack = self.keep_stack();
        for part in self.parts(place, at, len) {
            if !part.whole {
                self.limit_part(place, &part, Pte::NO_LOADS | Pte::NO_STORES, None)?;
                continue;
            }
            let entry = place.entry(part.page);
            let state = entry.load().state();
            if state == State::Retained || state == State::Void && !entry.load().has(Pte::FOREIGN) {
                continue;
            }
            let token = place.begin_leaving(part.page);
            let was = token.was();
            if place.hide(part.page).is_err() {
                if was.pins() > 0 {
                    self.frames().note_pinned();
                }
                token.give_back();
                return Err(Errno(libc::ENOMEM));
            }
            place.let_go(was);
            token.finish(Pte::new(State::Void, 0, Pte::FOREIGN));
        }
        Ok(())
    }

    /// mlock: the pages stay in their frames. As many as pins allow, all or none.
    pub fn lock(&'static self, place: &Place, at: usize, len: usize) -> Result<()> {
        let _stack = self.keep_stack();
        let pinned = self.pin(at, len, Access::Read, true);
        if pinned < len {
            self.unpin(at, pinned);
            return Err(Errno(libc::ENOMEM));
        }
        for part in self.parts(place, at, len) {
            let was = place.entry(part.page).update(|pte| if pte.pins() > 0 { pte.with(Pte::LOCKED) } else { pte });
            if was.has(Pte::LOCKED) {
                // One pin is enough.
                self.unpin(part.at, part.len);
            }
        }
        Ok(())
    }

    /// munlock.
    pub fn unlock(&'static self, place: &Place, at: usize, len: usize) {
        let _stack = self.keep_stack();
        for part in self.parts(place, at, len) {
            let without = |pte: Pte| if pte.has(Pte::LOCKED) { pte.without(Pte::LOCKED).unpinned() } else { pte };
            let was = place.entry(part.page).update(without);
            let last = was.has(Pte::LOCKED) && was.pins() == 1;
            self.frames().note_unpinned(last);
        }
    }
}
