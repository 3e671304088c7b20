//! Pins on behalf of the kernel: pages that a system call is about to touch are brought in and stay where they are, with
//! the protection that it needs, until they are unpinned.
#![forbid(unsafe_code)]

use super::fault::Outcome;
use crate::engine::Engine;
use crate::heap::Heap;
use crate::page::{Access, Pte, State};
use crate::sys::thread::Quiet;

impl Engine {
    /// Makes the pages of `address .. address + len` that are ours resident and open for `access`,
    /// and pins them. Returns how many bytes from `address` on are safe to hand to the kernel: less
    /// than `len` when so many pages cannot be pinned at once. The same `address` and the returned
    /// length must be unpinned.
    pub fn pin(&'static self, address: usize, len: usize, access: Access, masked: bool) -> usize {
        self.pin_or(address, len, access, |place, page, at, access| {
            let _stack = if masked { None } else { self.keep_stack() };
            self.touch(place, page, at, access, masked) == Outcome::Resolved
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
        let _quiet = Quiet::begin();
        self.pin(address, len, access, true)
    }

    /// The live block around `address`: where it begins and ends.
    pub fn block_around(&'static self, address: usize) -> Option<(usize, usize)> {
        let place = self.find(address)?;
        let (start, n) = Heap::block_around(&place, place.granule(address))?;
        Some((place.address(start), place.address(start + n)))
    }

    /// Whether a page of a block contains `address`, present or not, that the program may read.
    pub fn is_block_page(&'static self, address: usize) -> bool {
        let backed = |(place, page): &(super::place::Place, crate::index::PageNumber)| page.get() / 64 < place.region.groups();
        self.find_page(address).filter(backed).is_some_and(|(place, page)| is_block(place.entry(page).load()))
    }
}

fn is_block(pte: Pte) -> bool {
    !matches!(pte.state(), State::Void | State::Retained) && !pte.forbids(Access::Read)
}
