//! What is remembered about a call from its trap until it is finished: its pins, its own arguments
//! where others are used, and how far a call has come that is served in pieces.
//!
//! A thread has a handful of slots, since a signal handler that interrupts a call may call too. A
//! handler may also leave by a jump; then the call is never finished, and its slot is found stale
//! by a later trap of the thread from further up the same stack.

use crate::engine;
use core::mem::offset_of;
use vmcore::sys::memory::{self, Protection};
use vmcore::trace::Access;

/// A pinned range: address and length.
pub type Range = (usize, usize);

const FEW: usize = 8;
/// Bytes of the memory for more ranges than a few.
const MORE: usize = 1 << 20;
const MOST: usize = MORE / size_of::<Range>();

/// The pins of a call.
#[repr(C)]
pub struct Pins {
    count: usize,
    first: [Range; FEW],
    more: usize,
}

impl Pins {
    /// No pins.
    pub const NONE: Pins = Pins { count: 0, first: [(0, 0); FEW], more: 0 };

    /// Whether nothing is pinned.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Remembers a range; false if there is no room.
    pub fn add(&mut self, range: Range) -> bool {
        // Neighbours are one range: texts and vectors are claimed bit by bit.
        if let Some(place) = self.first.get_mut(self.count) {
            *place = range;
            self.count += 1;
            return true;
        }
        if self.more == 0 {
            let Ok(more) = memory::reserve(MORE, Protection::ReadWrite) else {
                return false;
            };
            self.more = more;
        }
        let i = self.count - FEW;
        if i >= MOST {
            return false;
        }
        // SAFETY: within the memory for more.
        unsafe { *(self.more as *mut Range).add(i) = range };
        self.count += 1;
        true
    }

    /// Takes all pins back.
    pub fn release(&mut self) {
        if let Some(engine) = engine::get() {
            for (i, (address, len)) in self.first.iter().enumerate() {
                if i < self.count {
                    engine.unpin(*address, *len);
                }
            }
            for i in 0..self.count.saturating_sub(FEW) {
                // SAFETY: written by `add`.
                let (address, len) = unsafe { *(self.more as *const Range).add(i) };
                engine.unpin(address, len);
            }
        }
        self.count = 0;
        if self.more != 0 {
            // SAFETY: ours, made by `add`.
            let _ = unsafe { memory::unmap(self.more, MORE) };
            self.more = 0;
        }
    }
}

/// How the result of a call is treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Handed to the program.
    Plain,
    /// A futex wait: repeated if its word was absent, which the kernel finds before it sleeps.
    Retry,
    /// A transfer that is served in pieces.
    Pieces,
    /// A transfer through memory of ours.
    Bounce,
    /// About requests that the kernel works on by itself.
    Requests,
    /// Arguments lie in memory of ours for the call.
    Stand,
}

/// An argument that lies in memory of ours for the call.
#[derive(Clone, Copy)]
pub struct StandIn {
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
    pub number: usize,
    /// Its arguments.
    pub args: [usize; 6],
    /// The call as it is issued for the program.
    pub now_number: usize,
    /// Its arguments.
    pub now: [usize; 6],
    /// How the result is treated.
    pub kind: Kind,
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
    /// Memory of ours, and its length.
    pub temporary: Range,
    /// The program's own arguments, if the call is another: one message instead of many.
    pub many: Option<[usize; 6]>,
    /// Arguments that lie in memory of ours.
    pub stand_ins: [Option<StandIn>; 6],
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
        kind: Kind::Plain,
        finish: false,
        done: 0,
        piece: 0,
        total: 0,
        once: false,
        temporary: (0, 0),
        many: None,
        stand_ins: [None; 6],
        scratch: [0; 16],
        pins: Pins::NONE,
    };

    /// A call begins.
    pub fn begin(&mut self, number: usize, args: [usize; 6]) {
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

    /// Memory of ours for the call, at least `len` bytes; false if there is none.
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
            if slot.key == 1
                || slot.key != 0
                    && slot.key < stack
                    && stack - slot.key < REACH + super::gadget::FRAME
                    && slot.key + super::gadget::FRAME <= stack
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
