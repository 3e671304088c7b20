//! Calls that are trapped whether the guard is armed or not: those that copy the process, so that the child gets its copy
//! of the heap at the very call. While nothing can be absent, the kernel has nothing of ours; then it gets for the length of
//! such a call what a trap needs, for the calling thread: the handler, the alternate stack, dispatch.

use super::gadget;
use crate::shared::guarded::{is_refused, ARMED};
use crate::shared::kernel::{self, for_kernel, Handler, OURS};
use crate::shared::thread::{self, Thread};
use crate::signals::{self, claims};
use core::ffi::c_int;
use core::mem::transmute;
use core::sync::atomic::{AtomicUsize, Ordering};
use vmcore::sys;
use vmcore::sys::thread::{set_signal_mask, SignalSet};

/// The handler of traps; 0 before there is one.
static HANDLER: AtomicUsize = AtomicUsize::new(0);

/// Traps come to that handler, which is fit to run at any moment.
pub fn handled_by(handler: Handler) {
    // Relaxed: stored at the start, by the process's only thread.
    HANDLER.store(handler as usize, Ordering::Relaxed);
}

/// The handler of traps.
pub fn handler() -> Option<Handler> {
    let handler = HANDLER.load(Ordering::Relaxed);
    // SAFETY: `handled_by` has stored a handler there.
    (handler != 0).then(|| unsafe { transmute::<usize, Handler>(handler) })
}

/// Whether the kernel can trap calls, and the library take them.
pub fn is_possible() -> bool {
    let is_trapped = thread::current().is_some_and(|thread| thread.guard().dispatched.load(Ordering::Relaxed));
    let off = [super::PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0, 0];
    // SAFETY: no pointers. Switches off what is off.
    gadget::has_trap_page() && (is_trapped || unsafe { sys::call(libc::SYS_prctl, off) == 0 })
}

/// The thread is guarded, and makes a call that must trap.
pub fn trap_from_now(thread: &'static Thread) {
    // A trap without our handler kills, and so does one while SIGSYS is blocked; the program may have done
    // either by a call of its own (Chromium's children, before they execute).
    claims::insist();
    if let Ok(old) = kernel::change_mask(libc::SIG_UNBLOCK, Some(SignalSet(OURS))) {
        if old.0 & OURS != 0 {
            thread.signals().blocked.set(thread.signals().blocked.get() | old.0 & OURS);
        }
    }
    thread.selector.store(1, Ordering::SeqCst);
}

/// As long as this lives, the running thread's calls are trapped: those that libc makes for a wrapper.
pub struct Trapping(Kind);

enum Kind {
    /// The guard is armed, or somebody further up has borrowed what a trap needs, or there are no traps here.
    Already,
    Borrowed(&'static Thread),
}

impl Trapping {
    /// From now on, whether the guard is armed or not.
    pub fn begin() -> Trapping {
        match thread::current() {
            Some(thread) if thread.guard().dispatched.load(Ordering::Relaxed) => {
                trap_from_now(thread);
                Trapping(Kind::Already)
            }
            Some(thread) if can_borrow(thread) && borrow(thread) => Trapping(Kind::Borrowed(thread)),
            _ => Trapping(Kind::Already),
        }
    }

    /// From now on, if a child made with these flags of clone(2) has to be guarded, or needs its copy.
    pub fn for_clone(flags: c_int) -> Trapping {
        if flags & libc::CLONE_VM != 0 {
            Trapping::if_armed()
        } else {
            Trapping::begin()
        }
    }

    /// From now on, if the guard is armed.
    pub fn if_armed() -> Trapping {
        if ARMED.load(Ordering::SeqCst) {
            Trapping::begin()
        } else {
            Trapping(Kind::Already)
        }
    }
}

impl Drop for Trapping {
    fn drop(&mut self) {
        if let Kind::Borrowed(thread) = self.0 {
            give_back(thread);
        }
    }
}

/// Whether nothing is the library's yet, in a thread that is no child in its parent's record.
fn can_borrow(thread: &Thread) -> bool {
    !ARMED.load(Ordering::SeqCst) && !is_refused() && !thread::is_borrowed(thread)
}

/// The kernel gets what a trap needs, for this thread; false if it refuses.
fn borrow(thread: &'static Thread) -> bool {
    let Some(handler) = handler().filter(|_| gadget::has_trap_page()) else {
        return false;
    };
    let mask = set_signal_mask(SignalSet::ALL);
    // SAFETY: the handler is fit to run at any moment, as `handled_by` asks.
    let claimed = unsafe { claims::borrow(handler).is_ok() };
    let done = claimed && super::dispatch_on(thread);
    if done {
        signals::borrow(thread, mask);
        thread.guard().dispatched.store(true, Ordering::SeqCst);
        thread.selector.store(1, Ordering::SeqCst);
    } else {
        super::refuse();
        if claimed {
            claims::give_back();
        }
    }
    set_signal_mask(if done { for_kernel(mask) } else { mask });
    done
}

/// The kernel has again what the program asked for, unless the guard has been armed meanwhile. Whoever arms it later
/// summons this thread, which comes when it lets signals in.
fn give_back(thread: &'static Thread) {
    let mask = set_signal_mask(for_kernel(SignalSet::ALL));
    let mut ours = SignalSet::EMPTY;
    if !ARMED.load(Ordering::SeqCst) {
        thread.selector.store(0, Ordering::SeqCst);
        thread.guard().dispatched.store(false, Ordering::SeqCst);
        // SAFETY: no pointers.
        unsafe { sys::call(libc::SYS_prctl, [super::PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0, 0]) };
        ours = signals::give_back(thread);
    }
    claims::give_back();
    set_signal_mask(SignalSet(mask.0 | ours.0));
}

/// Whether the running thread's calls are trapped now.
pub fn is_trapping() -> bool {
    // Relaxed: the thread's own calls.
    thread::current().is_some_and(|thread| thread.selector.load(Ordering::Relaxed) != 0)
}
