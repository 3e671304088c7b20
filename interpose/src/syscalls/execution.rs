//! How a call is made: its memory is pinned, or brought elsewhere, and then the call is made here, or found to
//! be one that has to be made in the program's own context.

use super::pins::claims::Claims;
use super::pins::slots::{Ending, Slot};
use super::shapes::walk::walk;
use super::table::{self, Call, Family, Way};
use super::transfers::file::{self, File};
use super::transfers::{self, bounce, messages, splice};
use core::ffi::c_long;
use vmcore::engine::Engine;
use vmcore::sys;
use vmcore::sys::thread::{set_signal_mask, SignalSet};

const EAGAIN: isize = -(libc::EAGAIN as isize);

/// Pins what the call will access, and decides how it is carried out.
pub fn claim(engine: &'static Engine, slot: &mut Slot, call: &'static Call, way: Way) -> Result<Way, isize> {
    let args = slot.args;
    let transfer = table::find(slot.number).transfer();
    let mut claims = Claims::new(engine, &mut slot.pins);
    claims.transfers = transfer.is_some();
    for (arg, shape) in call.shapes {
        walk(&mut claims, &args, *arg, *shape);
    }
    let (short, total) = (claims.short, claims.total);
    if slot.pins.is_empty() && !short {
        return Ok(way);
    }
    slot.finish = true;
    if short && call.family == Family::Messages {
        slot.pins.release();
        messages::fewer(engine, slot);
        if slot.many.is_none() {
            return Ok(way);
        }
    }
    if short && call.family == Family::Exec {
        slot.pins.release();
        if messages::copy_strings(engine, slot, call.shapes) {
            return Ok(way);
        }
    }
    let crowded = way == Way::Waits && engine.is_crowded();
    // One message instead of many is another call.
    let transfer = transfer.or_else(|| slot.many.and_then(|_| table::find(slot.number).transfer()));
    let Some(transfer) = transfer else {
        if slot.ending == Ending::Plain && (short || crowded) {
            slot.pins.release();
            if !bounce::place_all(engine, slot, call.shapes) {
                let mut claims = Claims { forced: true, ..Claims::new(engine, &mut slot.pins) };
                call.shapes.iter().for_each(|(arg, shape)| walk(&mut claims, &args, *arg, *shape));
            }
        }
        return Ok(way);
    };
    let file = file::file(slot);
    let way = if file == File::Regular { Way::Soon } else { way };
    let waits_with_much = way == Way::Waits && total > transfers::WAIT_WITH && file == File::Stream;
    if short || waits_with_much || crowded && way == Way::Waits {
        slot.pins.release();
        transfers::arrange(engine, slot, transfer, file, crowded)?;
    }
    Ok(way)
}

/// Carries the call out here and now.
pub fn run(engine: &'static Engine, slot: &mut Slot) -> isize {
    loop {
        // SAFETY: the program's own call, or an equal one.
        let result = unsafe { sys::call(slot.now_number, slot.now) };
        if let Some(result) = transfers::advance(engine, slot, result) {
            return result;
        }
    }
}

/// Tries a call with pins without waiting: most often there is something to be had, and the way
/// through the program's context and back is longer.
pub fn attempt(slot: &Slot) -> Option<isize> {
    if slot.ending != Ending::Plain || slot.pins.is_empty() {
        return None;
    }
    if slot.now_number == libc::SYS_epoll_wait {
        let [a, b, c, wait, e, f] = slot.now;
        // SAFETY: the program's own call, with the wish not to wait.
        let result = unsafe { sys::call(libc::SYS_epoll_wait, [a, b, c, 0, e, f]) };
        return (result != 0 || wait == 0).then_some(result);
    }
    let result = transfers::without_waiting(slot)?;
    match slot.now_number {
        // Errors other than these are the program's; without support for the flag it is asked again.
        libc::SYS_read => (result >= 0).then_some(result),
        _ => (result != EAGAIN).then_some(result),
    }
}

/// Makes a call of the program in the program's context, with signals blocked but for the call itself.
pub fn perform(engine: &'static Engine, number: c_long, args: [usize; 6]) -> isize {
    let mut slot = Slot::FREE;
    slot.begin(number, args);
    let call = table::find(number);
    let _stack = engine.keep_stack();
    let signals = set_signal_mask(SignalSet::ALL);
    let copied = if call.family == Family::Splice { splice::splice_memory(engine, &mut slot) } else { Ok(()) };
    let mut end = copied.and_then(|()| claim(engine, &mut slot, call, call.way)).err();
    let result = loop {
        if let Some(result) = end {
            break result;
        }
        set_signal_mask(signals);
        // SAFETY: the program's own call, or an equal one.
        let result = unsafe { sys::call(slot.now_number, slot.now) };
        set_signal_mask(SignalSet::ALL);
        end = transfers::advance(engine, &mut slot, result);
    };
    slot.end();
    set_signal_mask(signals);
    result
}

/// Whether setsockopt asks for sends without a copy.
pub fn is_zero_copy([level, name]: [usize; 2]) -> bool {
    (level as i32, name as i32) == (libc::SOL_SOCKET, libc::SO_ZEROCOPY)
}
