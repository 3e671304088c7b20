//! Transfers that cannot be pinned whole: in pieces where the call may end early or can be repeated,
//! through memory of ours where a message must come or go at once.

use super::plans::{plan, File, Layout, Plan};
use super::program::{self, Claims};
use super::shapes::{each_buffer, Memory};
use super::slots::{Kind, Slot};
use super::{aio, messages, stand_in};
use vmcore::engine::Engine;
use vmcore::sys;
use vmcore::trace::Access;

/// What the calls wait with at the most, pinned: those that wait for long must not starve the arena.
pub const WAIT_WITH: usize = 64 << 10;
/// A piece of a transfer through our memory.
const BOUNCE: usize = 256 << 10;
/// The largest message that goes through our memory.
pub const LARGEST: usize = 64 << 20;
/// The kernel transfers no more in one call.
const MOST: usize = 0x7fff_f000;

const WAITALL: usize = libc::MSG_WAITALL as usize;
const EFAULT: isize = -(libc::EFAULT as isize);

/// The transfer could not be pinned whole, or should not, or (`crowded`) nothing should be pinned:
/// arranges pieces or a detour. The slot holds no pins. What to return when nothing can be done.
pub fn arrange(engine: &'static Engine, slot: &mut Slot, plan: Plan, file: File, crowded: bool) -> Result<(), isize> {
    slot.finish = true;
    // What is only looked at cannot be had in pieces.
    let peeks = slot.number == 45 && slot.args[3] & libc::MSG_PEEK as usize != 0;
    let file = if peeks { File::Message } else { file };
    // A stream gives what it has; a file what it is asked for, and both take all.
    slot.once = plan.access == Access::Write && file == File::Stream && !(slot.number == 45 && slot.args[3] & WAITALL != 0);
    match (plan.layout, file) {
        (Layout::Buffer, File::Stream) if crowded => {
            slot.kind = Kind::Bounce;
            slot.total = slot.args[plan.arg + 1].min(MOST);
            if !slot.borrow(slot.total.min(WAIT_WITH)) {
                return Err(-(libc::ENOBUFS as isize));
            }
            peer(engine, slot, plan);
            next_bounce(engine, slot, plan)
        }
        (Layout::Buffer, File::Regular | File::Stream) => {
            slot.kind = Kind::Pieces;
            slot.total = slot.args[plan.arg + 1].min(MOST);
            next_piece(engine, slot, plan)
        }
        (Layout::Buffer, File::Message) => {
            let Some(len) = slot.args.get(plan.arg + 1).copied() else {
                return Err(EFAULT);
            };
            // The address of the peer, if any, is small and can be pinned.
            peer(engine, slot, plan);
            slot.now[plan.arg + 1] = len.min(LARGEST);
            stand_in::place(engine, slot, &[(plan.arg as u8, len.min(LARGEST), plan.access)])
        }
        (Layout::Vector, _) => {
            slot.kind = Kind::Bounce;
            slot.total = vector_total(engine, slot.args[plan.arg], slot.args[plan.arg + 1]);
            let len = if file == File::Message { slot.total.min(LARGEST) } else { slot.total.min(BOUNCE) };
            if !slot.borrow(len) {
                return Err(-(libc::ENOBUFS as isize));
            }
            next_bounce(engine, slot, plan)
        }
        (Layout::Message, _) => message(engine, slot, plan),
    }
}

/// Pins the peer's address of sendto and recvfrom.
fn peer(engine: &'static Engine, slot: &mut Slot, plan: Plan) {
    let args = slot.args;
    let mut claims = Claims::new(engine, &mut slot.pins);
    match slot.number {
        44 => claims.claim(4, args[4], args[5] & 0xffff, plan.access),
        45 => {
            claims.claim(5, args[5], 4, Access::Write);
            let len = if args[5] == 0 { 0 } else { claims.half(args[5]).unwrap_or(0) };
            claims.claim(4, args[4], len.min(0xffff) as usize, Access::Write);
        }
        _ => {}
    }
}

fn next_piece(engine: &'static Engine, slot: &mut Slot, plan: Plan) -> Result<(), isize> {
    slot.pins.release();
    peer(engine, slot, plan);
    let at = slot.args[plan.arg].wrapping_add(slot.done);
    let mut len = slot.total - slot.done;
    let waits = slot.once || plan.access == Access::Read;
    len = len.min(if waits { WAIT_WITH } else { 1 << 20 });
    if engine.is_ours(at) {
        let pinned = engine.pin(at, len, plan.access, true);
        if pinned == 0 {
            return Err(EFAULT);
        }
        if !slot.pins.add((at, pinned)) {
            engine.unpin(at, pinned);
            return Err(EFAULT);
        }
        len = pinned;
    }
    slot.piece = len;
    slot.now[plan.arg] = at;
    slot.now[plan.arg + 1] = len;
    if plan.at_offset {
        slot.now[3] = slot.args[3].wrapping_add(slot.done);
    }
    Ok(())
}

