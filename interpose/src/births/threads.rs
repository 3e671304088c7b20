//! Threads: they enter at their first request, and a thread-specific destructor tells when one has ended.

use crate::shared::{aside, engine, gauges, thread};
use crate::{guard, signals};
use core::ffi::c_void;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicU32, Ordering};
use once_cell::race::OnceNonZeroUsize;
use vmcore::sys::thread as sys;

/// Destructors run in this many rounds (PTHREAD_DESTRUCTOR_ITERATIONS); ours works in the last, when
/// the program's own have freed what they wanted to free.
const ROUNDS: u32 = 4;

/// The running thread enters, if it has not yet; its record.
pub fn enter() -> Option<&'static thread::Thread> {
    if let Some(known) = thread::current() {
        return Some(known).filter(|thread| !thread.has_left());
    }
    if aside::is_on() {
        return None;
    }
    bury_dead();
    let entered = thread::enter()?;
    signals::enter_thread(entered);
    guard::enter_thread(entered);
    count();
    arrange_farewell(entered);
    Some(entered)
}

/// One thread more.
pub fn count() {
    if let Some(engine) = engine::get() {
        engine.count_thread();
    }
    gauges::count_thread();
}

/// Threads whose end nobody announces.
static UNANNOUNCED: AtomicU32 = AtomicU32::new(0);

/// Nobody will say when the thread of `record` ends.
pub fn note_unannounced(record: &thread::Thread) {
    record.unannounced.store(true, Ordering::Relaxed);
    UNANNOUNCED.fetch_add(1, Ordering::Relaxed);
}

/// Somebody will say it after all: the thread is one of libc's, and can have a destructor.
pub fn note_announced(record: &thread::Thread) {
    if record.unannounced.swap(false, Ordering::Relaxed) {
        UNANNOUNCED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Frees the records of threads that have ended, and takes leave of those that did so without a word:
/// that a bare clone made, or libc for itself.
pub fn bury_dead() {
    if UNANNOUNCED.load(Ordering::Relaxed) == 0 {
        return;
    }
    let (here, own) = (sys::id(), thread::running());
    for record in thread::all().filter(|record| record.unannounced.load(Ordering::Relaxed)) {
        let tid = record.tid.load(Ordering::Relaxed);
        // One of ours with our number had it before us.
        let is_older = tid == here && !own.is_some_and(|own| core::ptr::eq(own, record));
        // SAFETY: no pointers; signal 0 only asks.
        let answer = unsafe { vmcore::sys::call(libc::SYS_tkill, [tid as usize, 0, 0, 0, 0, 0]) };
        // A sandbox that refuses the question says nothing about the thread.
        let is_dead = is_older || answer == -(libc::ESRCH as isize);
        // AcqRel: one of those who look takes the record.
        if is_dead && record.unannounced.swap(false, Ordering::AcqRel) {
            UNANNOUNCED.fetch_sub(1, Ordering::Relaxed);
            account(record);
            guard::forget_thread(record);
            thread::give_back(record);
        }
    }
}

/// The thread of `record` will say farewell.
pub fn arrange_farewell(entered: &'static thread::Thread) {
    if let Some(key) = farewell_key() {
        // SAFETY: the key exists; the record lives for ever.
        unsafe { libc::pthread_setspecific(key, core::ptr::from_ref(entered).cast()) };
    }
}

/// The key whose destructor is our farewell, made at the first call. Two threads that come first may make two: the
/// second one's is never used.
fn farewell_key() -> Option<libc::pthread_key_t> {
    static KEY_PLUS_ONE: OnceNonZeroUsize = OnceNonZeroUsize::new();
    let key = KEY_PLUS_ONE.get_or_try_init(|| {
        let mut key = 0;
        // SAFETY: the key lives through the call; the destructor may run in any thread.
        let made = unsafe { libc::pthread_key_create(&raw mut key, Some(farewell)) } == 0;
        made.then(|| NonZeroUsize::MIN.saturating_add(key as usize)).ok_or(())
    });
    key.ok().map(|key| (key.get() - 1) as libc::pthread_key_t)
}

/// Runs in each round of an ending thread's destructors.
unsafe extern "C" fn farewell(record: *mut c_void) {
    // SAFETY: the value that `arrange_farewell` set.
    let Some(thread) = (unsafe { record.cast::<thread::Thread>().as_ref() }) else {
        return;
    };
    thread.farewells.set(thread.farewells.get() + 1);
    if thread.farewells.get() < ROUNDS {
        if let Some(key) = farewell_key() {
            // SAFETY: the key exists, for its destructor runs.
            unsafe { libc::pthread_setspecific(key, record) };
        }
        return;
    }
    leave(thread);
}

/// The thread goes on in libc, with every signal blocked, and touches the heap: the guard and the
/// alternate stack are its own until the kernel knows it no more.
fn leave(thread: &'static thread::Thread) {
    if account(thread) {
        guard::keep_for_the_end();
        note_unannounced(thread);
    }
}

/// What a thread leaves behind goes where it belongs: its blocks stay, its counts are added up.
fn account(thread: &'static thread::Thread) -> bool {
    let Some(engine) = engine::get() else {
        return false;
    };
    if let Some(region) = thread.own_region() {
        thread.withhold(thread::Withheld::No);
        thread.region.store(core::ptr::null_mut(), Ordering::Relaxed);
        engine.abandon_region(&engine.place_of(region));
    }
    thread.report_bytes();
    engine.events().counters.absorb(&thread.counters);
    if !thread.left.swap(true, Ordering::Relaxed) {
        engine.discount_thread();
    }
    true
}
