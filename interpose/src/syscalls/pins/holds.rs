//! The pins of direct calls: a few ranges of a few calls for each thread.
//!
//! One call of a thread may be under way, and those of signal handlers on top of it. A thread that is cancelled,
//! or leaves by a jump out of a handler, leaves its hold behind: the thread's next call finds it stale, as slots are.

use crate::syscalls::shapes::Memory;
use core::cell::Cell;
use vmcore::engine::Engine;
use vmcore::sys::thread::stack_pointer;
use vmcore::trace::Access;

/// Ranges that a hold has room for: a message with a few buffers.
const RANGES: usize = 8;
/// Calls of a thread that may be under way: one, and those of signal handlers on top of it.
const HOLDS: usize = 4;
/// As for slots: what is further below the stack pointer belongs to another stack.
const REACH: usize = 8 << 20;

/// The pins of a call. Used by its thread only, and by its signal handlers one inside the other.
#[derive(Default)]
pub struct Hold {
    /// Where the call's stack frame is; 0: free.
    key: Cell<usize>,
    count: Cell<usize>,
    ranges: [Cell<(usize, usize)>; RANGES],
}

/// The holds of a thread.
#[derive(Default)]
pub struct Holds([Hold; HOLDS]);

impl Hold {
    /// Pins a range; false if it cannot be pinned whole.
    pub fn pin(&self, engine: &'static Engine, range: &HeldRange) -> bool {
        let count = self.count.get();
        let Some(place) = self.ranges.get(count) else {
            return false;
        };
        let pinned = engine.pin_in_program(range.address, range.len, range.access);
        place.set((range.address, pinned));
        self.count.set(count + 1);
        pinned == range.len
    }

    /// Takes the pins back; the hold is free.
    pub fn release(&self, engine: &'static Engine) {
        for range in self.ranges.iter().take(self.count.get()) {
            let (address, len) = range.get();
            engine.unpin(address, len);
        }
        self.count.set(0);
        self.key.set(0);
    }
}

impl Holds {
    /// A hold for a call from the stack pointer `stack`, when those that a jump left behind are gone.
    pub fn take(&self, engine: &'static Engine, stack: usize) -> Option<&Hold> {
        let is_left = |hold: &&Hold| hold.key.get() != 0 && stack.wrapping_sub(hold.key.get()) < REACH;
        self.0.iter().filter(is_left).for_each(|hold| hold.release(engine));
        let hold = self.0.iter().find(|hold| hold.key.get() == 0)?;
        hold.key.set(stack);
        Some(hold)
    }

    /// The thread ends, and whatever it was doing.
    pub fn clear(&self, engine: &'static Engine) {
        self.0.iter().filter(|hold| hold.key.get() != 0).for_each(|hold| hold.release(engine));
    }

    /// In a child process, which has no pins.
    pub fn forget(&self) {
        for hold in &self.0 {
            hold.count.set(0);
            hold.key.set(0);
        }
    }
}

/// Memory that a call accesses.
#[derive(Clone, Copy)]
pub struct HeldRange {
    address: usize,
    len: usize,
    access: Access,
}

/// The memory of ours that a call accesses, as the walk over its arguments finds it.
pub struct Ranges {
    engine: &'static Engine,
    count: usize,
    /// Bytes in all.
    pub total: usize,
    /// There are too many, or they cannot be found without a fault.
    pub failed: bool,
    list: [HeldRange; RANGES],
}

impl Ranges {
    /// None yet.
    #[inline(always)]
    pub fn new(engine: &'static Engine) -> Ranges {
        let none = HeldRange { address: 0, len: 0, access: Access::Read };
        Ranges { engine, count: 0, total: 0, failed: false, list: [none; RANGES] }
    }

    /// What was found.
    #[inline(always)]
    pub fn found(&self) -> &[HeldRange] {
        self.list.get(..self.count).unwrap_or(&[])
    }

    /// Whether `len` bytes can be read without a fault: they are in a block, or on the stack of the caller.
    fn is_readable(&self, address: usize, len: usize) -> bool {
        const NEAR: usize = 256 << 10;
        let on_stack = address.wrapping_sub(stack_pointer()) < NEAR;
        on_stack || self.engine.is_block_page(address) && self.engine.is_block_page(address.wrapping_add(len - 1))
    }
}

impl Memory for Ranges {
    #[inline(always)]
    fn claim(&mut self, _arg: u8, address: usize, len: usize, access: Access) {
        if len == 0 || !self.engine.is_ours(address) {
            return;
        }
        match self.list.get_mut(self.count) {
            Some(place) => {
                *place = HeldRange { address, len, access };
                self.count += 1;
                self.total = self.total.saturating_add(len);
            }
            None => self.failed = true,
        }
    }

    fn claim_text(&mut self, _arg: u8, address: usize) {
        self.failed |= self.engine.is_ours(address);
    }

    fn claim_rest(&mut self, _arg: u8, address: usize) {
        self.failed |= self.engine.is_ours(address);
    }

    #[inline(always)]
    fn peek(&mut self, address: usize, to: &mut [u8]) -> bool {
        if !self.is_readable(address, to.len()) {
            self.failed = true;
            return false;
        }
        // SAFETY: it is readable, as was just seen, and if another thread changes that, the program is wrong;
        // `to` is this library's own, so the two do not overlap.
        unsafe { core::ptr::copy_nonoverlapping(address as *const u8, to.as_mut_ptr(), to.len()) };
        true
    }
}