fn vector_total(engine: &'static Engine, at: usize, count: usize) -> usize {
    let mut none = super::slots::Pins::NONE;
    let mut claims = Claims::new(engine, &mut none);
    let mut total = 0usize;
    each_buffer(&mut claims, at, count, |_, _, len| total = total.saturating_add(len));
    total.min(MOST)
}

/// A vmsplice whose buffers are ours gets a copy of their first `room` bytes instead, in memory that nobody writes
/// to again. What to return when that cannot be had.
pub fn copy_for_pipe(engine: &'static Engine, slot: &mut Slot, room: usize) -> Result<(), isize> {
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

/// Copies between the call's buffers, from `skip` bytes on, and our memory; how many bytes.
fn exchange(engine: &'static Engine, slot: &Slot, plan: Plan, len: usize, to_program: bool) -> usize {
    let (ours, skip) = (slot.temporary.0, slot.done);
    match plan.layout {
        Layout::Buffer => program::copy(engine, ours, slot.args[plan.arg].wrapping_add(skip), len, to_program),
        Layout::Vector => spread(engine, (slot.args[plan.arg], slot.args[plan.arg + 1]), skip, ours, len, to_program),
        Layout::Message => spread(engine, (slot.scratch[10], slot.scratch[11]), skip, ours, len, to_program),
    }
}

fn spread(engine: &'static Engine, vector: (usize, usize), skip: usize, ours: usize, len: usize, to_program: bool) -> usize {
    let mut none = super::slots::Pins::NONE;
    let mut claims = Claims::new(engine, &mut none);
    let (mut skip, mut done, mut failed) = (skip, 0, false);
    each_buffer(&mut claims, vector.0, vector.1, |_, base, size| {
        let passed = skip.min(size);
        skip -= passed;
        let n = (size - passed).min(len - done);
        if n > 0 && !failed {
            let copied = program::copy(engine, ours + done, base.wrapping_add(passed), n, to_program);
            done += copied;
            failed = copied < n;
        }
    });
    done
}

fn next_bounce(engine: &'static Engine, slot: &mut Slot, plan: Plan) -> Result<(), isize> {
    let (at, room) = slot.temporary;
    slot.piece = (slot.total - slot.done).min(room);
    if plan.access == Access::Read {
        slot.piece = exchange(engine, slot, plan, slot.piece, false);
        if slot.piece == 0 {
            return Err(EFAULT);
        }
    }
    if plan.layout == Layout::Buffer {
        (slot.now[plan.arg], slot.now[plan.arg + 1]) = (at, slot.piece);
        return Ok(());
    }
    let offset = slot.args[3] as isize;
    // Version 2 of the vector calls: an offset of -1 is the file's own position.
    slot.now_number = match plan.single {
        17 if matches!(slot.number, 327) && offset == -1 => 0,
        18 if matches!(slot.number, 328) && offset == -1 => 1,
        other => other,
    };
    slot.now = [slot.args[0], at, slot.piece, slot.args[3].wrapping_add(slot.done), 0, 0];
    Ok(())
}

/// A message whose buffers are too large: one buffer of ours, and a header of ours around it.
fn message(engine: &'static Engine, slot: &mut Slot, plan: Plan) -> Result<(), isize> {
    let at = slot.args[1];
    let mut header = [0u8; 56];
    if !program::peek(engine, at, &mut header) {
        return Err(EFAULT);
    }
    for (word, bytes) in slot.scratch.iter_mut().zip(header.chunks_exact(8)) {
        *word = bytes.try_into().map_or(0, usize::from_ne_bytes);
    }
    let [name, name_len, iov, iov_len, control, control_len, ..] = slot.scratch;
    let mut claims = Claims::new(engine, &mut slot.pins);
    claims.claim(1, name, name_len & 0xffff, plan.access);
    claims.claim(1, control, control_len.min(1 << 20), plan.access);
    slot.kind = Kind::Bounce;
    slot.once = true;
    slot.total = vector_total(engine, iov, iov_len);
    let len = slot.total.min(LARGEST);
    if !slot.borrow(len) {
        return Err(-(libc::ENOBUFS as isize));
    }
    slot.piece = len;
    if plan.access == Access::Read {
        slot.piece = spread(engine, (iov, iov_len), 0, slot.temporary.0, len, false);
    }
    // The vector follows the header: words 8 and 9. The program's own is remembered behind it.
    slot.scratch[8] = slot.temporary.0;
    slot.scratch[9] = slot.piece;
    (slot.scratch[10], slot.scratch[11]) = (iov, iov_len);
    slot.scratch[2] = slot.scratch.as_ptr() as usize + 64;
    slot.scratch[3] = 1;
    slot.now[1] = slot.scratch.as_ptr() as usize;
    Ok(())
}

/// A call has returned: its result for the program, or `None` when it goes on with another piece.
pub fn advance(engine: &'static Engine, slot: &mut Slot, result: isize) -> Option<isize> {
    match slot.kind {
        Kind::Plain => return Some(result),
        Kind::Retry => {
            slot.done += 1;
            if result != EFAULT || slot.done > 1000 {
                return Some(result);
            }
            touch(engine, slot.args[0]);
            return None;
        }
        Kind::Requests => {
            aio::returned(engine, slot, result);
            return Some(result);
        }
        Kind::Stand => return Some(stand_in::end(engine, slot, result)),
        Kind::Pieces | Kind::Bounce => {}
    }
    let Some(plan) = plan(slot.number) else {
        return Some(result);
    };
    if result < 0 {
        return Some(if slot.done > 0 { slot.done as isize } else { result });
    }
    let got = (result as usize).min(slot.piece);
    if slot.kind == Kind::Bounce && plan.access == Access::Write {
        exchange(engine, slot, plan, got, true);
    }
    if plan.layout == Layout::Message {
        if plan.access == Access::Write {
            // What the kernel tells in the header: the lengths of the name and of the control data, flags.
            program::poke(engine, slot.args[1] + 8, &(slot.scratch[1] as u32).to_ne_bytes());
            program::poke(engine, slot.args[1] + 40, &slot.scratch[5].to_ne_bytes());
            program::poke(engine, slot.args[1] + 48, &(slot.scratch[6] as u32).to_ne_bytes());
        }
        return Some(if slot.many.is_some() { messages::only(engine, slot, result) } else { result });
    }
    slot.done += got;
    if slot.once {
        take_more(engine, slot, plan, got);
        return Some(slot.done as isize);
    }
    if got < slot.piece || slot.done >= slot.total {
        return Some(slot.done as isize);
    }
    next(engine, slot, plan).is_err().then_some(slot.done as isize)
}

fn next(engine: &'static Engine, slot: &mut Slot, plan: Plan) -> Result<(), isize> {
    match slot.kind {
        Kind::Pieces => next_piece(engine, slot, plan),
        _ => next_bounce(engine, slot, plan),
    }
}

/// A stream has filled a piece. What else it has at this moment belongs to the same call: who gets less than
/// asked for may take it that nothing is left, and wait for an edge that has passed.
fn take_more(engine: &'static Engine, slot: &mut Slot, plan: Plan, first: usize) {
    let mut got = first;
    while got == slot.piece && slot.done < slot.total && next(engine, slot, plan).is_ok() {
        let Some(more) = without_waiting(slot).filter(|more| *more > 0) else {
            return;
        };
        got = (more as usize).min(slot.piece);
        if slot.kind == Kind::Bounce {
            exchange(engine, slot, plan, got, true);
        }
        slot.done += got;
    }
}

/// Makes the call that the slot is at, if it can be told not to wait.
pub fn without_waiting(slot: &Slot) -> Option<isize> {
    const NOWAIT: usize = 8;
    const DONTWAIT: usize = libc::MSG_DONTWAIT as usize;
    let mut args = slot.now;
    let vector = [args[1], args[2]];
    let number = match slot.now_number {
        0 => {
            args = [args[0], vector.as_ptr() as usize, 1, usize::MAX, usize::MAX, NOWAIT];
            327
        }
        45 if args[3] & WAITALL == 0 => {
            args[3] |= DONTWAIT;
            45
        }
        47 if args[2] & WAITALL == 0 => {
            args[2] |= DONTWAIT;
            47
        }
        _ => return None,
    };
    // SAFETY: the program's own call, or a piece of it, with the wish not to wait.
    Some(unsafe { sys::call(number, args) })
}

/// Makes the word at `address` resident.
pub fn touch(engine: &'static Engine, address: usize) {
    let pinned = engine.pin(address, 4, Access::Read, true);
    engine.unpin(address, pinned);
}
