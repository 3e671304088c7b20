//! Calls over many structures that cannot be pinned all at once: fewer messages than the program
//! offered (sendmmsg and recvmmsg may return less), or one through memory of ours; and the strings of
//! execve, copied.

use super::bounce::text_len;
use crate::syscalls::memory;
use crate::syscalls::pins::claims::Claims;
use crate::syscalls::pins::slots::Slot;
use crate::syscalls::shapes::walk::walk;
use crate::syscalls::shapes::Shape;
use libc::{SYS_recvmmsg, SYS_recvmsg, SYS_sendmmsg, SYS_sendmsg};
use vmcore::engine::Engine;
use vmcore::trace::Access;

/// `struct mmsghdr`: the message, then its length.
const LENGTH: usize = 56;
/// The kernel takes no more bytes of strings.
const MOST: usize = 16 << 20;

/// The messages of the call could not be pinned together. The slot holds no pins.
pub fn fewer(engine: &'static Engine, slot: &mut Slot) {
    let access = if slot.number == SYS_recvmmsg { Access::Write } else { Access::Read };
    let [fd, at, mut count, flags, ..] = slot.args;
    count = count.min(1024) / 2;
    while count > 0 {
        slot.now[2] = count;
        let args = slot.now;
        let mut claims = Claims::new(engine, &mut slot.pins);
        walk(&mut claims, &args, 1, Shape::Messages(access, 2));
        if !claims.short {
            return;
        }
        slot.pins.release();
        count /= 2;
    }
    // Not even the first: it becomes the only one.
    slot.many = Some(slot.args);
    slot.number = if slot.number == SYS_sendmmsg { SYS_sendmsg } else { SYS_recvmsg };
    slot.args = [fd, at, flags & !(libc::MSG_WAITFORONE as usize), 0, 0, 0];
    (slot.now_number, slot.now) = (slot.number, slot.args);
}

/// The only message has been sent or received: what the program's call returns.
pub fn only(engine: &'static Engine, slot: &Slot, result: isize) -> isize {
    if result < 0 {
        return result;
    }
    memory::poke(engine, slot.args[1] + LENGTH, &(result as u32).to_ne_bytes());
    1
}

/// Strings in memory of ours, one behind the other.
struct Copies {
    engine: &'static Engine,
    at: usize,
    left: usize,
}

impl Copies {
    fn take(&mut self, len: usize) -> Option<usize> {
        let at = self.at;
        self.left = self.left.checked_sub(len)?;
        self.at += len;
        Some(at)
    }

    fn text(&mut self, from: usize) -> Option<usize> {
        let len = text_len(self.engine, from);
        let to = self.take(len)?;
        (memory::copy(self.engine, to, from, len, false) == len).then_some(to)
    }

    fn vector(&mut self, from: usize) -> Option<usize> {
        let count = entries(self.engine, from)?;
        let to = self.take((count + 1) * 8)?;
        for i in 0..count {
            let mut word = [0; 8];
            let text = memory::peek(self.engine, from + i * 8, &mut word).then(|| usize::from_ne_bytes(word))?;
            let copy = self.text(text)?;
            // SAFETY: within the memory that was taken; the end is zero, as fresh memory is.
            unsafe { ((to + i * 8) as *mut usize).write_unaligned(copy) };
        }
        Some(to)
    }
}

/// The strings of a vector that ends with null.
fn entries(engine: &'static Engine, at: usize) -> Option<usize> {
    let mut word = [1; 8];
    for i in 0..MOST / 8 {
        if !memory::peek(engine, at + i * 8, &mut word) {
            return None;
        }
        if word == [0; 8] {
            return Some(i);
        }
    }
    None
}

/// The path and the strings of execve lie in memory of ours for the call. The slot holds no pins. False
/// if that is not possible.
pub fn copy_strings(engine: &'static Engine, slot: &mut Slot, shapes: &[(u8, Shape)]) -> bool {
    if !slot.borrow(MOST) {
        return false;
    }
    let mut copies = Copies { engine, at: slot.temporary.0, left: MOST };
    let args = slot.args;
    shapes.iter().all(|(arg, shape)| {
        let Some(at) = args.get(*arg as usize).copied().filter(|at| *at != 0) else {
            return true;
        };
        let copy = if *shape == Shape::Texts { copies.vector(at) } else { copies.text(at) };
        slot.now.get_mut(*arg as usize).zip(copy).map(|(now, copy)| *now = copy).is_some()
    })
}
