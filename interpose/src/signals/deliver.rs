//! Delivering a signal to a handler of the program.
//!
//! The kernel calls the entry of `trampolines` on our alternate stack with every signal blocked but ours. It builds the frame
//! where the kernel would have built it, then changes its own frame so that rt_sigreturn goes to the
//! handler, on that stack and with that mask. The handler returns to `handler_return`, which sets right what
//! the kernel must not see in the frame, and returns to the interrupted code.
//!
//! A thread that is not on our alternate stack (libc's own helpers, a program that sets it by system
//! call) gets its handler called in place.

use super::frame::{self, SignalFrame};
use super::masks::{self, Temporary};
use super::{actions, fault, kernel_stack, stack, trampolines};
use crate::shared::kernel::{self, Action, Handler, Info, OURS};
use crate::shared::thread::{self, Thread};
use crate::shared::ucontext::{register, Ucontext};
use crate::shared::{engine, room};
use crate::syscalls::memory;
use core::ffi::{c_int, c_void};
use vmcore::engine::Engine;
use vmcore::page::Access;
use vmcore::sys::thread::SignalSet;

/// Called by the entry.
pub(super) unsafe extern "C" fn on_signal(signal: c_int, info: &Info, context: &mut Ucontext) {
    let action = actions::handler(signal);
    if action.calls() {
        // SAFETY: the kernel's own arguments.
        unsafe { perform(&action, info, context) };
    }
}

/// Has the program's handler called when the running handler of ours returns.
///
/// # Safety
/// `context` must be the one that the running handler returns to, with every signal blocked.
pub unsafe fn perform(action: &Action, info: &Info, context: &mut Ucontext) {
    let here = 0u8;
    let sp = context.registers[register::RSP] as usize;
    // A fault inside one of our own handlers leaves no room below its stack pointer.
    let fits = |thread: &&Thread| {
        thread.signals().taken.get() && is_own_stack(thread, &raw const here as usize) && !is_own_stack(thread, sp)
    };
    let Some(thread) = thread::running().filter(fits) else {
        // SAFETY: the running handler returns to `context`, with every signal blocked, as the caller promises.
        return unsafe { call_in_place(action, info, context) };
    };
    // SAFETY: as above; and `thread` is on the alternate stack that we gave it.
    if unsafe { build(thread, action, info, context) }.is_none() {
        fault::no_stack(kernel::number(info), context);
    }
}

/// Whether `at` lies in the alternate stack that we gave to the thread.
pub fn is_own_stack(thread: &Thread, at: usize) -> bool {
    (thread.stack()..thread.stack() + room::of_this_processor().whole()).contains(&at)
}

/// What is blocked while the handler runs that came under the mask `now`.
const fn during(action: &Action, signal: c_int, now: SignalSet) -> SignalSet {
    let blocked = SignalSet(now.0 | action.mask.0);
    if action.has(kernel::NODEFER) {
        blocked
    } else {
        blocked.with(signal)
    }
}

/// # Safety
/// As [`perform`], on our alternate stack. `None` if there is no room for the frame.
unsafe fn build(thread: &Thread, action: &Action, info: &Info, context: &mut Ucontext) -> Option<()> {
    let state = thread.signals();
    let sp = context.registers[register::RSP] as usize;
    let alternate = state.alternate.get();
    // SAFETY: the kernel's frame.
    let len = unsafe { frame::vectors_len(context.vectors) };
    let spot = frame::spot(sp, &alternate, action.has(kernel::ONSTACK), len)?;
    let blocked = state.blocked.get();
    let during = during(action, kernel::number(info), masks::interrupted(state, context));
    // The interrupted call has had its temporary mask; any other code finds it again.
    let waited = context.interrupted_call();
    let temporary = if waited { Temporary::default() } else { state.temporary.get() };
    let mut copy = SignalFrame { restorer: trampolines::handler_return(), context: *context, info: *info, temporary };
    copy.context.stack = alternate.in_frame();
    copy.context.mask = SignalSet(context.mask.0 | blocked);
    if context.vectors != 0 {
        copy.context.vectors = spot.vectors;
    }
    let engine = engine::get();
    // SAFETY: both lie on our own stack; the program's stack below its pointer is free.
    unsafe {
        put_on_stack(engine, spot.vectors, context.vectors, len)?;
        put_on_stack(engine, spot.frame, &raw const copy as usize, size_of::<SignalFrame>())?;
    }
    state.temporary.set(Temporary::default());
    state.alternate.set(alternate.disarmed());
    state.blocked.set(during.0 & OURS);
    context.mask = kernel::for_kernel(during);
    context.vectors = 0; // the initial state, as the kernel gives it to a handler
    let within = |at: usize| (spot.frame + at) as u64;
    let registers = &mut context.registers;
    registers[register::RIP] = action.handler as u64;
    registers[register::RSP] = within(0);
    registers[register::RDI] = kernel::number(info) as u64;
    registers[register::RSI] = within(core::mem::offset_of!(SignalFrame, info));
    registers[register::RDX] = within(core::mem::offset_of!(SignalFrame, context));
    registers[register::RAX] = 0;
    registers[register::FLAGS] &= !(DIRECTION | TRAP | RESUME);
    Some(())
}

const TRAP: u64 = 0x100;
const DIRECTION: u64 = 0x400;
const RESUME: u64 = 0x1_0000;

