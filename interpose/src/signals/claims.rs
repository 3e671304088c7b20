//! The signals that this library has claimed: their handlers are ours, and what the program wants of them is only
//! remembered. Whoever claims a signal says here with which handler, so that it can be put back when the program
//! has replaced it by a system call of its own, which nobody saw.

use super::{actions, ready, trampolines};
use crate::shared::kernel::{self, Action, Handler, ONSTACK, RESTART, RESTORER, SIGINFO, SUMMONS};
use crate::shared::thread;
use core::ffi::c_int;
use core::mem::transmute;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use vmcore::sync::Lock;
use vmcore::sys::thread::SignalSet;
use vmcore::sys::Result;

/// A claim: its signal, the handler (0 for none), whether it is put back, and what is blocked while it runs.
struct Claim {
    signal: c_int,
    handler: AtomicUsize,
    stays: AtomicBool,
    mask: SignalSet,
}

impl Claim {
    const fn new(signal: c_int, mask: SignalSet) -> Claim {
        Claim { signal, handler: AtomicUsize::new(0), stays: AtomicBool::new(false), mask }
    }
}

// Faults may happen in the handler of SIGSYS, which touches program memory.
static CLAIMS: [Claim; 3] = [
    Claim::new(SUMMONS, SignalSet::ALL),
    Claim::new(libc::SIGSEGV, SignalSet::ALL),
    Claim::new(libc::SIGSYS, SignalSet::ALL.without(libc::SIGSEGV)),
];

/// How many threads have claimed SIGSYS for the length of a call, while no page can be absent.
static BORROWERS: Lock<u32> = Lock::new(0);

/// Claims `signal`, which is one of [`kernel::OURS`], or [`SUMMONS`]: its handler is ours from now on, on the alternate stack. What the
/// handler cannot use it hands to [`super::fault::forward`].
///
/// # Safety
/// The handler must be fit to run at any moment: it makes raw system calls only, and takes no lock that its
/// thread may hold.
pub unsafe fn claim(signal: c_int, handler: Handler) -> Result<()> {
    let Some(claim) = CLAIMS.iter().find(|claim| claim.signal == signal) else {
        return Ok(());
    };
    // Relaxed: who asks needs no other order. First, so that our handler in the kernel is never taken for the program's.
    claim.handler.store(handler as usize, Ordering::Relaxed);
    // SAFETY: the handler is fit to run at any moment, as the caller promises.
    unsafe { install(claim, handler)? };
    claim.stays.store(true, Ordering::Relaxed);
    Ok(())
}

/// Claims SIGSYS until as many have called [`give_back`]. Every signal must be blocked.
///
/// # Safety
/// As [`claim`].
pub unsafe fn borrow(handler: Handler) -> Result<()> {
    let mut borrowers = BORROWERS.hold();
    if *borrowers == 0 {
        // SAFETY: the handler is fit to run at any moment, as the caller promises.
        unsafe { claim(libc::SIGSYS, handler)? };
    }
    *borrowers += 1;
    Ok(())
}

/// SIGSYS is the program's again when the last borrower is done, unless it is ours for good meanwhile.
pub fn give_back() {
    let mut borrowers = BORROWERS.hold();
    *borrowers -= 1;
    if *borrowers == 0 && !ready() {
        renounce(libc::SIGSYS);
        actions::restore(libc::SIGSYS);
    }
}

/// In a child process: its only thread is a borrower, or not.
pub fn survive_fork(borrows: bool) {
    // SAFETY: the child's only thread, which holds no lock.
    unsafe { BORROWERS.reset() };
    *BORROWERS.hold() = u32::from(borrows);
}

/// The handler that a signal was claimed with.
pub fn handler(signal: c_int) -> Option<usize> {
    let handler = CLAIMS.iter().find(|claim| claim.signal == signal)?.handler.load(Ordering::Relaxed);
    Some(handler).filter(|handler| *handler != 0)
}

/// The handler of `signal` is not put back any more: what it served does not work here.
pub fn renounce(signal: c_int) {
    CLAIMS.iter().filter(|claim| claim.signal == signal).for_each(|claim| claim.stays.store(false, Ordering::Relaxed));
}

/// Puts our handlers back where the program has replaced them behind our back; what it wished is remembered.
pub fn insist() {
    for claim in CLAIMS.iter().filter(|claim| claim.stays.load(Ordering::Relaxed)) {
        let address = claim.handler.load(Ordering::Relaxed);
        if kernel::action(claim.signal).is_ok_and(|now| now.handler != address) {
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
        restorer: if claim.signal == SUMMONS { trampolines::summons_return() } else { trampolines::restorer() },
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
