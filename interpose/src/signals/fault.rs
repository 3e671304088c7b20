//! The fault handler, and what becomes of a signal of ours that is the program's after all: its
//! handler, or the death that it would have died.

use super::{actions, claims, deliver, halt, masks, trampolines};
use crate::shared::kernel::{self, Info, OURS};
use crate::shared::thread::{self, Thread};
use crate::shared::ucontext::{register, Ucontext};
use crate::shared::{engine, own_text};
use crate::statistics;
use crate::syscalls::memory;
use core::ffi::{c_int, c_void};
use vmcore::events::stats::Counter;
use vmcore::page::Access;
use vmcore::pager::Outcome;
use vmcore::sys::thread::SignalSet;

/// The `si_code` of a fault that has no address.
pub const SI_KERNEL: c_int = 0x80;

/// Takes SIGSEGV, with every signal blocked while the handler runs.
pub fn install() {
    // SAFETY: the handler only makes raw system calls and keeps to the engine's rules.
    let _ = unsafe { claims::claim(libc::SIGSEGV, on_fault) };
}

unsafe extern "C" fn on_fault(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    halt::stop_if_dying();
    // SAFETY: the kernel's own arguments, which nobody else refers to.
    let (info, context) = unsafe { (&*info.cast::<Info>(), &mut *context.cast::<Ucontext>()) };
    let address = info[2] as usize;
    if kernel::code(info) > 0 {
        if let Some(engine) = engine::get().filter(|engine| engine.is_ours(address)) {
            let access = if context.is_store() { Access::Write } else { Access::Read };
            match engine.fault(address, access, true) {
                Outcome::Resolved if !is_futile(address, context) => return,
                Outcome::Resolved => {}
                Outcome::Stray => {}
                // SAFETY: as this handler was called.
                Outcome::Lost => return unsafe { force(&kernel::info(libc::SIGBUS, libc::BUS_ADRERR, address), context, false) },
            }
        }
        if let Some(after) = memory::fixup(context.registers[register::RIP] as usize) {
            context.registers[register::RIP] = after as u64;
            return;
        }
    }
    // SAFETY: as this handler was called.
    unsafe { forward_words(info, context) };
}

/// So many equal faults in a row that found nothing to do are none that a page in memory cures: the program
/// has closed the page itself with mprotect, or executes data.
const MOST_EQUAL: u32 = 1000;
/// Faults that did something: the page may have left since, and be touched again in the same place.
const SERVED: [Counter; 4] = [Counter::FirstTouch, Counter::SwapIn, Counter::Reference, Counter::FirstWrite];

fn is_futile(address: usize, context: &Ucontext) -> bool {
    let Some(thread) = thread::running() else {
        return false;
    };
    let served = SERVED.iter().map(|counter| thread.counters.get(*counter)).sum();
    let fault = (address, context.registers[register::RIP], served);
    let (last, equal) = thread.signals().last_fault.get();
    let equal = if last == fault { equal + 1 } else { 0 };
    thread.signals().last_fault.set((fault, equal % MOST_EQUAL));
    equal >= MOST_EQUAL
}

/// A signal of ours that its handler cannot use goes to the program as the kernel would have
/// delivered it.
///
/// # Safety
/// Called at the end of a handler that was claimed ([`claims::claim`]), with
/// the handler's own arguments.
pub unsafe fn forward(info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: these are the arguments of a handler that is at its end, as the caller promises; the kernel made them,
    // and nobody else refers to them.
    unsafe { forward_words(&*info.cast::<Info>(), &mut *context.cast::<Ucontext>()) };
}