/// Copies to the program's stack, whose pages are brought in and held meanwhile: a fault in the fault
/// handler would find SIGSEGV blocked.
///
/// # Safety
/// `from` must be readable, and `to` the program's to lose.
unsafe fn put_on_stack(engine: Option<&'static Engine>, to: usize, from: usize, len: usize) -> Option<()> {
    const PAGE: usize = 4096;
    let mut done = 0;
    while done < len {
        let at = to + done;
        let n = (PAGE - at % PAGE).min(len - done);
        let engine = engine.filter(|engine| engine.is_ours(at));
        let pinned = engine.map_or(n, |engine| engine.pin(at, n, Access::Write, true));
        // The kernel may make the stack grow. Another thread may close it at any moment.
        // SAFETY: the caller promises that `from` is readable and `to` the program's to lose.
        let copied = || unsafe { memory::copy_for_program(at, from + done, n).is_ok() };
        let written = pinned == n && kernel::can_write(at & !7) && copied();
        if let Some(engine) = engine {
            engine.unpin(at, pinned);
        }
        if !written {
            return None;
        }
        done += n;
    }
    Some(())
}

/// # Safety
/// As [`perform`].
unsafe fn call_in_place(action: &Action, info: &Info, context: &mut Ucontext) {
    let signal = kernel::number(info);
    // The kernel knows all that a thread has blocked which has not been taken over.
    let is_taken = thread::running().is_none_or(|thread| thread.signals().taken.get());
    let blocked = |set| if is_taken { kernel::for_kernel(set) } else { set };
    let _ = kernel::change_mask(libc::SIG_SETMASK, Some(blocked(during(action, signal, context.mask))));
    // SAFETY: the program's own handler; one that takes a single argument ignores the others.
    unsafe {
        let handler = core::mem::transmute::<usize, Handler>(action.handler);
        handler(signal, core::ptr::from_ref(info).cast_mut().cast(), core::ptr::from_mut(context).cast::<c_void>());
    }
    let _ = kernel::change_mask(libc::SIG_SETMASK, Some(SignalSet::ALL));
    context.mask = blocked(context.mask);
}

/// The handler has returned: what its frame says becomes true, as far as the kernel does
/// not see to it. Returns the context that the kernel may return to.
///
/// # Safety
/// `context` is in a frame of [`build`].
pub(super) unsafe extern "C" fn returning(context: *mut Ucontext) -> *mut Ucontext {
    let Some(thread) = thread::running() else {
        return context;
    };
    let state = thread.signals();
    let frame = context.wrapping_byte_sub(core::mem::offset_of!(SignalFrame, context)).cast::<SignalFrame>();
    // SAFETY: the caller promises that `context` lies in a frame of `build`, so `frame` is that frame.
    let (context, temporary) = unsafe { (&mut *context, (*frame).temporary) };
    state.temporary.set(temporary);
    let judge = |stack: &libc::stack_t| stack::judge(thread, stack);
    if let Ok(changed) = state.alternate.get().changed(&context.stack, core::ptr::from_ref(context) as usize, judge) {
        state.alternate.set(changed);
    }
    context.stack = kernel_stack(thread);
    masks::set_ours(state, context.mask.0);
    context.mask = kernel::for_kernel(context.mask);
    let engine = engine::get();
    if engine.is_some_and(|engine| engine.is_ours(core::ptr::from_ref(context) as usize) || engine.is_ours(context.vectors)) {
        // SAFETY: as above.
        return unsafe { depart(thread, context) };
    }
    context
}

/// The handler of a summons has returned, to `context` in the kernel's frame. Returns the context that the kernel may
/// return to: the frame lies where the program had its stack.
///
/// # Safety
/// `context` is in a frame of the kernel's, in a thread that was taken over.
pub(super) unsafe extern "C" fn returning_from_summons(context: *mut Ucontext) -> *mut Ucontext {
    let ours = |engine: &&Engine| engine.is_ours(context as usize);
    match thread::running().zip(engine::get().filter(ours)) {
        // SAFETY: a valid frame, as the caller promises.
        Some((thread, _)) => unsafe { depart(thread, &*context) },
        None => context,
    }
}

/// The kernel cannot read a frame whose pages are absent, so it gets a copy at the lower end of our
/// alternate stack. The pages come in while it is copied.
///
/// # Safety
/// A valid frame.
unsafe fn depart(thread: &Thread, context: &Ucontext) -> *mut Ucontext {
    const CONTEXT: usize = 64;
    // Nobody but the fault handler uses the stack from now on, and it starts at the upper end.
    let _ = kernel::change_mask(libc::SIG_SETMASK, Some(kernel::for_kernel(SignalSet::ALL)));
    let departure = thread.stack();
    let copy = (departure + CONTEXT) as *mut Ucontext;
    // SAFETY: the state lies where the frame says; ours has room for both, and is nobody else's.
    unsafe {
        copy.write(*context);
        let len = frame::vectors_len(context.vectors).min(room::of_this_processor().departure - room::VECTORS);
        if len > 0 {
            let to = departure + room::VECTORS;
            core::ptr::copy_nonoverlapping(context.vectors as *const u8, to as *mut u8, len);
            (*copy).vectors = to;
        }
    }
    copy
}
