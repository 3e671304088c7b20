//! Holding pages: a pinned page stays in its frame, with the protection that its holder needs, until it is unpinned.
//!
//! Here is what needs nobody else: pinning what is there, and unpinning. Who brings the rest says how.
#![forbid(unsafe_code)]

use super::place::Place;
use crate::engine::Engine;
use crate::index::PageNumber;
use crate::page::{Access, Pte, State};

impl Engine {
    /// Pins the pages of `address .. address + len` that are ours; `bring` brings what is not there, a page at a time: false
    /// if it cannot be had. Returns how many bytes from `address` on are pinned.
    #[inline]
    pub(crate) fn pin_or(
        &'static self,
        address: usize,
        len: usize,
        access: Access,
        bring: impl Fn(&Place, PageNumber, usize, Access) -> bool,
    ) -> usize {
        let end = address.saturating_add(len);
        let mut at = address;
        while at < end {
            let next = (at | (self.page_size() - 1)).saturating_add(1).min(end);
            let pinned = self.find_page(at).is_none_or(|(place, page)| {
                let first = at == address;
                self.pin_page(&place, page, first, access, |access| bring(&place, page, at, access))
            });
            if !pinned {
                return at - address;
            }
            at = next;
        }
        len
    }

    /// Pins one page; false if it cannot be had, or too many are pinned and it is not the first.
    #[inline]
    fn pin_page(&self, place: &Place, page: PageNumber, first: bool, access: Access, bring: impl Fn(Access) -> bool) -> bool {
        let entry = place.entry(page);
        loop {
            let pte = entry.load();
            // What the program allows nobody is the kernel's to refuse.
            let access = if pte.forbids(access) { Access::Read } else { access };
            match pte.state() {
                // Nothing of ours: the kernel finds out by itself.
                State::Void | State::Retained => return true,
                _ if pte.forbids(access) && !pte.in_transit() => return true,
                State::Resident if pte.allows(access) => {
                    let Some(pinned) = pte.pinned() else {
                        return false;
                    };
                    if pte.pins() == 0 && self.is_full() && !first {
                        return false;
                    }
                    if entry.change(pte, pinned).is_ok() {
                        if pte.pins() == 0 {
                            self.frames().note_pinned();
                        }
                        return true;
                    }
                }
                _ => {
                    if !bring(access) {
                        return false;
                    }
                }
            }
        }
    }

    /// Takes back the pins of `address .. address + len`, which is what was pinned.
    pub fn unpin(&'static self, address: usize, len: usize) {
        let end = address.saturating_add(len);
        let mut at = address;
        while at < end {
            if let Some((place, page)) = self.find_page(at) {
                let was = place.entry(page).update(Pte::unpinned);
                self.frames().note_unpinned(was.pins() == 1);
            }
            at = (at | (self.page_size() - 1)).saturating_add(1);
        }
    }

    /// Whether more is pinned than may be for long: who would wait with pins should do without.
    pub fn is_crowded(&self) -> bool {
        self.frames().pinned() > self.frames().most_pinned() / 2
    }

    /// Whether nothing more should be pinned but what is needed to get on at all.
    pub fn is_full(&self) -> bool {
        self.frames().pinned() >= self.frames().most_pinned()
    }
}
