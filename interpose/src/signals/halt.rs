//! Before the process dies of SIGSEGV, its other threads stop.
//!
//! The kernel kills where it finds no handler, and then a page fault of any other thread would kill as
//! well, and be what the core shows. So the dying thread sends the others SIGSYS, and takes the handler
//! away when they stay in a handler of ours for ever. A child that shares our memory neither stops nor
//! stops anybody.

use crate::shared::thread::{self, Thread};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use vmcore::sys::{call, thread as sys};

static DYING: AtomicBool = AtomicBool::new(false);
static STOPPED: AtomicU32 = AtomicU32::new(0);
/// Looks, with a pause of a millisecond between them, for threads that have not stopped: one in a call that
/// no signal ends cannot fault either, and stops when it ends.
const PATIENCE: u32 = 100;

/// Stops every thread but `own`. If another is dying already, it stops this one.
pub fn stop_others(own: &Thread) {
    if thread::is_guest() || !super::actions::is_claimed(libc::SIGSYS) {
        return;
    }
    // AcqRel: pairs with `stop_if_dying`, and with itself in another thread.
    if DYING.swap(true, Ordering::AcqRel) {
        stop();
    }
    let others = thread::all().filter(|other| !core::ptr::eq(own, *other));
    let asked = others.filter(|other| ask(other.tid.load(Ordering::Relaxed))).count();
    for _ in 0..PATIENCE {
        // Acquire: pairs with `stop`.
        if STOPPED.load(Ordering::Acquire) as usize >= asked {
            break;
        }
        sys::nap();
    }
}

fn ask(tid: u32) -> bool {
    let args = [thread::process() as usize, tid as usize, libc::SIGSYS as usize, 0, 0, 0];
    // SAFETY: no pointers; our handler is in place.
    unsafe { call(libc::SYS_tgkill, args) == 0 }
}

/// Called first by the handlers of our signals.
#[inline]
pub fn stop_if_dying() {
    // Acquire: pairs with `stop_others`.
    if DYING.load(Ordering::Acquire) && !thread::is_guest() {
        stop();
    }
}

fn stop() -> ! {
    // Release: pairs with `stop_others`.
    STOPPED.fetch_add(1, Ordering::Release);
    loop {
        // SAFETY: no arguments.
        unsafe { call(libc::SYS_pause, [0; 6]) };
    }
}

/// In a child process: nobody in it is dying.
pub fn survive_fork() {
    DYING.store(false, Ordering::Relaxed);
    STOPPED.store(0, Ordering::Relaxed);
}
