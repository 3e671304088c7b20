//! fork: the child is alone at first, without an arena, and the connection stays its parent's.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};
use vmcore::sync::Guard;

use super::dialogue::{State, STATE};
use super::tlb::Tlb;
use super::SETTLED;
use crate::forks;

/// Holds the lock across the fork, so that no thread that the child does not have holds it there.
struct Forking(UnsafeCell<Option<Guard<'static, State>>>);

// SAFETY: used between the handlers of one fork only, and libc lets one fork at a time run them.
unsafe impl Sync for Forking {}

static FORKING: Forking = Forking(UnsafeCell::new(None));
static PREPARED: AtomicBool = AtomicBool::new(false);

/// Has forks of this process go by our handlers, once. Outside of any lock: libc allocates.
pub fn prepare() {
    // Whose faults are taken is forgotten in a child, ours like the others'.
    forks::arrange();
    // Relaxed: nothing is published by it.
    if !PREPARED.swap(true, Ordering::Relaxed) {
        // SAFETY: three functions that live for ever.
        unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
    }
}

unsafe extern "C" fn before() {
    // SAFETY: see `Forking`.
    unsafe { *FORKING.0.get() = Some(STATE.hold()) };
}

fn take() -> Option<Guard<'static, State>> {
    // SAFETY: see `Forking`.
    unsafe { (*FORKING.0.get()).take() }
}

unsafe extern "C" fn after_in_parent() {
    drop(take());
}

unsafe extern "C" fn after_in_child() {
    let Some(mut state) = take() else {
        return;
    };
    // The parent's end is noticed when its last descriptor is closed: the child must not have one.
    match *state {
        State::Running(connection, tlb) | State::Waiting(connection, Some(tlb)) => {
            connection.close();
            tlb.close();
        }
        State::Waiting(connection, None) => connection.close(),
        State::Alone | State::Orphaned => {}
    }
    *state = State::Alone;
    // SAFETY: a child has one thread, which is here.
    unsafe { SETTLED.reset() };
    let mut settled = SETTLED.hold();
    if *settled {
        Tlb::release();
        *settled = false;
    }
}
