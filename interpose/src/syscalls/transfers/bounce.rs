//! Bounce buffers: arguments lie in memory of ours for the length of a call, because they cannot be pinned
//! whole, or because the call may wait for long and more is pinned already than may be.

use crate::syscalls::memory;
use crate::syscalls::pins::slots::{BounceBuffer, Ending, Slot};
use crate::syscalls::shapes::walk::walk;
use crate::syscalls::shapes::{Memory, Shape};
use crate::syscalls::table;
use core::ffi::c_long;
use vmcore::engine::Engine;
use vmcore::trace::Access;

/// The largest message that goes through our memory.
pub const LARGEST: usize = 64 << 20;
/// The longest string that the kernel takes.
const LONGEST_TEXT: usize = 128 << 10;

/// What the arguments of a call point to, if they point to nothing that points further.
struct Arguments<'a> {
    engine: &'static Engine,
    args: &'a [usize; 6],
    found: [(u8, usize, Access); 6],
    count: usize,
    /// There is more than arguments.
    nested: bool,
}

impl Arguments<'_> {
    fn note(&mut self, arg: u8, address: usize, len: usize, access: Access) {
        if len == 0 || !self.engine.is_ours(address) {
            return;
        }
        let known = self.found.iter_mut().take(self.count).find(|found| found.0 == arg);
        if self.args.get(arg as usize) != Some(&address) {
            self.nested = true;
        } else if let Some(known) = known {
            *known = (arg, known.1.max(len), if known.2 == Access::Write { known.2 } else { access });
        } else if let Some(place) = self.found.get_mut(self.count) {
            *place = (arg, len, access);
            self.count += 1;
        }
    }
}

impl Memory for Arguments<'_> {
    fn claim(&mut self, arg: u8, address: usize, len: usize, access: Access) {
        self.note(arg, address, len, access);
    }

    fn claim_text(&mut self, arg: u8, address: usize) {
        if self.engine.is_ours(address) {
            self.note(arg, address, text_len(self.engine, address), Access::Read);
        }
    }

    fn claim_rest(&mut self, _arg: u8, address: usize) {
        self.nested |= self.engine.is_ours(address);
    }

    fn peek(&mut self, address: usize, to: &mut [u8]) -> bool {
        memory::peek(self.engine, address, to)
    }
}

/// Bytes of the string at `address`, with its end, or as far as it can be read.
pub fn text_len(engine: &'static Engine, address: usize) -> usize {
    const CHUNK: usize = 256;
    let mut chunk = [0u8; CHUNK];
    let mut len = 0;
    while len < LONGEST_TEXT {
        // Never across the border of a page.
        let n = CHUNK - (address + len) % CHUNK;
        let Some(text) = chunk.get_mut(..n) else {
            break;
        };
        if !memory::peek(engine, address + len, text) {
            break;
        }
        if let Some(end) = text.iter().position(|byte| *byte == 0) {
            return len + end + 1;
        }
        len += n;
    }
    len
}

/// Puts bounce buffers in the place of all arguments that lie in memory of ours. The slot holds no pins. False
/// if that is not possible: then nothing has changed.
pub fn place_all(engine: &'static Engine, slot: &mut Slot, shapes: &'static [(u8, Shape)]) -> bool {
    let args = slot.args;
    let mut list = Arguments { engine, args: &args, found: [(0, 0, Access::Read); 6], count: 0, nested: false };
    for (arg, shape) in shapes {
        walk(&mut list, &args, *arg, *shape);
    }
    !list.nested && place(engine, slot, list.found.get(..list.count).unwrap_or(&[])).is_ok()
}

/// Puts bounce buffers in the place of some arguments: which, how many bytes, and what for.
pub fn place(engine: &'static Engine, slot: &mut Slot, which: &[(u8, usize, Access)]) -> Result<(), isize> {
    const ALIGN: usize = 16;
    let total = which.iter().map(|(_, len, _)| len.next_multiple_of(ALIGN)).sum();
    if total > 2 * LARGEST || !slot.borrow(total) {
        return Err(-(libc::ENOMEM as isize));
    }
    slot.ending = Ending::Bounced;
    slot.finish = true;
    let mut ours = slot.temporary.0;
    for (place, (arg, len, access)) in slot.bounces.iter_mut().zip(which) {
        let address = slot.args.get(*arg as usize).copied().unwrap_or(0);
        // Also what the kernel only writes: it may leave parts of it as they are.
        if !is_received(slot.number, *arg) {
            memory::copy(engine, ours, address, *len, false);
        }
        if let Some(now) = slot.now.get_mut(*arg as usize) {
            *now = ours;
        }
        *place = Some(BounceBuffer { arg: *arg, ours, len: *len, access: *access });
        ours += len.next_multiple_of(ALIGN);
    }
    Ok(())
}

/// Whether the call receives so many bytes there as it returns.
fn is_received(number: c_long, arg: u8) -> bool {
    table::find(number).transfer().is_some_and(|transfer| transfer.receives(arg))
}

/// The call has returned `result`: the program gets what the kernel wrote.
pub fn end(engine: &'static Engine, slot: &Slot, result: isize) -> isize {
    for buffer in slot.bounces.iter().flatten().filter(|buffer| buffer.access == Access::Write) {
        let received = is_received(slot.number, buffer.arg);
        let len = if received { buffer.len.min(result.max(0) as usize) } else { buffer.len };
        let address = slot.args.get(buffer.arg as usize).copied().unwrap_or(0);
        memory::copy(engine, buffer.ours, address, len, true);
    }
    result
}
