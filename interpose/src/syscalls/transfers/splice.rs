//! vmsplice: it gives pages to a pipe, and ours do not stay. So the pipe gets a copy.

use super::vectors::{spread, vector_total};
use crate::syscalls::pins::claims::Claims;
use crate::syscalls::pins::slots::Slot;
use crate::syscalls::pins::Pins;
use crate::syscalls::shapes::walk::walk;
use crate::syscalls::shapes::Shape;
use vmcore::engine::Engine;
use vmcore::sys;
use vmcore::trace::Access;

const EFAULT: isize = -(libc::EFAULT as isize);

/// Whether the buffers of a vmsplice are ours.
pub fn splices_ours(engine: &'static Engine, args: &[usize; 6]) -> bool {
    let mut pins = Pins::NONE;
    walk(&mut Claims::new(engine, &mut pins), args, 1, Shape::Vector(Access::Read, 2));
    let touches_ours = !pins.is_empty() && args[2] > 0 && args[1] != 0;
    pins.release();
    touches_ours
}

/// vmsplice gives pages to a pipe, and ours do not stay: it is given a copy, of as much as the pipe can take.
///
/// `Err` is what the call returns without being made.
pub fn splice_memory(engine: &'static Engine, slot: &mut Slot) -> Result<(), isize> {
    let file = slot.args[0];
    if splices_ours(engine, &slot.args) {
        let ask = |command: i32| {
            // SAFETY: no pointers.
            unsafe { sys::call(libc::SYS_fcntl, [file, command as usize, 0, 0, 0, 0]) }
        };
        if ask(libc::F_GETFL) as i32 & libc::O_ACCMODE == libc::O_RDONLY {
            (slot.number, slot.now_number) = (libc::SYS_readv, libc::SYS_readv);
        } else if let Ok(room @ 1..) = usize::try_from(ask(libc::F_GETPIPE_SZ)) {
            return copy_for_pipe(engine, slot, room);
        }
    }
    Ok(())
}

/// A vmsplice whose buffers are ours gets a copy of their first `room` bytes instead, in memory that nobody writes
/// to again. What to return when that cannot be had.
fn copy_for_pipe(engine: &'static Engine, slot: &mut Slot, room: usize) -> Result<(), isize> {
    let [file, at, count, flags, ..] = slot.args;
    let total = vector_total(engine, at, count).min(room);
    if !slot.borrow(total) {
        return Err(-(libc::ENOMEM as isize));
    }
    let ours = slot.temporary.0;
    let copied = spread(engine, (at, count), 0, ours, total, false);
    if copied == 0 && total > 0 {
        return Err(EFAULT);
    }
    [slot.scratch[0], slot.scratch[1]] = [ours, copied];
    slot.many = Some(slot.args);
    slot.now = [file, slot.scratch.as_ptr() as usize, 1, flags, 0, 0];
    slot.args = slot.now;
    slot.finish = true;
    Ok(())
}
