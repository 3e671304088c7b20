//! fork: a child has none of what its parent set up.
//!
//! The frames and their table lie in a memory file that parent and child would share, so the child lets go
//! of all of it, without a look at it, before it can touch anything. It must find the lists of the doors whole,
//! whatever its parent's other threads were doing with them: so a fork holds them ([`Guarded`]).

use crate::{faults, mm, paged_region, vmap};
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// A value that a fork holds. Its holder has every signal blocked that a handler could fork in, and does
/// not touch memory of the program: that may call back, and the callback ask for the value.
pub struct Guarded<T: 'static> {
    value: Mutex<T>,
    /// The fork's hold. Who puts it there has the value, and so has who takes it.
    fork: UnsafeCell<Option<Held<'static, T>>>,
}

// SAFETY: the mutex lets one thread at a time have the value, and only that thread uses the cell.
unsafe impl<T: Send> Sync for Guarded<T> {}

/// The right to use the value. The fields are dropped in this order.
pub struct Held<'a, T> {
    value: MutexGuard<'a, T>,
    _signals: Signals,
}

impl<T> Guarded<T> {
    /// Nobody holds it.
    pub const fn new(value: T) -> Guarded<T> {
        Guarded { value: Mutex::new(value), fork: UnsafeCell::new(None) }
    }

    /// Waits for it.
    pub fn hold(&self) -> Held<'_, T> {
        let signals = Signals::block();
        Held { value: self.value.lock().unwrap_or_else(PoisonError::into_inner), _signals: signals }
    }

    /// Holds it while the process forks.
    pub fn hold_for_fork(&'static self) {
        let held = self.hold();
        // SAFETY: we hold it.
        unsafe { *self.fork.get() = Some(held) };
    }

    /// The hold of the fork that is over.
    ///
    /// # Safety
    /// The caller is the thread that forked, or its child.
    pub unsafe fn forked(&'static self) -> Option<Held<'static, T>> {
        // SAFETY: the caller is the thread that forked, or its child, and so the one whose `hold_for_fork` holds the value:
        // nobody else looks at the cell.
        unsafe { (*self.fork.get()).take() }
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// The signals that were blocked before; all but those of faults are, until this is dropped.
struct Signals(libc::sigset_t);

impl Signals {
    fn block() -> Signals {
        // By the C library's call, because libvmalloc.so keeps its own account of what the program blocks.
        // SAFETY: sets of signals on our stack, filled by sigfillset and the call.
        unsafe {
            let (mut quiet, mut before) = (core::mem::zeroed(), core::mem::zeroed());
            libc::sigfillset(&mut quiet);
            [libc::SIGSEGV, libc::SIGBUS, libc::SIGSYS].iter().for_each(|signal| _ = libc::sigdelset(&mut quiet, *signal));
            libc::pthread_sigmask(libc::SIG_BLOCK, &quiet, &mut before);
            Signals(before)
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // SAFETY: what `block` found.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, null_mut()) };
    }
}

static ARRANGED: Once = Once::new();

/// From now on children let go of everything.
pub fn arrange() {
    // SAFETY: the handlers live as long as the library, which registers nothing that could go before.
    ARRANGED.call_once(|| unsafe {
        libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child));
    });
}

unsafe extern "C" fn before() {
    mm::MANAGED.hold_for_fork();
    paged_region::REGIONS.hold_for_fork();
}

unsafe extern "C" fn in_parent() {
    // SAFETY: this thread has forked. The signals as they were before come last.
    unsafe {
        drop(paged_region::REGIONS.forked());
        drop(mm::MANAGED.forked());
    }
}

unsafe extern "C" fn in_child() {
    // SAFETY: a child has one thread, which is here; it is the one that forked.
    unsafe {
        faults::forget_all();
        vmap::let_go();
        paged_region::REGIONS.forked().into_iter().for_each(|mut regions| paged_region::let_go(&mut regions));
        mm::MANAGED.forked().into_iter().for_each(|mut managed| mm::let_go(&mut managed));
    }
}
