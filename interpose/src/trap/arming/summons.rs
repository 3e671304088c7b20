//! The handler to which every thread comes when the guard is armed. It runs where the program's handlers would: on the
//! alternate stack that the program has set, or on the thread's own. No page is absent before the thread is guarded.
//!
//! A call that the signal has cut short is made again, by the same instruction, which now traps. The kernel does so by
//! itself, but for calls that it ends with EINTR whatever a handler asks for; which of them it was says what the
//! arming thread has seen.

use crate::guard::{direct, take_over};
use crate::shared::kernel::{self, SUMMONS};
use crate::shared::thread::{self, Thread};
use crate::shared::ucontext::Ucontext;
use crate::signals::{actions, claims, fault};
use core::ffi::{c_int, c_long, c_void};
use core::sync::atomic::Ordering;
use vmcore::sys;
use vmcore::sys::thread::SignalSet;

/// Installs the handler.
pub fn install() {
    // SAFETY: the handler makes raw calls only and takes no lock that its thread may hold.
    let _ = unsafe { claims::claim(SUMMONS, on_summons) };
}

unsafe extern "C" fn on_summons(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's record of what the signal interrupted, which nobody else refers to.
    let interrupted = unsafe { &mut *context.cast::<Ucontext>() };
    // Acquire: pairs with `summon`, after which the call is here in which the thread was seen.
    let is_summoned =
        |thread: &&Thread| thread.guard().summoned.load(Ordering::Acquire) && !thread.guard().guarded.load(Ordering::Relaxed);
    let Some(thread) = thread::running().filter(is_summoned) else {
        // It may have been summoned by two others, or be cancelled.
        if actions::meant(SUMMONS).calls() {
            // SAFETY: the handler's own arguments, at its end.
            unsafe { fault::forward(info, context) };
        }
        return;
    };
    // One that nobody told us of finds its record in its own thread-local storage from now on.
    if thread::current().is_none() {
        thread::begin(thread, true);
    }
    let seen = thread.guard().seen.take();
    take_over(thread, interrupted);
    make_again(interrupted, &seen);
    direct::restart(interrupted);
}

/// If the call in which the thread was seen has been cut short, it is made again.
fn make_again(context: &mut Ucontext, seen: &[usize; 9]) {
    const SYSCALL: usize = 2;
    let [number, a, b, c, d, e, f, stack, counter] = *seen;
    let is_same = context.rip() == counter && context.rsp() == stack && context.args() == [a, b, c, d, e, f];
    if !context.interrupted_call() || !is_same {
        return;
    }
    match number as c_long {
        // What is left of a sleep only the kernel knows, until this handler returns.
        libc::SYS_nanosleep => sleep_on(context),
        libc::SYS_clock_nanosleep if b & libc::TIMER_ABSTIME as usize == 0 => sleep_on(context),
        _ => {
            context.set_rip(counter - SYSCALL);
            context.set_rax(number);
        }
    }
}

/// The interrupted sleep goes on under the program's mask, and ends as it would have.
fn sleep_on(context: &mut Ucontext) {
    let _ = kernel::change_mask(libc::SIG_SETMASK, Some(context.mask));
    // SAFETY: the thread's own call, whose memory the kernel has read; what it may write, the rest of the time, is a
    // word that fails with EFAULT at worst.
    let result = unsafe { sys::call(libc::SYS_restart_syscall, [0; 6]) };
    let _ = kernel::change_mask(libc::SIG_SETMASK, Some(kernel::for_kernel(SignalSet::ALL)));
    context.set_rax(result as usize);
}
