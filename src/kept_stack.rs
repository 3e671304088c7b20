//! A stack of a thread may be a block of ours, whose pages leave like all others. The pager's lock is
//! held with every signal blocked, SIGSEGV too, so a thread whose stack lies in a heap keeps the part
//! of it that it stands on in memory before it comes to the pager from malloc.
//!
//! In the fault handler and in the system-call guard there is nothing to keep: they run on the
//! thread's alternate stack.

use crate::engine::Engine;
use crate::pte::{Pte, State};
use crate::sys::thread;
use crate::trace::Access;

/// What the pager may use of a stack below the caller.
const BELOW: usize = 12 * 1024;
/// What it returns through, above.
const ABOVE: usize = 512;

/// A part of the running thread's stack that stays in memory until this is dropped.
pub struct KeptStack {
    engine: &'static Engine,
    above: (usize, usize),
    below: (usize, usize),
}

impl Engine {
    /// Keeps the stack, if it is a block of ours and anything can leave memory at all.
    #[inline]
    pub(crate) fn keep_stack(&'static self) -> Option<KeptStack> {
        let at = thread::stack_pointer();
        if !self.is_armed() || !self.is_ours(at) {
            return None;
        }
        // Brought in by the fault handler, on its own stack: what follows blocks SIGSEGV now and then.
        for page in [at - BELOW, at - BELOW * 2 / 3, at - BELOW / 3] {
            self.bring(page);
        }
        // The page that we stand on first: it is here, so pinning it takes no lock.
        let above = (at, self.pin(at, ABOVE, Access::Write, false));
        let below = (at - BELOW, self.pin(at - BELOW, BELOW, Access::Write, false));
        Some(KeptStack { engine: self, above, below })
    }
}

impl Engine {
    /// Has the page at `address` brought in for stores by touching it, unless that is not ours to do.
    fn bring(&'static self, address: usize) {
        let pte = self.find_page(address).map_or(Pte::VOID, |(place, page)| place.page(page).pte());
        let is_block = !matches!(pte.state(), State::Void | State::Retained);
        if is_block && !pte.forbids(Access::Write) && !pte.allows(Access::Write) {
            // SAFETY: a byte of a block, which keeps its value whoever else stores to it.
            unsafe { core::arch::asm!("lock or byte ptr [{}], 0", in(reg) address, options(nostack)) };
        }
    }
}

impl Drop for KeptStack {
    fn drop(&mut self) {
        self.engine.unpin(self.below.0, self.below.1);
        self.engine.unpin(self.above.0, self.above.1);
    }
}
