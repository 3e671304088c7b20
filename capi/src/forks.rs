//! fork: a child has none of what its parent set up.
//!
//! The frames and their table lie in a memory file that parent and child would share, so the child lets go
//! of all of it, without a look at it, before it can touch anything. It must find the lists of the doors whole,
//! whatever its parent's other threads were doing with them: so a fork holds them ([`Guarded`]).
//!
//! Doors stand below this file and say by themselves what a fork has to see to ([`Inherited`]): a list when it is held
//! for the first time.

use crate::faults;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::ptr::{from_ref, null_mut};
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// What a child has of its parent and must let go of.
pub trait Inherited: Sync {
    /// Keeps others from it until the fork is over.
    fn hold_for_fork(&'static self) {}

    /// The fork is over, in the parent.
    ///
    /// # Safety
    /// The calling thread has held it for the fork.
    unsafe fn release(&'static self) {}

    /// The fork is over, in the child, which has its parent's no more.
    ///
    /// # Safety
    /// The calling thread has held it for the fork, and is the child's only one.
    unsafe fn let_go(&'static self);
}

/// What the doors have said, held across a fork like the rest: so what was held before it is what is released after.
static INHERITED: Guarded<Vec<&'static dyn Inherited>> = Guarded::new(Vec::new(), |_| {});

/// From now on a fork sees to `what`. To be called outside of any lock.
pub fn see_to(what: &'static dyn Inherited) {
    let mut all = INHERITED.take();
    if !all.iter().any(|known| from_ref(*known).cast::<()>() == from_ref(what).cast()) {
        all.push(what);
    }
}

/// A value that a fork holds. Its holder has every signal blocked that a handler could fork in, and does
/// not touch memory of the program: that may call back, and the callback ask for the value.
pub struct Guarded<T: 'static> {
    value: Mutex<T>,
    /// What a child does with the value.
    let_go: fn(&mut T),
    /// A fork sees to it.
    seen_to: AtomicBool,
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

impl<T: Send> Guarded<T> {
    /// Nobody holds it; a child does `let_go` with what it inherits.
    pub const fn new(value: T, let_go: fn(&mut T)) -> Guarded<T> {
        Guarded { value: Mutex::new(value), let_go, seen_to: AtomicBool::new(false), fork: UnsafeCell::new(None) }
    }

    /// Waits for it.
    pub fn hold(&'static self) -> Held<'static, T> {
        // Relaxed: who says it twice is heard once.
        if !self.seen_to.load(Ordering::Relaxed) {
            see_to(self);
            self.seen_to.store(true, Ordering::Relaxed);
        }
        self.take()
    }

    fn take(&self) -> Held<'_, T> {
        let signals = Signals::block();
        Held { value: self.value.lock().unwrap_or_else(PoisonError::into_inner), _signals: signals }
    }

    /// The hold of the fork that is over.
    ///
    /// # Safety
    /// The caller is the thread that forked, or its child.
    unsafe fn forked(&'static self) -> Option<Held<'static, T>> {
        // SAFETY: the caller forked, as it promises, so it holds the value, and with it the cell.
        unsafe { (*self.fork.get()).take() }
    }
}

impl<T: Send> Inherited for Guarded<T> {
    fn hold_for_fork(&'static self) {
        let held = self.take();
        // SAFETY: we hold it.
        unsafe { *self.fork.get() = Some(held) };
    }

    unsafe fn release(&'static self) {
        // SAFETY: this thread has held it for the fork, as the caller promises.
        drop(unsafe { self.forked() });
    }

    unsafe fn let_go(&'static self) {
        // SAFETY: as in `release`.
        unsafe { self.forked() }.into_iter().for_each(|mut held| (self.let_go)(&mut held));
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
    INHERITED.hold_for_fork();
    // SAFETY: we have just put it there, and hold it.
    unsafe { (*INHERITED.fork.get()).iter() }.flat_map(|all| all.iter()).for_each(|one| one.hold_for_fork());
}

unsafe extern "C" fn in_parent() {
    // SAFETY: this thread has forked, and held all that is in the list. In the other order than before: the signals as
    // they were come last.
    unsafe { INHERITED.forked() }.into_iter().for_each(|all| all.iter().rev().for_each(|one| unsafe { one.release() }));
}

unsafe extern "C" fn in_child() {
    // SAFETY: a child has one thread, which is here; it is the one that forked, and held all that is in the list.
    unsafe {
        faults::forget_all();
        INHERITED.forked().into_iter().for_each(|all| all.iter().rev().for_each(|one| one.let_go()));
    }
}