/// # Safety
/// As [`forward`].
unsafe fn forward_words(info: &Info, context: &mut Ucontext) {
    let signal = kernel::number(info);
    let code = kernel::code(info);
    if code > 0 {
        // The instruction can be repeated if it was the instruction that failed.
        let repeats = signal == libc::SIGSEGV && code != SI_KERNEL;
        // SAFETY: the handler with these arguments is at its end, as the caller promises.
        return unsafe { force(info, context, repeats) };
    }
    let thread = thread::running();
    let sp = context.registers[register::RSP] as usize;
    if let Some(thread) = thread.filter(|thread| deliver::is_own_stack(thread, sp)) {
        return put_off(thread, info, context);
    }
    if let Some(thread) = thread.filter(|_| *info == reminder()) {
        let now = SignalSet(!thread.signals().blocked.get());
        while let Some(kept) = masks::take_kept(thread.signals(), now) {
            // SAFETY: the handler with this context is at its end, as the caller promises.
            unsafe { forward_words(&kept, context) };
        }
        return;
    }
    let action = actions::meant(signal);
    let state = thread.map(|thread| thread.signals());
    if state.is_some_and(|state| masks::interrupted(state, context).has(signal)) {
        // Also one that is ignored: the action may change before it is let in.
        if let Some(state) = state {
            masks::keep(state, info);
        }
    } else if action.calls() {
        let action = actions::take(signal);
        // SAFETY: the handler returns to `context`, with every signal blocked, as the caller promises.
        unsafe { deliver::perform(&action, info, context) };
    } else if action.handler == libc::SIG_DFL {
        die(info, context, false);
    }
}

/// A signal that was sent has interrupted a handler of ours, which must come to its end first.
fn put_off(thread: &Thread, info: &Info, context: &mut Ucontext) {
    if context.mask.has(libc::SIGSYS) {
        // The system-call guard's, which needs SIGSEGV itself: SIGSYS comes right after it.
        masks::keep(thread.signals(), info);
        kernel::send_again(&reminder());
    } else {
        // The entry: it needs neither of our signals, and unblocks them when it returns.
        context.mask = SignalSet(context.mask.0 | OURS);
        kernel::send_again(info);
    }
}

/// A SIGSYS that says: there is a signal to deliver that was put off.
fn reminder() -> Info {
    let mut words = kernel::info(libc::SIGSYS, libc::SI_QUEUE, 0);
    words[3] = trampolines::entry() as u64;
    words
}

/// A signal that cannot be ignored or put off: the handler, else death.
///
/// # Safety
/// As [`forward`].
unsafe fn force(info: &Info, context: &mut Ucontext, repeats: bool) {
    let signal = kernel::number(info);
    let blocked = match thread::running() {
        Some(thread) => masks::interrupted(thread.signals(), context),
        None => context.mask,
    };
    if actions::meant(signal).calls() && !blocked.has(signal) {
        let action = actions::take(signal);
        // SAFETY: the handler returns to `context`, with every signal blocked, as the caller promises.
        unsafe { deliver::perform(&action, info, context) };
    } else {
        die(info, context, repeats);
    }
}

/// The default action: with the failing instruction repeated, or the signal sent once more, so that
/// the core shows what the program did and the parent sees of what it died.
pub fn die(info: &Info, context: &mut Ucontext, repeats: bool) {
    let signal = kernel::number(info);
    if !own_text::contains(context.registers[register::RIP] as usize) {
        // Not if it is our own failure: a lock may be held.
        statistics::finish();
    }
    if let Some(own) = thread::running().filter(|_| signal == libc::SIGSEGV) {
        halt::stop_others(own);
    }
    actions::reset(signal);
    context.mask = context.mask.without(signal);
    if !repeats {
        kernel::send_again(info);
    }
}

/// There is no room for the frame of `signal` where it belongs: SIGSEGV, as the kernel does it.
pub fn no_stack(signal: c_int, context: &mut Ucontext) {
    let info = kernel::info(libc::SIGSEGV, SI_KERNEL, 0);
    if signal == libc::SIGSEGV {
        die(&info, context, false);
    } else {
        // SAFETY: called by a handler with every signal blocked. A second failure ends above.
        unsafe { force(&info, context, false) };
    }
}
