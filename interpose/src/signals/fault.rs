//! The fault handler, and what becomes of a signal of ours that is the program's after all: its
//! handler, or the death that it would have died.

use super::frame::Context;
use super::kernel::{self, Info};
use super::{actions, deliver, masks};
use crate::{engine, thread};
use core::ffi::{c_int, c_void};
use vmcore::pager::Outcome;
use vmcore::sys::thread::SignalSet;
use vmcore::trace::Access;

const SI_KERNEL: c_int = 0x80;

/// Takes SIGSEGV, with every signal blocked while the handler runs.
pub fn install() {
    // SAFETY: the handler only makes raw system calls and keeps to the engine's rules.
    let _ = unsafe { kernel::install(libc::SIGSEGV, on_fault, SignalSet::ALL) };
}

unsafe extern "C" fn on_fault(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's own arguments, which nobody else refers to.
    let (info, context) = unsafe { (&*info.cast::<Info>(), &mut *context.cast::<Context>()) };
    let address = info[2] as usize;
    if kernel::code(info) > 0 {
        if let Some(engine) = engine::get().filter(|engine| engine.is_ours(address)) {
            let access = if context.is_store() { Access::Write } else { Access::Read };
            match engine.fault(address, access, true) {
                Outcome::Resolved => return,
                Outcome::Stray => {}
                // SAFETY: as this handler was called.
                Outcome::Lost => return unsafe { force(&kernel::info(libc::SIGBUS, libc::BUS_ADRERR, address), context, false) },
            }
        }
    }
    // SAFETY: as this handler was called.
    unsafe { forward_words(info, context) };
}

/// A signal of ours that its handler cannot use goes to the program as the kernel would have
/// delivered it.
///
/// # Safety
/// Called at the end of a handler that [`kernel::install`] installed with every signal blocked, with
/// the handler's own arguments.
pub unsafe fn forward(info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { forward_words(&*info.cast::<Info>(), &mut *context.cast::<Context>()) };
}

/// # Safety
/// As [`forward`].
unsafe fn forward_words(info: &Info, context: &mut Context) {
    let signal = kernel::number(info);
    let code = kernel::code(info);
    if code > 0 {
        // The instruction can be repeated if it was the instruction that failed.
        let repeats = signal == libc::SIGSEGV && code != SI_KERNEL;
        // SAFETY: the caller's promise.
        return unsafe { force(info, context, repeats) };
    }
    let action = actions::meant(signal);
    let state = thread::current().map(|thread| &thread.signals);
    if state.is_some_and(|state| masks::interrupted(state, context).has(signal)) {
        if let Some(state) = state.filter(|_| action.handler != libc::SIG_IGN) {
            masks::keep(state, info);
        }
    } else if action.calls() {
        let action = actions::take(signal);
        // SAFETY: the caller's promise.
        unsafe { deliver::perform(&action, info, context) };
    } else if action.handler == libc::SIG_DFL {
        die(info, context, false);
    }
}

/// A signal that cannot be ignored or put off: the handler, else death.
///
/// # Safety
/// As [`forward`].
unsafe fn force(info: &Info, context: &mut Context, repeats: bool) {
    let signal = kernel::number(info);
    let blocked = match thread::current() {
        Some(thread) => masks::interrupted(&thread.signals, context),
        None => context.mask,
    };
    if actions::meant(signal).calls() && !blocked.has(signal) {
        let action = actions::take(signal);
        // SAFETY: the caller's promise.
        unsafe { deliver::perform(&action, info, context) };
    } else {
        die(info, context, repeats);
    }
}

/// The default action: with the failing instruction repeated, or the signal sent once more, so that
/// the core shows what the program did and the parent sees of what it died.
fn die(info: &Info, context: &mut Context, repeats: bool) {
    let signal = kernel::number(info);
    actions::reset(signal);
    context.mask = context.mask.without(signal);
    if !repeats {
        kernel::send_again(info);
    }
}

/// There is no room for the frame of `signal` where it belongs: SIGSEGV, as the kernel does it.
pub fn no_stack(signal: c_int, context: &mut Context) {
    let info = kernel::info(libc::SIGSEGV, SI_KERNEL, 0);
    if signal == libc::SIGSEGV {
        die(&info, context, false);
    } else {
        // SAFETY: called by a handler with every signal blocked. A second failure ends above.
        unsafe { force(&info, context, false) };
    }
}
