//! Terms: what the program itself asks for its pages, as it may for any memory: mprotect, mlock,
//! madvise, munmap. They are flags in the page table entry, so they hold wherever the page is, and
//! every transition carries them along. They end with the block.
//!
//! What flags cannot say, protections of a part of a large page and protection keys, the kernel keeps
//! in the program view; such a page stays in its frame (`PARTED`).
//!
//! Callers have every signal blocked, and give ranges of whole system pages in one heap.

use crate::engine::Engine;
use crate::heap::Ground;
use crate::pager::Outcome;
use crate::pte::{Pte, State};
use crate::region::Place;
use crate::sys::memory::{self, Protection};
use crate::sys::{self, Errno, Result};
use crate::trace::Access;
use crate::view::protection;
use core::sync::atomic::Ordering;

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
struct Span {
    page: u64,
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
                let meets = |number: u32| {
                    let base = self.span().slot(number);
                    base <= last && at < base + self.span().len
                };
                let made = self.gauges.regions.load(Ordering::Acquire);
                let ours = (0..made).any(|number| self.exists(number) && meets(number));
                if ours {
                    Whose::Mixed
                } else {
                    Whose::Program
                }
            }
        }
    }

    /// The pages of a range.
    fn spans(&self, place: &Place, at: usize, len: usize) -> impl Iterator<Item = Span> + use<> {
        let (base, shift, size) = (place.base, self.page_shift(), self.page());
        let end = at + len;
        // Beyond what is backed there is no page and no entry to write to.
        let last = (((end - base - 1) >> shift) as u64 + 1).min(place.backed_groups() * 64);
        (((at - base) >> shift) as u64..last).map(move |page| {
            let start = base + ((page as usize) << shift);
            let (from, to) = (start.max(at), (start + size).min(end));
            Span { page, at: from, len: to - from, whole: to - from == size }
        })
    }

    /// mprotect: the pages allow what `limits` ([`Pte::LIMITS`]) leave. With `key` a protection key of
    /// the kernel's guards them as well.
    pub fn limit(&'static self, place: &Place, at: usize, len: usize, limits: u64, key: Option<usize>) -> Result<()> {
        let _stack = self.keep_stack();
        for span in self.spans(place, at, len) {
            if span.whole && key.is_none() {
                self.limit_page(place, span.page, limits)?;
            } else {
                self.limit_part(place, &span, limits, key)?;
            }
        }
        Ok(())
    }

    fn limit_page(&'static self, place: &Place, page: u64, limits: u64) -> Result<()> {
        let entry = place.page(page);
        let mut attempts = 0;
        loop {
            let was = entry.pte();
            let limited = Pte(was.0 & !Pte::LIMITS | limits);
            match was.state() {
                State::Void if was.has(Pte::FOREIGN) => {
                    let wanted = protection(limited.with(limited.permitted()));
                    // SAFETY: what the program mapped there itself.
                    return unsafe { memory::protect(place.page_address(page), self.page(), wanted) };
                }
                // No block: what the next one may do does not depend on it.
                State::Void | State::Retained => return Ok(()),
                State::Filling | State::Leaving => self.wait(entry, was),
                State::Empty | State::Swapped => {
                    if entry.change(was, limited).is_ok() {
                        return Ok(());
                    }
                }
                State::Resident => {
                    if entry.change(was, was.to(State::Filling)).is_err() {
                        continue;
                    }
                    // Dirty pages open at once, clean ones for loads: the first store shows M.
                    let open = if was.has(Pte::M) { Pte::READ | Pte::WRITE } else { Pte::READ };
                    let now = limited.without(Pte::READ | Pte::WRITE | Pte::PARTED).with(limited.permitted() & open | Pte::R);
                    let now = if was.has(Pte::PARTED) { now.unpinned() } else { now };
                    // SAFETY: a page of ours whose token we hold.
                    let done = unsafe { memory::protect(place.page_address(page), self.page(), protection(now)) };
                    if done.is_ok() {
                        self.gauges.pinned.fetch_sub(u32::from(was.pins() > 0 && now.pins() == 0), Ordering::Relaxed);
                        self.complete(entry, now);
                        return Ok(());
                    }
                    self.complete(entry, was);
                    attempts += 1;
                    if attempts > ATTEMPTS || !self.make_room_for_mappings(true) {
                        return Err(Errno(libc::ENOMEM));
                    }
                }
            }
        }
    }

    /// A protection that flags cannot say: the page stays, and the kernel keeps it.
    fn limit_part(&'static self, place: &Place, span: &Span, limits: u64, key: Option<usize>) -> Result<()> {
        let entry = place.page(span.page);
        let was = entry.pte();
        if matches!(was.state(), State::Void | State::Retained) {
            return Ok(());
        }
        let start = place.page_address(span.page);
        if !was.has(Pte::PARTED) {
            self.limit_page(place, span.page, 0)?;
            if self.pin(start, self.page(), Access::Write, true) < self.page() {
                return Err(Errno(libc::ENOMEM));
            }
            self.update(place, span.page, |pte| pte.with(Pte::PARTED));
            let before = protection(Pte(was.0 & Pte::LIMITS).with(was.permitted()));
            // SAFETY: a page of ours that stays in its frame.
            unsafe { memory::protect(start, self.page(), before)? };
        }
        let bits = protection(Pte(limits).with(Pte(limits).permitted())).bits() as usize;
        let number = if key.is_some() { libc::SYS_pkey_mprotect } else { libc::SYS_mprotect };
        // SAFETY: as above.
        sys::check(unsafe { sys::call(number, [span.at, span.len, bits, key.unwrap_or(0), 0, 0]) }).map(|_| ())
    }

    /// Changes the terms of a page that is at rest.
    fn update(&'static self, place: &Place, page: u64, change: impl Fn(Pte) -> Pte) -> Pte {
        let entry = place.page(page);
        loop {
            let pte = entry.pte();
            if pte.in_transit() {
                self.wait(entry, pte);
            } else if entry.change(pte, change(pte)).is_ok() {
                return pte;
            }
        }
    }

    /// madvise(MADV_DONTNEED): the range reads as zeros from now on.
    pub fn discard(&'static self, place: &Place, at: usize, len: usize) -> Result<()> {
        let _stack = self.keep_stack();
        if self.spans(place, at, len).any(|span| place.page(span.page).pte().has(Pte::LOCKED)) {
            return Err(Errno(libc::EINVAL));
        }
        self.spans(place, at, len).try_for_each(|span| self.discard_page(place, &span))
    }

    fn discard_page(&'static self, place: &Place, span: &Span) -> Result<()> {
        let entry = place.page(span.page);
        loop {
            let was = entry.pte();
            match was.state() {
                State::Void | State::Retained | State::Empty => return Ok(()),
                State::Filling | State::Leaving => self.wait(entry, was),
                State::Swapped if span.whole => {
                    if entry.change(was, Pte::new(State::Empty, 0, 0).with_terms_of(was)).is_ok() {
                        self.free_slot(was.index());
                        return Ok(());
                    }
                }
                State::Swapped => {
                    if self.touch(place, span.page, span.at, Access::Read, true) != Outcome::Resolved {
                        return Err(Errno(libc::EINVAL));
                    }
                }
                // While nothing may be absent, and while somebody needs it there, the page stays.
                State::Resident if !span.whole || was.pins() > 0 || !self.is_armed() => {
                    if entry.change(was, was.to(State::Filling)).is_ok() {
                        let inside = span.at - place.page_address(span.page);
                        // SAFETY: within a frame of the engine view whose page's token we hold.
                        unsafe { core::ptr::write_bytes((self.arena().view(was.index()) + inside) as *mut u8, 0, span.len) };
                        self.drop_slot(was.index());
                        self.complete(entry, was.with(Pte::M));
                        return Ok(());
                    }
                }
                State::Resident => {
                    if entry.change(was, was.to(State::Leaving)).is_err() {
                        continue;
                    }
                    let at = place.page_address(span.page);
                    // SAFETY: a page of ours whose token we hold.
                    if unsafe { memory::unback(at, self.page(), Protection::None) }.is_err() {
                        self.complete(entry, was);
                        return Err(Errno(libc::ENOMEM));
                    }
                    self.let_go(was);
                    self.complete(entry, Pte::new(State::Empty, 0, 0).with_terms_of(was));
                    return Ok(());
                }
            }
        }
    }

    /// munmap, and what comes before a mapping of the program's own: the pages are no longer ours,
    /// until their block is freed. Parts of pages are closed.
    pub fn give_up(&'static self, place: &Place, at: usize, len: usize) -> Result<()> {
        let _stack = self.keep_stack();
        for span in self.spans(place, at, len) {
            if !span.whole {
                self.limit_part(place, &span, Pte::NO_LOADS | Pte::NO_STORES, None)?;
                continue;
            }
            let entry = place.page(span.page);
            let state = entry.pte().state();
            if state == State::Retained || state == State::Void && !entry.pte().has(Pte::FOREIGN) {
                continue;
            }
            let was = self.take_token(place, span.page);
            // SAFETY: a page of ours whose token we hold, or the program's own mapping.
            if unsafe { memory::unback(span.at, self.page(), Protection::None) }.is_err() {
                self.gauges.pinned.fetch_add(u32::from(was.pins() > 0), Ordering::Relaxed);
                self.complete(entry, was);
                return Err(Errno(libc::ENOMEM));
            }
            self.let_go(was);
            self.complete(entry, Pte::new(State::Void, 0, Pte::FOREIGN));
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
        for span in self.spans(place, at, len) {
            let was = self.update(place, span.page, |pte| if pte.pins() > 0 { pte.with(Pte::LOCKED) } else { pte });
            if was.has(Pte::LOCKED) {
                // One pin is enough.
                self.unpin(span.at, span.len);
            }
        }
        Ok(())
    }

    /// munlock.
    pub fn unlock(&'static self, place: &Place, at: usize, len: usize) {
        let _stack = self.keep_stack();
        for span in self.spans(place, at, len) {
            let without = |pte: Pte| if pte.has(Pte::LOCKED) { pte.without(Pte::LOCKED).unpinned() } else { pte };
            let was = self.update(place, span.page, without);
            let last = was.has(Pte::LOCKED) && was.pins() == 1;
            self.gauges.pinned.fetch_sub(u32::from(last), Ordering::Relaxed);
        }
    }
}
