//! The signals that this library has claimed: their handlers are ours, and what the program wants of them is only
//! remembered. Whoever claims a signal says here with which handler, so that it can be put back when the program
//! has replaced it by a system call of its own, which nobody saw.

use super::{actions, ready, trampolines};
use crate::shared::kernel::{self, Action, Handler, ONSTACK, RESTART, RESTORER, SIGINFO};
use crate::shared::thread;
use core::ffi::c_int;
use core::mem::transmute;
use core::sync::atomic::{AtomicUsize, Ordering};
use vmcore::sys::thread::SignalSet;
use vmcore::sys::Result;

/// A claim: its signal, the handler (0 for none), and what is blocked while that runs.
struct Claim {
    signal: c_int,
    handler: AtomicUsize,
    mask: SignalSet,
}

// Faults may happen in the handler of SIGSYS, which touches program memory.
static CLAIMS: [Claim; 2] = [
    Claim { signal: libc::SIGSEGV, handler: AtomicUsize::new(0), mask: SignalSet::ALL },
    Claim { signal: libc::SIGSYS, handler: AtomicUsize::new(0), mask: SignalSet::ALL.without(libc::SIGSEGV) },
];

/// Claims `signal`, which is one of [`kernel::OURS`]: its handler is ours from now on, on the alternate stack. What the
/// handler cannot use it hands to [`super::fault::forward`].
///
/// # Safety
/// The handler must be fit to run at any moment: it makes raw system calls only, and takes no lock that its
/// thread may hold.
pub unsafe fn claim(signal: c_int, handler: Handler) -> Result<()> {
    let Some(claim) = CLAIMS.iter().find(|claim| claim.signal == signal) else {
        return Ok(());
    };
    // SAFETY: the handler is fit to run at any moment, as the caller promises.
    unsafe { install(claim, handler)? };
    // Relaxed: this happens at the start, and who claims needs no other order.
    claim.handler.store(handler as usize, Ordering::Relaxed);
    Ok(())
}

/// The handler of `signal` is not put back any more: what it served does not work here.
pub fn renounce(signal: c_int) {
    CLAIMS.iter().filter(|claim| claim.signal == signal).for_each(|claim| claim.handler.store(0, Ordering::Relaxed));
}

/// Puts our handlers back where the program has replaced them behind our back; what it wished is remembered.
pub fn insist() {
    for claim in &CLAIMS {
        let address = claim.handler.load(Ordering::Relaxed);
        if address != 0 && kernel::action(claim.signal).is_ok_and(|now| now.handler != address) {
            // SAFETY: `claim` stored a handler there, which is fit to run at any moment.
            let _ = unsafe { install(claim, transmute::<usize, Handler>(address)) };
        }
    }
}

/// # Safety
/// As [`claim`].
unsafe fn install(claim: &Claim, handler: Handler) -> Result<()> {
    let action = Action {
        handler: handler as usize,
        flags: SIGINFO | ONSTACK | RESTART | RESTORER,
        restorer: trampolines::restorer(),
        mask: claim.mask,
    };
    // SAFETY: the handler is fit to run at any moment, as the caller promises.
    let old = unsafe { kernel::set_action(claim.signal, Some(&action))? };
    // A guest's actions are its own; the records are not.
    if old.handler != action.handler && !(ready() && thread::is_guest()) {
        actions::remember(claim.signal, &old);
    }
    Ok(())
}
