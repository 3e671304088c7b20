//! Pins: pages that the kernel is about to touch stay where they are, with the protection that it
//! needs, until they are unpinned.

use crate::engine::Engine;
use crate::heap::Ground;
use crate::heap::Heap;
use crate::pager::Outcome;
use crate::pte::{Pte, State};
use crate::region::Place;
use crate::sys::thread::{self, Quiet, SignalSet};
use crate::trace::Access;
use core::sync::atomic::Ordering;

impl Engine {
    /// Makes the pages of `address .. address + len` that are ours resident and open for `access`,
    /// and pins them. Returns how many bytes from `address` on are safe to hand to the kernel: less
    /// than `len` when so many pages cannot be pinned at once. The same `address` and the returned
    /// length must be unpinned.
    pub fn pin(&'static self, address: usize, len: usize, access: Access, masked: bool) -> usize {
        self.pin_or(address, len, access, |place, page, at, access| {
            let _stack = if masked { None } else { self.keep_stack() };
            let _quiet = (!masked).then(Quiet::begin);
            self.touch(place, page, at, access, true) == Outcome::Resolved
        })
    }

    /// [`Engine::pin`] for a caller in the middle of the program: cheap if the pages are here, and with
    /// every signal blocked if they must be brought, since a handler of the program may touch them.
    #[inline]
    pub fn pin_in_program(&'static self, address: usize, len: usize, access: Access) -> usize {
        let pinned = self.pin_or(address, len, access, |_, _, _, _| false);
        if pinned == len {
            return pinned;
        }
        self.unpin(address, pinned);
        let _stack = self.keep_stack();
        let signals = thread::set_signal_mask(SignalSet::ALL);
        let pinned = self.pin(address, len, access, true);
        thread::set_signal_mask(signals);
        pinned
    }

    /// Pins what is there; `bring` brings the rest, a page at a time: false if it cannot be had.
    #[inline]
    pub(crate) fn pin_or(
        &'static self,
        address: usize,
        len: usize,
        access: Access,
        bring: impl Fn(&Place, u64, usize, Access) -> bool,
    ) -> usize {
        let end = address.saturating_add(len);
        let mut at = address;
        while at < end {
            let next = (at | (self.page() - 1)).saturating_add(1).min(end);
            let Some((place, page)) = self.find_page(at) else {
                at = next;
                continue;
            };
            let entry = place.page(page);
            loop {
                let pte = entry.pte();
                // What the program allows nobody is the kernel's to refuse.
                let access = if pte.forbids(access) { Access::Read } else { access };
                match pte.state() {
                    // Nothing of ours: the kernel finds out by itself.
                    State::Void | State::Retained => break,
                    _ if pte.forbids(access) && !pte.in_transit() => break,
                    State::Resident if pte.allows(access) => {
                        let Some(pinned) = pte.pinned() else {
                            return at - address;
                        };
                        if pte.pins() == 0 && self.gauges.pinned.load(Ordering::Relaxed) >= self.most_pinned() && at > address {
                            return at - address;
                        }
                        if entry.change(pte, pinned).is_ok() {
                            if pte.pins() == 0 {
                                self.gauges.pinned.fetch_add(1, Ordering::Relaxed);
                            }
                            break;
                        }
                    }
                    _ => {
                        if !bring(&place, page, at, access) {
                            return at - address;
                        }
                    }
                }
            }
            at = next;
        }
        len
    }

    /// Takes back the pins of [`Engine::pin`].
    pub fn unpin(&'static self, address: usize, len: usize) {
        let end = address.saturating_add(len);
        let mut at = address;
        while at < end {
            if let Some((place, page)) = self.find_page(at) {
                let entry = place.page(page);
                loop {
                    let pte = entry.pte();
                    if pte.pins() == 0 {
                        break;
                    }
                    if pte.in_transit() {
                        self.wait(entry, pte);
                    } else if entry.change(pte, pte.unpinned()).is_ok() {
                        if pte.pins() == 1 {
                            self.gauges.pinned.fetch_sub(1, Ordering::Relaxed);
                        }
                        break;
                    }
                }
            }
            at = (at | (self.page() - 1)).saturating_add(1);
        }
    }

    /// Whether more is pinned than may be for long: who would wait with pins should do without.
    pub fn is_crowded(&self) -> bool {
        self.gauges.pinned.load(Ordering::Relaxed) > self.most_pinned() / 2
    }

    /// Whether nothing more should be pinned but what is needed to get on at all.
    pub fn is_full(&self) -> bool {
        self.gauges.pinned.load(Ordering::Relaxed) >= self.most_pinned()
    }

    /// So many pages may be pinned before requests are cut short: half of the frames for pages.
    fn most_pinned(&self) -> u32 {
        let growing = self.gauges.bookkeeping.load(Ordering::Relaxed);
        self.pool_frames().saturating_sub(growing) / 2
    }

    /// The live block around `address`: where it begins and ends.
    pub fn block_around(&'static self, address: usize) -> Option<(usize, usize)> {
        let place = self.find(address)?;
        let (start, n) = Heap::block_around(&place, place.granule(address))?;
        Some((place.address(start), place.address(start + n)))
    }

    /// Whether a page of a block contains `address`, present or not, that the program may read.
    pub fn is_block_page(&'static self, address: usize) -> bool {
        self.find_page(address).is_some_and(|(place, page)| page / 64 < place.backed_groups() && is_block(place.page(page).pte()))
    }
}

fn is_block(pte: Pte) -> bool {
    !matches!(pte.state(), State::Void | State::Retained) && !pte.forbids(Access::Read)
}
