//! The trap: a system call of the program arrives as SIGSYS, is carried out with its memory pinned,
//! and its result is put into the interrupted context.

use super::plans::{self, File};
use super::program::Claims;
use super::shapes::{walk, Shape};
use super::slots::{Kind, Slot};
use super::table::{self, Way};
use super::transfer;
use super::{gadget, messages, special, stand_in};
use crate::signals::{fault, halt, kernel};
use crate::thread::{self, Thread};
use core::ffi::{c_int, c_void};
use vmcore::engine::Engine;
use vmcore::sys::thread::{set_signal_mask, SignalSet};
use vmcore::sys::{self, Result};

/// The kernel's `si_code` of a trapped call.
const SYS_USER_DISPATCH: c_int = 2;
const EAGAIN: isize = -(libc::EAGAIN as isize);

/// The context that a signal interrupted.
pub struct Context(*mut libc::ucontext_t);

macro_rules! register {
    ($get:ident, $set:ident, $index:ident, $what:literal) => {
        #[doc = $what]
        pub fn $get(&self) -> usize {
            // SAFETY: the kernel's own record of the interrupted context.
            unsafe { (*self.0).uc_mcontext.gregs[libc::$index as usize] as usize }
        }

        #[doc = $what]
        pub fn $set(&mut self, value: usize) {
            // SAFETY: as above; it is restored when the handler returns.
            unsafe { (*self.0).uc_mcontext.gregs[libc::$index as usize] = value as i64 }
        }
    };
}

impl Context {
    register!(rax, set_rax, REG_RAX, "Number, then result.");
    register!(rip, set_rip, REG_RIP, "Where the program goes on.");
    register!(rsp, set_rsp, REG_RSP, "The program's stack.");

    /// The arguments of the call.
    pub fn args(&self) -> [usize; 6] {
        // SAFETY: the kernel's own record of the interrupted context.
        let registers = unsafe { &(*self.0).uc_mcontext.gregs };
        ARGS.map(|i| registers[i as usize] as usize)
    }

    /// Sets the argument registers.
    pub fn set_args(&mut self, args: [usize; 6]) {
        // SAFETY: as above.
        let registers = unsafe { &mut (*self.0).uc_mcontext.gregs };
        for (i, arg) in ARGS.into_iter().zip(args) {
            registers[i as usize] = arg as i64;
        }
    }

    /// The program's signal mask.
    pub fn mask(&self) -> u64 {
        // SAFETY: the kernel's set is the first word of libc's.
        unsafe { (&raw const (*self.0).uc_sigmask).cast::<u64>().read() }
    }

    /// Changes the program's signal mask.
    pub fn set_mask(&mut self, mask: u64) {
        // SAFETY: as above.
        unsafe { (&raw mut (*self.0).uc_sigmask).cast::<u64>().write(mask) }
    }
}

const ARGS: [c_int; 6] = [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8, libc::REG_R9];

/// Installs the handler. Signals are blocked while it runs, except faults: it touches program memory.
pub fn install() -> Result<()> {
    // SAFETY: the handler makes raw calls only and takes no lock that its thread may hold.
    unsafe { kernel::install(libc::SIGSYS, trapped, SignalSet::ALL.without(libc::SIGSEGV)).map(|_| ()) }
}

/// Installs it again, if the program has replaced it behind our back.
pub fn insist() {
    // SAFETY: as in `install`.
    unsafe { kernel::reinstall(libc::SIGSYS, trapped, SignalSet::ALL.without(libc::SIGSEGV)) };
}

