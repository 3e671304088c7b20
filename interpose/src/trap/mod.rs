//! The trap: a system call of the program arrives as SIGSYS, is carried out with its memory pinned,
//! and its result is put into the interrupted context.
//!
//! Calls that may wait are made in the program's own context (`guard/gadget.rs`), the others here, in the handler.
//!
//! - `special`: what there is to a call beside its memory, by its family. `signals`, `futex`: two of those at length.
//! - `arming`: how the guard is switched on while other threads run.

pub mod arming;
mod futex;
mod signals;
mod special;
mod verdict;

use crate::births::sharing;
use crate::guard::{gadget, trapping};
use crate::shared::engine;
use crate::shared::thread::{self, Thread};
use crate::shared::ucontext::Ucontext;
use crate::signals::{fault, halt};
use crate::syscalls::execution::{attempt, claim, run};
use crate::syscalls::pins::slots::{Slot, FRAME};
use crate::syscalls::table::{self, Way};
use crate::syscalls::transfers;
use core::ffi::{c_int, c_long, c_void};
use verdict::Verdict;
use vmcore::engine::Engine;
use vmcore::sys;

/// The kernel's `si_code` of a trapped call.
const SYS_USER_DISPATCH: c_int = 2;

/// Says which handler traps come to. The kernel hears of it when there is something to trap.
pub fn install() {
    trapping::handled_by(trapped);
}

unsafe extern "C" fn trapped(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    halt::stop_if_dying();
    // SAFETY: the kernel's record of what came, and of what it interrupted, which nobody else refers to.
    let (is_trap, interrupted) = unsafe { ((*info).si_code == SYS_USER_DISPATCH, &mut *context.cast::<Ucontext>()) };
    if !is_trap {
        // SAFETY: the handler's own arguments, at its end.
        return unsafe { fault::forward(info, context) };
    }
    if interrupted.rip() == gadget::behind_birth_trap() {
        return sharing::born(interrupted);
    }
    let number = c_long::from(interrupted.rax() as u32);
    let guarded = thread::running().zip(engine::get());
    let Some((thread, engine)) = guarded else {
        // A thread that has left, or is none of ours: as if there were no guard.
        // SAFETY: the program's own call.
        let result = unsafe { sys::call(number, interrupted.args()) };
        interrupted.set_rax(result as usize);
        return;
    };
    if interrupted.rip() == gadget::behind_trap() {
        finish(engine, interrupted);
    } else {
        begin(thread, engine, interrupted, number);
    }
}

fn begin(thread: &'static Thread, engine: &'static Engine, context: &mut Ucontext, number: c_long) {
    engine::torment(2);
    let mut spare = Slot::FREE;
    let slots = thread.guard().slots();
    let slot = slots.and_then(|slots| {
        slots.reap(context.rsp());
        slots.free()
    });
    // More handlers on top of each other than slots: this call cannot be interrupted.
    let may_wait = slot.is_some();
    let slot = slot.unwrap_or(&mut spare);
    slot.begin(number, context.args());
    let call = table::find(number);
    let verdict = match special::before(thread, engine, context, slot, call) {
        Verdict::Go(way) => claim(engine, slot, call, way).map_or_else(Verdict::Done, Verdict::Go),
        other => other,
    };
    let result = match verdict {
        Verdict::Left => return,
        Verdict::Done(result) => Some(result),
        Verdict::Go(Way::Soon) => Some(run(engine, slot)),
        Verdict::Go(Way::Waits) if !may_wait => Some(run(engine, slot)),
        Verdict::Go(Way::Waits) => attempt(slot),
    };
    match result {
        Some(result) => {
            slot.end();
            context.set_rax(result as usize);
        }
        None => leave(context, slot),
    }
}

/// Resumes the program at the gadget, where it makes the call itself.
fn leave(context: &mut Ucontext, slot: &mut Slot) {
    let go_on = context.rip();
    let frame = context.rsp().wrapping_sub(FRAME);
    let link = if slot.finish { core::ptr::from_mut(slot) as usize } else { 0 };
    write_frame(frame, go_on, link);
    if slot.finish {
        slot.key = frame;
    }
    context.set_rsp(frame);
    context.set_rip(gadget::resume());
    context.set_rax(slot.now_number as usize);
    context.set_args(slot.now);
}

/// Writes the gadget's words to the program's stack; the fault handler brings the page if it is absent.
fn write_frame(frame: usize, go_on: usize, link: usize) {
    // SAFETY: below the red zone of the stack, where the kernel itself would put a signal's frame.
    unsafe {
        (frame as *mut usize).write_volatile(go_on);
        (frame as *mut usize).add(1).write_volatile(link);
    }
}

/// The gadget's call has returned: its result, or its next piece.
fn finish(engine: &'static Engine, context: &mut Ucontext) {
    let frame = context.rsp() as *const usize;
    // SAFETY: the gadget's words, written by `leave`.
    let (go_on, slot) = unsafe { (frame.read(), &mut *(frame.add(1).read() as *mut Slot)) };
    match transfers::advance(engine, slot, slot.result()) {
        Some(result) => {
            context.set_args(slot.many.unwrap_or(slot.args));
            slot.end();
            context.set_rax(result as usize);
            context.set_rip(go_on);
            context.set_rsp(context.rsp().wrapping_add(FRAME));
        }
        None => {
            context.set_rip(gadget::resume());
            context.set_rax(slot.now_number as usize);
            context.set_args(slot.now);
        }
    }
}
