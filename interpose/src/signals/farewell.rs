//! Deaths by a signal whose default action ends the process: statistics and trace are written first, if
//! they were asked for.
//!
//! The kernel then has [`entry`] where the program has SIG_DFL; `actions` tells the program SIG_DFL. An exec
//! resets handlers to the default action, so an executed program finds what it would find natively.

use super::{actions, fault, trampolines};
use crate::shared::kernel::{self, Action, Info};
use crate::shared::ucontext::Ucontext;
use crate::statistics;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, Ordering};
use vmcore::sys::thread::SignalSet;

/// What kills by default, but for what cannot be handled. Of these, SIGSEGV and SIGSYS are served by our own handlers once
/// pages may be absent.
const DEADLY: [c_int; 21] = [
    libc::SIGSEGV,
    libc::SIGSYS,
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGPIPE,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGSTKFLT,
    libc::SIGXCPU,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
];
/// Those among them that an instruction raises.
const FAULTS: [c_int; 6] = [libc::SIGILL, libc::SIGTRAP, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];

static WANTED: AtomicBool = AtomicBool::new(false);

/// From now on something is to be written. Once, at process start, when the first thread is known.
pub fn begin() {
    WANTED.store(true, Ordering::Relaxed);
    for signal in DEADLY {
        let default = |now: &Action| now.handler == libc::SIG_DFL;
        if let Some(now) = kernel::action(signal).ok().filter(default) {
            let _ = actions::change(signal, Some(&now));
        }
    }
}

/// Whether a handler of ours stands where the program has SIG_DFL.
pub fn is_wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// The handler that stands for SIG_DFL.
pub fn entry() -> usize {
    on_death as *const () as usize
}

/// What the kernel gets where the program wants `action`, which is SIG_DFL.
pub fn in_place_of(signal: c_int, action: &Action) -> Action {
    if !is_wanted() || !DEADLY.contains(&signal) {
        return *action;
    }
    let flags = kernel::SIGINFO | kernel::ONSTACK | kernel::RESTART | kernel::RESTORER;
    Action { handler: entry(), flags, restorer: trampolines::restorer(), mask: SignalSet::ALL }
}

unsafe extern "C" fn on_death(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's own arguments, which nobody else refers to.
    let (info, context) = unsafe { (&*info.cast::<Info>(), &mut *context.cast::<Ucontext>()) };
    if kernel::code(info) <= 0 || !FAULTS.contains(&signal) {
        // It came from outside. Whatever it interrupted holds no lock of ours: those block every signal.
        statistics::finish();
    }
    // The instruction can be repeated if it was the instruction that failed.
    let repeats = signal == libc::SIGSEGV && kernel::code(info) > 0 && kernel::code(info) != fault::SI_KERNEL;
    fault::die(info, context, repeats);
}