unsafe extern "C" fn trapped(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    halt::stop_if_dying();
    // SAFETY: the kernel's record.
    if unsafe { (*info).si_code } != SYS_USER_DISPATCH {
        // SAFETY: the kernel's record, which nobody else refers to.
        if !super::arming::answer(unsafe { &mut *context.cast() }) {
            // SAFETY: the handler's own arguments, at its end.
            unsafe { fault::forward(info, context) };
        }
        return;
    }
    let mut context = Context(context.cast());
    if context.rip() == gadget::behind_birth_door() {
        return super::births::born(&mut context);
    }
    let number = context.rax() as u32 as usize;
    let guarded = thread::running().zip(crate::engine::get());
    let Some((thread, engine)) = guarded else {
        // A thread that has left, or is none of ours: as if there were no guard.
        // SAFETY: the program's own call.
        let result = unsafe { sys::call(number as i64, context.args()) };
        context.set_rax(result as usize);
        return;
    };
    if context.rip() == gadget::behind_door() {
        finish(engine, &mut context);
    } else {
        begin(thread, engine, &mut context, number);
    }
}

fn begin(thread: &'static Thread, engine: &'static Engine, context: &mut Context, number: usize) {
    thread.guard.land(context.rsp());
    crate::blocks::torment(2);
    let mut spare = Slot::FREE;
    let slots = thread.guard.slots();
    let slot = slots.and_then(|slots| {
        slots.reap(context.rsp());
        slots.free()
    });
    // More handlers on top of each other than slots: this call cannot be interrupted.
    let may_wait = slot.is_some();
    let slot = slot.unwrap_or(&mut spare);
    slot.begin(number, context.args());
    let call = table::find(number);
    let (mut way, shapes) = call.map_or((Way::Waits, table::UNKNOWN), |call| (call.way, call.shapes));
    if way == Way::Special {
        match special::before(thread, engine, context, slot) {
            special::Verdict::Go(changed) => way = changed,
            special::Verdict::Done(result) => {
                slot.end();
                context.set_rax(result as usize);
                return;
            }
            special::Verdict::Left => return,
        }
    }
    match claim(engine, slot, shapes, way) {
        Ok(changed) => way = changed,
        Err(result) => {
            slot.end();
            context.set_rax(result as usize);
            return;
        }
    }
    if way == Way::Soon || !may_wait {
        let result = run(engine, slot);
        slot.end();
        context.set_rax(result as usize);
    } else if let Some(result) = attempt(slot) {
        slot.end();
        context.set_rax(result as usize);
    } else {
        leave(engine, context, slot);
    }
}

/// Makes a call of the program in the program's context, with signals blocked but for the call itself.
pub fn perform(engine: &'static Engine, number: usize, args: [usize; 6]) -> isize {
    let mut slot = Slot::FREE;
    slot.begin(number, args);
    let (way, shapes) = table::find(number).map_or((Way::Waits, table::UNKNOWN), |call| (call.way, call.shapes));
    let _stack = engine.keep_stack();
    let signals = set_signal_mask(SignalSet::ALL);
    let mut end = match number as i64 {
        libc::SYS_vmsplice => special::splice_memory(engine, &mut slot).result(),
        _ => None,
    };
    end = end.or_else(|| claim(engine, &mut slot, shapes, way).err());
    let result = loop {
        if let Some(result) = end {
            break result;
        }
        set_signal_mask(signals);
        // SAFETY: the program's own call, or an equal one.
        let result = unsafe { sys::call(slot.now_number as i64, slot.now) };
        set_signal_mask(SignalSet::ALL);
        end = transfer::advance(engine, &mut slot, result);
    };
    slot.end();
    set_signal_mask(signals);
    result
}

