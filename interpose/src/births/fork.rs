//! fork with a copy of the heap for the child.
//!
//! libc touches the heap between a fork's system call and the handlers of pthread_atfork (it resets the
//! locks of all streams), so the copy must be the child's from the call itself. The wrappers have
//! libc's calls trapped meanwhile: the trap of `clone` makes the copy (`clone.rs`). Handlers of pthread_atfork make the
//! copy for what libc forks without a wrapper of ours, and where there is no dispatch.

use crate::guard::{self, trapping};
use crate::shared::{ends, engine, thread};
use crate::{signals, statistics};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};
use vmcore::engine::Engine;
use vmcore::fork::Snapshot;
use vmcore::region::Region;
use vmcore::report::say;
use vmcore::sync::Lock;
use vmcore::sys::thread::{set_signal_mask, Quiet, SignalSet};
use vmcore::sys::Errno;

fn region_of(own: Option<&'static thread::Thread>) -> Option<&'static Region> {
    own?.own_region()
}

/// Held from before a fork until after it.
static ONE_FORK: Lock<()> = Lock::new(());

/// A process about to fork, with every signal blocked.
struct Forking {
    snapshot: Result<Snapshot, Errno>,
    own: Option<&'static thread::Thread>,
    signals: SignalSet,
}

impl Forking {
    fn begin(engine: &'static Engine) -> Forking {
        let signals = set_signal_mask(SignalSet::ALL);
        core::mem::forget(ONE_FORK.hold_in(&Quiet::already()));
        let own = thread::running();
        let snapshot = engine.snapshot(region_of(own));
        if let Err(error) = &snapshot {
            complain(*error);
        }
        Forking { snapshot, own, signals }
    }

    fn parent(self) {
        if let Ok(snapshot) = self.snapshot {
            snapshot.parent();
        }
        // SAFETY: taken in `begin` by this thread.
        unsafe { ONE_FORK.release() };
        set_signal_mask(self.signals);
    }

    fn child(self, engine: &'static Engine) {
        // SAFETY: nobody else exists.
        unsafe { ONE_FORK.release() };
        // SAFETY: the child's only thread, which took the snapshot.
        let moved = self.snapshot.and_then(|snapshot| unsafe { snapshot.child(region_of(self.own)) });
        if moved.is_err() {
            // Without a heap of its own the child must not touch anything.
            ends::exit(127);
        }
        survive(engine, self.own);
        set_signal_mask(self.signals);
    }
}

/// Says why a fork failed: the first time, and then ever more seldom. Some programs try until it works.
fn complain(error: Errno) {
    static FAILURES: AtomicU32 = AtomicU32::new(0);
    // Relaxed: it only counts.
    let failures = FAILURES.fetch_add(1, Ordering::Relaxed) + 1;
    if failures.is_power_of_two() {
        say(format_args!("fork: no room for the child's copy of the heap (error {}, failure {failures})", error.0));
    }
}

/// Makes a child by `fork` and sees to it that it has a heap of its own; what `fork` returned, or
/// -ENOMEM if there is no room for the copy. Called on a stack that is no block.
pub fn with_copy(fork: impl FnOnce() -> isize) -> isize {
    let Some(engine) = engine::get() else {
        return fork();
    };
    let forking = Forking::begin(engine);
    if forking.snapshot.is_err() {
        forking.parent();
        return -(libc::ENOMEM as isize);
    }
    let child = fork();
    if child == 0 {
        forking.child(engine);
    } else {
        forking.parent();
    }
    child
}

/// In the child: only the thread of `own` is left of all.
fn survive(engine: &'static Engine, own: Option<&'static thread::Thread>) {
    // The blocks of the other threads are here, so what they counted is as well.
    for lost in thread::all().filter(|record| !own.is_some_and(|own| core::ptr::eq(own, *record))) {
        engine.events().counters.absorb(&lost.counters);
    }
    // SAFETY: the child's only thread.
    unsafe { thread::survive_fork(own) };
    engine.set_threads(1);
    signals::survive_fork();
    guard::survive_fork(own);
    statistics::survive_fork();
}

/// Between the handlers around a fork that no wrapper of ours has seen.
struct Unseen(UnsafeCell<Option<Forking>>);

// SAFETY: used by the thread that holds ONE_FORK.
unsafe impl Sync for Unseen {}

static UNSEEN: Unseen = Unseen(UnsafeCell::new(None));

/// Registers the handlers around fork. They are the first to be registered, so they run last before
/// the fork and first after it: the program's own handlers may allocate.
pub fn arrange() {
    // SAFETY: the handlers live as long as the process.
    unsafe { libc::pthread_atfork(Some(before_fork), Some(after_in_parent), Some(after_in_child)) };
}

unsafe extern "C" fn before_fork() {
    if let Some(engine) = engine::get().filter(|_| !trapping::is_trapping()) {
        let forking = Forking::begin(engine);
        // SAFETY: we hold the lock.
        unsafe { *UNSEEN.0.get() = Some(forking) };
    }
}

unsafe extern "C" fn after_in_parent() {
    if !trapping::is_trapping() {
        // SAFETY: the thread that forked, between its handlers.
        if let Some(forking) = unsafe { (*UNSEEN.0.get()).take() } {
            forking.parent();
        }
    }
}

unsafe extern "C" fn after_in_child() {
    // SAFETY: as above, in the child; nothing is there if the trap has made the copy.
    if let Some((engine, forking)) = engine::get().zip(unsafe { (*UNSEEN.0.get()).take() }) {
        forking.child(engine);
    }
}
