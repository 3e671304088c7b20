//! A stack of a thread may be a block of ours, whose pages leave like all others. The pager's lock, and
//! the token of a page, are held with every signal blocked, SIGSEGV too, so a thread whose stack lies in
//! a heap keeps the part of it that it stands on in memory before it comes to the pager from malloc.
//!
//! While it is at that, its pages may still leave at any moment, also the one that it stands on. So it
//! never waits here with signals blocked: it touches what is absent, or on its way, and the fault
//! handler brings it, on the alternate stack. There, and in the system-call guard, nothing is to be kept.

use super::place::Place;
use crate::engine::Engine;
use crate::index::PageNumber;
use crate::page::Access;
use crate::sys::thread;

/// What the pager may use of a stack below the caller.
const BELOW: usize = 20 * 1024;
/// What it returns through, above.
const ABOVE: usize = 512;

/// A part of the running thread's stack that stays in memory until this is dropped.
pub struct KeptStack {
    engine: &'static Engine,
    above: (usize, usize),
    below: (usize, usize),
}

impl Engine {
    /// Keeps the stack, if it is a block of ours and anything can leave memory at all. Whoever has
    /// blocked SIGSEGV keeps it already.
    #[inline]
    pub fn keep_stack(&'static self) -> Option<KeptStack> {
        let at = thread::stack_pointer();
        if !self.is_armed() || !self.is_ours(at) || thread::signal_mask().has(libc::SIGSEGV) {
            return None;
        }
        let above = (at, self.pin_or(at, ABOVE, Access::Write, touch));
        let below = (at - BELOW, self.pin_or(at - BELOW, BELOW, Access::Write, touch));
        Some(KeptStack { engine: self, above, below })
    }
}

/// Has the page at `address` brought in for stores, by a fault: true, to look again. The address is in a
/// block, and the program's terms allow stores there.
fn touch(_: &Place, _: PageNumber, address: usize, _: Access) -> bool {
    // SAFETY: a byte of a block, which keeps its value whoever else stores to it.
    unsafe { core::arch::asm!("lock or byte ptr [{}], 0", in(reg) address, options(nostack)) };
    true
}

impl Drop for KeptStack {
    fn drop(&mut self) {
        self.engine.unpin(self.below.0, self.below.1);
        self.engine.unpin(self.above.0, self.above.1);
    }
}