/// Pins what the call will access, and decides how it is carried out.
fn claim(engine: &'static Engine, slot: &mut Slot, shapes: &'static [(u8, Shape)], way: Way) -> core::result::Result<Way, isize> {
    let args = slot.args;
    let plan = plans::plan(slot.number);
    let mut claims = Claims::new(engine, &mut slot.pins);
    claims.transfers = plan.is_some();
    for (arg, shape) in shapes {
        walk(&mut claims, &args, *arg, *shape);
    }
    let (short, total) = (claims.short, claims.total);
    if slot.pins.is_empty() && !short {
        return Ok(way);
    }
    slot.finish = true;
    if short && messages::is_many(slot.number) {
        slot.pins.release();
        messages::fewer(engine, slot);
        if slot.many.is_none() {
            return Ok(way);
        }
    }
    if let Some(which) = messages::executes(slot.number).filter(|_| short) {
        slot.pins.release();
        if messages::copy_strings(engine, slot, which) {
            return Ok(way);
        }
    }
    let crowded = way == Way::Waits && engine.is_crowded();
    let Some(plan) = plan else {
        if slot.kind == Kind::Plain && (short || crowded) {
            slot.pins.release();
            if !stand_in::place_all(engine, slot, shapes) {
                let mut claims = Claims { forced: true, ..Claims::new(engine, &mut slot.pins) };
                shapes.iter().for_each(|(arg, shape)| walk(&mut claims, &args, *arg, *shape));
            }
        }
        return Ok(way);
    };
    let file = plans::file(slot);
    let way = if file == File::Regular { Way::Soon } else { way };
    let waits_with_much = way == Way::Waits && total > transfer::WAIT_WITH && file == File::Stream;
    if short || waits_with_much || crowded && way == Way::Waits {
        slot.pins.release();
        transfer::arrange(engine, slot, plan, file, crowded)?;
    }
    Ok(way)
}

/// Carries the call out here and now.
fn run(engine: &'static Engine, slot: &mut Slot) -> isize {
    loop {
        // SAFETY: the program's own call, or an equal one.
        let result = unsafe { sys::call(slot.now_number as i64, slot.now) };
        if let Some(result) = transfer::advance(engine, slot, result) {
            return result;
        }
    }
}

/// Tries a call with pins without waiting: most often there is something to be had, and the way
/// through the program's context and back is longer.
fn attempt(slot: &Slot) -> Option<isize> {
    if slot.kind != Kind::Plain || slot.pins.is_empty() {
        return None;
    }
    if slot.now_number == 232 {
        let [a, b, c, wait, e, f] = slot.now;
        // SAFETY: the program's own call, with the wish not to wait.
        let result = unsafe { sys::call(232, [a, b, c, 0, e, f]) };
        return (result != 0 || wait == 0).then_some(result);
    }
    let result = transfer::without_waiting(slot)?;
    match slot.now_number {
        // Errors other than these are the program's; without support for the flag it is asked again.
        0 => (result >= 0).then_some(result),
        _ => (result != EAGAIN).then_some(result),
    }
}

/// Resumes the program at the gadget, where it makes the call itself.
fn leave(engine: &'static Engine, context: &mut Context, slot: &mut Slot) {
    let go_on = context.rip();
    let frame = context.rsp().wrapping_sub(gadget::FRAME);
    let link = if slot.finish { core::ptr::from_mut(slot) as usize } else { 0 };
    write_frame(engine, frame, go_on, link);
    if slot.finish {
        slot.key = frame;
    }
    context.set_rsp(frame);
    context.set_rip(gadget::resume());
    context.set_rax(slot.now_number);
    context.set_args(slot.now);
}

/// Writes the gadget's words to the program's stack; the fault handler brings the page if it is absent.
fn write_frame(_engine: &'static Engine, frame: usize, go_on: usize, link: usize) {
    // SAFETY: below the red zone of the stack, where the kernel itself would put a signal's frame.
    unsafe {
        (frame as *mut usize).write_volatile(go_on);
        (frame as *mut usize).add(1).write_volatile(link);
    }
}

/// The gadget's call has returned: its result, or its next piece.
fn finish(engine: &'static Engine, context: &mut Context) {
    let frame = context.rsp() as *const usize;
    // SAFETY: the gadget's words, written by `leave`.
    let (go_on, slot) = unsafe { (frame.read(), &mut *(frame.add(1).read() as *mut Slot)) };
    match transfer::advance(engine, slot, slot.result()) {
        Some(result) => {
            context.set_args(slot.many.unwrap_or(slot.args));
            slot.end();
            context.set_rax(result as usize);
            context.set_rip(go_on);
            context.set_rsp(context.rsp().wrapping_add(gadget::FRAME));
        }
        None => {
            context.set_rip(gadget::resume());
            context.set_rax(slot.now_number);
            context.set_args(slot.now);
        }
    }
}
