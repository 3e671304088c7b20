//! Transfers that cannot be pinned whole: in pieces where the call may end early or can be repeated,
//! through a bounce buffer where a message must come or go at once.
//!
//! - `file`: what the descriptor is. `vectors`: copies from and to the program's buffers.
//! - `bounce`: arguments in bounce buffers. `messages`: many messages, and the strings of execve.
//! - `splice`: vmsplice.

pub mod bounce;
pub mod file;
pub mod messages;
pub mod splice;
mod vectors;

use super::memory;
use super::pins::claims::Claims;
use super::pins::slots::{Ending, Slot};
use super::requests;
use super::shapes::Memory;
use super::table;
use super::table::transfer::{Form, Transfer};
use bounce::LARGEST;
use file::File;
use vectors::{exchange, spread, vector_total};
use vmcore::engine::Engine;
use vmcore::sys;
use vmcore::trace::Access;

/// What the calls wait with at the most, pinned: those that wait for long must not starve the arena.
pub const WAIT_WITH: usize = 64 << 10;
/// A piece of a transfer through our memory.
const BOUNCE: usize = 256 << 10;
/// The kernel transfers no more in one call.
const MOST: usize = 0x7fff_f000;

const WAITALL: usize = libc::MSG_WAITALL as usize;
const EFAULT: isize = -(libc::EFAULT as isize);

/// The transfer could not be pinned whole, or should not, or (`crowded`) nothing should be pinned:
/// arranges pieces or a detour. The slot holds no pins. What to return when nothing can be done.
pub fn arrange(engine: &'static Engine, slot: &mut Slot, transfer: Transfer, file: File, crowded: bool) -> Result<(), isize> {
    slot.finish = true;
    // What is only looked at cannot be had in pieces.
    let peeks = slot.number == libc::SYS_recvfrom && slot.args[3] & libc::MSG_PEEK as usize != 0;
    let file = if peeks { File::Message } else { file };
    // A stream gives what it has; a file what it is asked for, and both take all.
    slot.once = transfer.access == Access::Write
        && file == File::Stream
        && !(slot.number == libc::SYS_recvfrom && slot.args[3] & WAITALL != 0);
    match (transfer.form, file) {
        (Form::Buffer, File::Stream) if crowded => {
            slot.ending = Ending::Bounce;
            slot.total = slot.args[transfer.arg + 1].min(MOST);
            if !slot.borrow(slot.total.min(WAIT_WITH)) {
                return Err(-(libc::ENOBUFS as isize));
            }
            peer(engine, slot, transfer);
            next_bounce(engine, slot, transfer)
        }
        (Form::Buffer, File::Regular | File::Stream) => {
            slot.ending = Ending::Pieces;
            slot.total = slot.args[transfer.arg + 1].min(MOST);
            next_piece(engine, slot, transfer)
        }
        (Form::Buffer, File::Message) => {
            let Some(len) = slot.args.get(transfer.arg + 1).copied() else {
                return Err(EFAULT);
            };
            // The address of the peer, if any, is small and can be pinned.
            peer(engine, slot, transfer);
            slot.now[transfer.arg + 1] = len.min(LARGEST);
            bounce::place(engine, slot, &[(transfer.arg as u8, len.min(LARGEST), transfer.access)])
        }
        (Form::Vector(_), _) => {
            slot.ending = Ending::Bounce;
            slot.total = vector_total(engine, slot.args[transfer.arg], slot.args[transfer.arg + 1]);
            let len = if file == File::Message { slot.total.min(LARGEST) } else { slot.total.min(BOUNCE) };
            if !slot.borrow(len) {
                return Err(-(libc::ENOBUFS as isize));
            }
            next_bounce(engine, slot, transfer)
        }
        (Form::Message, _) => message(engine, slot, transfer),
    }
}

/// Pins the peer's address of sendto and recvfrom.
fn peer(engine: &'static Engine, slot: &mut Slot, transfer: Transfer) {
    let args = slot.args;
    let mut claims = Claims::new(engine, &mut slot.pins);
    match slot.number {
        libc::SYS_sendto => claims.claim(4, args[4], args[5] & 0xffff, transfer.access),
        libc::SYS_recvfrom => {
            claims.claim(5, args[5], 4, Access::Write);
            let len = if args[5] == 0 { 0 } else { claims.half(args[5]).unwrap_or(0) };
            claims.claim(4, args[4], len.min(0xffff) as usize, Access::Write);
        }
        _ => {}
    }
}

fn next_piece(engine: &'static Engine, slot: &mut Slot, transfer: Transfer) -> Result<(), isize> {
    slot.pins.release();
    peer(engine, slot, transfer);
    let at = slot.args[transfer.arg].wrapping_add(slot.done);
    let mut len = slot.total - slot.done;
    let waits = slot.once || transfer.access == Access::Read;
    len = len.min(if waits { WAIT_WITH } else { 1 << 20 });
    if engine.is_ours(at) {
        let pinned = engine.pin(at, len, transfer.access, true);
        if pinned == 0 {
            return Err(EFAULT);
        }
        if !slot.pins.remember((at, pinned)) {
            engine.unpin(at, pinned);
            return Err(EFAULT);
        }
        len = pinned;
    }
    slot.piece = len;
    slot.now[transfer.arg] = at;
    slot.now[transfer.arg + 1] = len;
    if transfer.at_offset {
        slot.now[3] = slot.args[3].wrapping_add(slot.done);
    }
    Ok(())
}

