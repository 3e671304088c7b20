//! Pinning what a call will access, as the walk over its arguments finds it.

use super::Pins;
use crate::syscalls::memory::{self, CAREFUL};
use crate::syscalls::shapes::Memory;
use vmcore::engine::Engine;
use vmcore::trace::Access;

/// Pins what a call will access.
pub struct Claims<'a> {
    /// Whose pages.
    pub engine: &'static Engine,
    /// Where the pins are remembered.
    pub pins: &'a mut Pins,
    /// Whether a range could not be pinned whole.
    pub short: bool,
    /// Whether everything has to be pinned, however much that is.
    pub forced: bool,
    /// Bytes pinned.
    pub total: usize,
    /// The call transfers what it is asked for, over the borders of blocks if need be: programs join
    /// buffers that happen to be neighbours.
    pub transfers: bool,
}

/// The longest string that the kernel takes.
const LONGEST_TEXT: usize = 128 << 10;

impl<'a> Claims<'a> {
    /// Nothing claimed yet.
    pub fn new(engine: &'static Engine, pins: &'a mut Pins) -> Claims<'a> {
        Claims { engine, pins, short: false, forced: false, total: 0, transfers: false }
    }

    /// Pins a range that is ours; how many bytes of it.
    fn pin(&mut self, address: usize, len: usize, access: Access) -> usize {
        // One range may always be pinned, so that somebody gets on.
        if self.total > 0 && !self.forced && self.engine.is_full() {
            return 0;
        }
        let pinned = self.engine.pin(address, len, access, true);
        if pinned == 0 || self.pins.remember((address, pinned)) {
            self.total += pinned;
            return pinned;
        }
        self.engine.unpin(address, pinned);
        0
    }
}

impl Memory for Claims<'_> {
    fn claim(&mut self, _arg: u8, address: usize, len: usize, access: Access) {
        // A transfer that cannot be pinned whole goes another way, so the rest of it need not be pinned: each
        // range gets a page at least, and a long vector would get all that there are.
        if len == 0 || self.transfers && self.short || !self.engine.is_ours(address) {
            return;
        }
        let mut len = len;
        if len > CAREFUL {
            if let Some((_, end)) = self.engine.block_around(address) {
                let mut reach = (end - address).next_multiple_of(self.engine.page());
                while self.transfers && reach < len && self.engine.is_block_page(address + reach) {
                    reach += self.engine.page();
                }
                len = len.min(reach);
            }
        }
        self.short |= self.pin(address, len, access) < len;
    }

    fn claim_text(&mut self, _arg: u8, address: usize) {
        if !self.engine.is_ours(address) {
            return;
        }
        let mut at = address;
        while at - address < LONGEST_TEXT && self.engine.is_block_page(at) {
            let len = (at | (self.engine.page() - 1)) + 1 - at;
            if self.pin(at, len, Access::Read) < len {
                self.short = true;
                return;
            }
            // SAFETY: a page of a block, resident and readable as long as it is pinned; other threads may
            // write to it, and then it does not matter what is seen.
            if (at..at + len).any(|at| unsafe { (at as *const u8).read_volatile() } == 0) {
                return;
            }
            at += len;
        }
    }

    fn claim_rest(&mut self, arg: u8, address: usize) {
        if let Some((_, end)) = self.engine.block_around(address) {
            self.claim(arg, address, end.saturating_sub(address), Access::Write);
        }
    }

    fn peek(&mut self, address: usize, to: &mut [u8]) -> bool {
        memory::look(self.engine, address, to)
    }
}
