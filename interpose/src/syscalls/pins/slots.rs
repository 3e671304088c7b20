//! What is remembered about a call from its trap until it is finished: its pins, its own arguments
//! where others are used, and how far a call has come that is served in pieces.
//!
//! A thread has a handful of slots, since a signal handler that interrupts a call may call too. A
//! handler may also leave by a jump; then the call is never finished, and its slot is found stale
//! by a later trap of the thread from further up the same stack.

use super::{Pins, Range};
use core::ffi::c_long;
use core::mem::offset_of;
use vmcore::sys::memory::{self, Protection};
use vmcore::trace::Access;

/// How the result of a call is treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Handed to the program.
    Plain,
    /// A futex wait: repeated if its word was absent, which the kernel finds before it sleeps.
    Retry,
    /// A transfer that is served in pieces.
    Pieces,
    /// A transfer through a bounce buffer.
    Bounce,
    /// About requests that the kernel works on by itself.
    Requests,
    /// Arguments lie in bounce buffers.
    Bounced,
}

/// An argument that lies in a bounce buffer for the length of the call.
#[derive(Clone, Copy)]
pub struct BounceBuffer {
    /// Which argument.
    pub arg: u8,
    /// Where it lies.
    pub ours: usize,
    /// So many bytes.
    pub len: usize,
    /// What the kernel does there.
    pub access: Access,
}

/// A call under way.
#[repr(C)]
pub struct Slot {
    /// What the kernel returned; written by the gadget.
    result: isize,
    /// Where on the program's stack the gadget's words are; 0: the slot is free; 1: it only keeps pins
    /// until the next trap.
    pub key: usize,
    /// The call as the program issued it.
    pub number: c_long,
    /// Its arguments.
    pub args: [usize; 6],
    /// The call as it is issued for the program.
    pub now_number: c_long,
    /// Its arguments.
    pub now: [usize; 6],
    /// How the result is treated.
    pub ending: Ending,
    /// Whether the context must come back to us when the call has ended.
    pub finish: bool,
    /// Bytes transferred, or times repeated, so far.
    pub done: usize,
    /// Bytes of this piece.
    pub piece: usize,
    /// Bytes in all.
    pub total: usize,
    /// Whether a first piece is all that may be waited for.
    pub once: bool,
    /// The memory of the bounce buffers, and its length.
    pub temporary: Range,
    /// The program's own arguments, if the call is another: one message instead of many.
    pub many: Option<[usize; 6]>,
    /// Arguments that lie in bounce buffers.
    pub bounces: [Option<BounceBuffer>; 6],
    /// Small structures of ours that the kernel reads instead of the program's.
    pub scratch: [usize; 16],
    /// What is pinned.
    pub pins: Pins,
}

/// Offset of the result, for the gadget.
pub const RESULT: usize = offset_of!(Slot, result);

impl Slot {
    /// A free slot.
    pub const FREE: Slot = Slot {
        result: 0,
        key: 0,
        number: 0,
        args: [0; 6],
        now_number: 0,
        now: [0; 6],
        ending: Ending::Plain,
        finish: false,
        done: 0,
        piece: 0,
        total: 0,
        once: false,
        temporary: (0, 0),
        many: None,
        bounces: [None; 6],
        scratch: [0; 16],
        pins: Pins::NONE,
    };

    /// A call begins.
    pub fn begin(&mut self, number: c_long, args: [usize; 6]) {
        *self = Slot::FREE;
        (self.number, self.args, self.now_number, self.now) = (number, args, number, args);
    }

    /// What the kernel returned.
    pub fn result(&self) -> isize {
        self.result
    }

    /// Gives back all that the call has.
    pub fn end(&mut self) {
        self.pins.release();
        let (at, len) = core::mem::take(&mut self.temporary);
        if at != 0 {
            // SAFETY: ours, made for this call.
            let _ = unsafe { memory::unmap(at, len) };
        }
        self.key = 0;
    }

    /// Memory for bounce buffers, at least `len` bytes; false if there is none.
    pub fn borrow(&mut self, len: usize) -> bool {
        let len = len.max(1).next_multiple_of(4096);
        match memory::reserve(len, Protection::ReadWrite) {
            Ok(at) => {
                self.temporary = (at, len);
                true
            }
            Err(_) => false,
        }
    }
}

/// What the gadget (`guard/gadget.rs`) moves the program's stack pointer by: the red zone, and 16 bytes of ours.
pub const FRAME: usize = 144;

/// Calls that may be under way in one thread: one, and those of signal handlers on top of it.
pub const SLOTS: usize = 16;
/// Bytes of a thread's slots.
pub const BYTES: usize = (SLOTS * size_of::<Slot>()).next_multiple_of(4096);

/// A jump out of a signal handler leaves calls behind that are so far below the stack pointer at most;
/// what is further away belongs to another stack.
const REACH: usize = 8 << 20;

/// The slots of a thread.
#[repr(C)]
pub struct Slots([Slot; SLOTS]);

impl Slots {
    /// Ends the calls that a jump has left behind, seen from a trap at the stack pointer `stack`.
    pub fn reap(&mut self, stack: usize) {
        for slot in &mut self.0 {
            if slot.key == 1 || slot.key != 0 && slot.key < stack && stack - slot.key < REACH + FRAME && slot.key + FRAME <= stack
            {
                slot.end();
            }
        }
    }

    /// Ends all.
    pub fn clear(&mut self) {
        self.0.iter_mut().filter(|slot| slot.key != 0).for_each(Slot::end);
    }

    /// Which are in use: one bit each.
    pub fn in_use(&self) -> u32 {
        (0..).zip(&self.0).filter(|(_, slot)| slot.key != 0).fold(0, |bits, (i, _): (u32, _)| bits | 1 << i)
    }

    /// Ends those that are not in `bits`.
    pub fn end_all_but(&mut self, bits: u32) {
        let others = (0..).zip(&mut self.0).filter(|(i, slot): &(u32, _)| slot.key != 0 && bits & 1 << i == 0);
        others.for_each(|(_, slot)| slot.end());
    }

    /// Forgets all, in a child that has no pins.
    pub fn forget(&mut self) {
        self.0.iter_mut().for_each(|slot| slot.key = 0);
    }

    /// A free slot.
    pub fn free(&mut self) -> Option<&mut Slot> {
        self.0.iter_mut().find(|slot| slot.key == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(keys: [usize; 3]) -> Slots {
        let mut slots = Slots([const { Slot::FREE }; SLOTS]);
        slots.0.iter_mut().zip(keys).for_each(|(slot, key)| slot.key = key);
        slots
    }

    #[test]
    fn a_trap_further_up_the_stack_ends_what_a_jump_left() {
        let mut slots = slots([0x1_0000, 0x1_1000, 1]);
        // The first lies below the stack pointer, the second above it, and the third only kept pins.
        slots.reap(0x1_0000 + FRAME);
        assert_eq!(slots.in_use(), 0b010);
        // What is further away belongs to another stack.
        slots.reap(0x1_1000 + REACH + 2 * FRAME);
        assert_eq!(slots.in_use(), 0b010);
    }

    #[test]
    fn a_parent_that_wakes_ends_its_childs_calls() {
        let mut slots = slots([0x1000, 0, 0x3000]);
        let before = slots.in_use();
        if let Some(slot) = slots.free() {
            slot.key = 0x2000;
        }
        assert_eq!((before, slots.in_use()), (0b101, 0b111));
        slots.end_all_but(before);
        assert_eq!(slots.in_use(), 0b101);
        slots.forget();
        assert_eq!(slots.in_use(), 0);
    }
}