fn next_bounce(engine: &'static Engine, slot: &mut Slot, transfer: Transfer) -> Result<(), isize> {
    let (at, room) = slot.temporary;
    slot.piece = (slot.total - slot.done).min(room);
    if transfer.access == Access::Read {
        slot.piece = exchange(engine, slot, transfer, slot.piece, false);
        if slot.piece == 0 {
            return Err(EFAULT);
        }
    }
    if transfer.form == Form::Buffer {
        (slot.now[transfer.arg], slot.now[transfer.arg + 1]) = (at, slot.piece);
        return Ok(());
    }
    let offset = slot.args[3] as isize;
    // Version 2 of the vector calls: an offset of -1 is the file's own position.
    slot.now_number = match (slot.number, transfer.form) {
        (libc::SYS_preadv2, _) if offset == -1 => libc::SYS_read,
        (libc::SYS_pwritev2, _) if offset == -1 => libc::SYS_write,
        (_, Form::Vector(single)) => single,
        (number, _) => number,
    };
    slot.now = [slot.args[0], at, slot.piece, slot.args[3].wrapping_add(slot.done), 0, 0];
    Ok(())
}

/// A message whose buffers are too large: one buffer of ours, and a header of ours around it.
fn message(engine: &'static Engine, slot: &mut Slot, transfer: Transfer) -> Result<(), isize> {
    let at = slot.args[1];
    let mut header = [0u8; 56];
    if !memory::peek(engine, at, &mut header) {
        return Err(EFAULT);
    }
    for (word, bytes) in slot.scratch.iter_mut().zip(header.chunks_exact(8)) {
        *word = bytes.try_into().map_or(0, usize::from_ne_bytes);
    }
    let [name, name_len, iov, iov_len, control, control_len, ..] = slot.scratch;
    let mut claims = Claims::new(engine, &mut slot.pins);
    claims.claim(1, name, name_len & 0xffff, transfer.access);
    claims.claim(1, control, control_len.min(1 << 20), transfer.access);
    slot.ending = Ending::Bounce;
    slot.once = true;
    slot.total = vector_total(engine, iov, iov_len);
    let len = slot.total.min(LARGEST);
    if !slot.borrow(len) {
        return Err(-(libc::ENOBUFS as isize));
    }
    slot.piece = len;
    if transfer.access == Access::Read {
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
    match slot.ending {
        Ending::Plain => return Some(result),
        Ending::Retry => {
            slot.done += 1;
            if result != EFAULT || slot.done > 1000 {
                return Some(result);
            }
            touch(engine, slot.args[0]);
            return None;
        }
        Ending::Requests => {
            requests::returned(engine, slot, result);
            return Some(result);
        }
        Ending::Bounced => return Some(bounce::end(engine, slot, result)),
        Ending::Pieces | Ending::Bounce => {}
    }
    let Some(transfer) = table::find(slot.number).transfer() else {
        return Some(result);
    };
    if result < 0 {
        return Some(if slot.done > 0 { slot.done as isize } else { result });
    }
    let got = (result as usize).min(slot.piece);
    if slot.ending == Ending::Bounce && transfer.access == Access::Write {
        exchange(engine, slot, transfer, got, true);
    }
    if transfer.form == Form::Message {
        if transfer.access == Access::Write {
            // What the kernel tells in the header: the lengths of the name and of the control data, flags.
            memory::poke(engine, slot.args[1] + 8, &(slot.scratch[1] as u32).to_ne_bytes());
            memory::poke(engine, slot.args[1] + 40, &slot.scratch[5].to_ne_bytes());
            memory::poke(engine, slot.args[1] + 48, &(slot.scratch[6] as u32).to_ne_bytes());
        }
        return Some(if slot.many.is_some() { messages::only(engine, slot, result) } else { result });
    }
    slot.done += got;
    if slot.once {
        take_more(engine, slot, transfer, got);
        return Some(slot.done as isize);
    }
    if got < slot.piece || slot.done >= slot.total {
        return Some(slot.done as isize);
    }
    next(engine, slot, transfer).is_err().then_some(slot.done as isize)
}

fn next(engine: &'static Engine, slot: &mut Slot, transfer: Transfer) -> Result<(), isize> {
    match slot.ending {
        Ending::Pieces => next_piece(engine, slot, transfer),
        _ => next_bounce(engine, slot, transfer),
    }
}

/// A stream has filled a piece. What else it has at this moment belongs to the same call: who gets less than
/// asked for may take it that nothing is left, and wait for an edge that has passed.
fn take_more(engine: &'static Engine, slot: &mut Slot, transfer: Transfer, first: usize) {
    let mut got = first;
    while got == slot.piece && slot.done < slot.total && next(engine, slot, transfer).is_ok() {
        let Some(more) = without_waiting(slot).filter(|more| *more > 0) else {
            return;
        };
        got = (more as usize).min(slot.piece);
        if slot.ending == Ending::Bounce {
            exchange(engine, slot, transfer, got, true);
        }
        slot.done += got;
    }
}

/// Makes the call that the slot is at, if it can be told not to wait.
pub fn without_waiting(slot: &Slot) -> Option<isize> {
    const NOWAIT: usize = libc::RWF_NOWAIT as usize;
    const DONTWAIT: usize = libc::MSG_DONTWAIT as usize;
    let mut args = slot.now;
    let vector = [args[1], args[2]];
    let number = match slot.now_number {
        libc::SYS_read => {
            args = [args[0], vector.as_ptr() as usize, 1, usize::MAX, usize::MAX, NOWAIT];
            libc::SYS_preadv2
        }
        libc::SYS_recvfrom if args[3] & WAITALL == 0 => {
            args[3] |= DONTWAIT;
            libc::SYS_recvfrom
        }
        libc::SYS_recvmsg if args[2] & WAITALL == 0 => {
            args[2] |= DONTWAIT;
            libc::SYS_recvmsg
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
