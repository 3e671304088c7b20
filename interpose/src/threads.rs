//! Threads: pthread_create is wrapped so that each thread has its number from its first instruction
//! on, and a thread-specific destructor tells when a thread has ended.

use crate::{aside, blocks, engine, next, signals, statistics, syscalls, thread};
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicU32, Ordering};
use vmcore::sys::thread as sys;
use vmcore::trace::Access;

/// Destructors run in this many rounds (PTHREAD_DESTRUCTOR_ITERATIONS); ours works in the last, when
/// the program's own have freed what they wanted to free.
const ROUNDS: u32 = 4;

/// 1 + the key whose destructor is our farewell; 0 before there is one.
static FAREWELL: AtomicU32 = AtomicU32::new(0);

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
    syscalls::enter_thread(entered);
    count();
    arrange_farewell(entered);
    Some(entered)
}

/// One thread more.
pub fn count() {
    if let Some(engine) = engine::get() {
        engine.gauges.threads.fetch_add(1, Ordering::Relaxed);
    }
    statistics::count_thread();
}

/// Threads whose end nobody announces.
static UNANNOUNCED: AtomicU32 = AtomicU32::new(0);

/// Nobody will say when the thread of `record` ends.
pub fn note_unannounced(record: &thread::Thread) {
    record.unannounced.store(true, Ordering::Relaxed);
    UNANNOUNCED.fetch_add(1, Ordering::Relaxed);
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
        let is_dead = is_older || unsafe { vmcore::sys::call(libc::SYS_tkill, [tid as usize, 0, 0, 0, 0, 0]) != 0 };
        // AcqRel: one of those who look takes the record.
        if is_dead && record.unannounced.swap(false, Ordering::AcqRel) {
            UNANNOUNCED.fetch_sub(1, Ordering::Relaxed);
            account(record);
            syscalls::forget_thread(record);
            thread::give_back(record);
        }
    }
}

fn arrange_farewell(entered: &'static thread::Thread) {
    let mut key = FAREWELL.load(Ordering::Acquire);
    if key == 0 {
        let mut new = 0;
        // SAFETY: the key lives through the call; the destructor may run in any thread.
        if unsafe { libc::pthread_key_create(&raw mut new, Some(farewell)) } != 0 {
            return;
        }
        key = match FAREWELL.compare_exchange(0, new + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => new + 1,
            Err(other) => other,
        };
    }
    // SAFETY: the key exists; the record lives for ever.
    unsafe { libc::pthread_setspecific(key - 1, core::ptr::from_ref(entered).cast()) };
}

/// Runs in each round of an ending thread's destructors.
unsafe extern "C" fn farewell(record: *mut c_void) {
    // SAFETY: the value that `arrange_farewell` set.
    let Some(thread) = (unsafe { record.cast::<thread::Thread>().as_ref() }) else {
        return;
    };
    thread.farewells.set(thread.farewells.get() + 1);
    if thread.farewells.get() < ROUNDS {
        let key = FAREWELL.load(Ordering::Acquire);
        // SAFETY: the key exists.
        unsafe { libc::pthread_setspecific(key.wrapping_sub(1), record) };
        return;
    }
    leave(thread);
}

/// The thread goes on in libc, with every signal blocked, and touches the heap: the guard and the
/// alternate stack are its own until the kernel knows it no more.
fn leave(thread: &'static thread::Thread) {
    if account(thread) {
        syscalls::keep_for_the_end();
        note_unannounced(thread);
    }
}

/// What a thread leaves behind goes where it belongs: its blocks stay, its counts are added up.
fn account(thread: &'static thread::Thread) -> bool {
    let Some(engine) = engine::get() else {
        return false;
    };
    // SAFETY: regions live for ever.
    if let Some(region) = unsafe { thread.region.load(Ordering::Relaxed).as_ref() } {
        thread.region.store(core::ptr::null_mut(), Ordering::Relaxed);
        blocks::abandon(engine, region);
    }
    thread.report_bytes();
    engine.counters.absorb(&thread.counters);
    if !thread.left.swap(true, Ordering::Relaxed) {
        engine.gauges.threads.fetch_sub(1, Ordering::Relaxed);
    }
    true
}

type Start = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

/// What a new thread is to do, from its creator.
struct Errand {
    start: Start,
    argument: *mut c_void,
    /// What the creator has blocked of our signals, which the kernel does not know.
    blocked: u64,
}

unsafe extern "C" fn begin(errand: *mut c_void) -> *mut c_void {
    let errand = errand.cast::<Errand>();
    let born = thread::current();
    if let Some(record) = born {
        // It was guarded from its first instruction, and libc has restored its mask. Only now is there a
        // thread of libc's that can have a destructor.
        if record.unannounced.swap(false, Ordering::Relaxed) {
            UNANNOUNCED.fetch_sub(1, Ordering::Relaxed);
        }
        arrange_farewell(record);
    }
    let entered = born.or_else(enter);
    // SAFETY: made by `pthread_create` for this thread alone.
    let Errand { start, argument, blocked } = unsafe { errand.read() };
    if let Some(record) = entered.filter(|_| born.is_none()) {
        signals::masks::set_ours(&record.signals, blocked);
    }
    let _ = blocks::free(errand as usize);
    // SAFETY: the program's own function and argument.
    unsafe { start(argument) }
}

type Create = unsafe extern "C" fn(*mut libc::pthread_t, *const libc::pthread_attr_t, Start, *mut c_void) -> c_int;

/// See pthread_create(3).
///
/// # Safety
/// As the original.
#[no_mangle]
pub unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    let Some(create) = next!(c"pthread_create", Create) else {
        return libc::ENOSYS;
    };
    let errand = blocks::allocate(size_of::<Errand>(), align_of::<Errand>(), false);
    let Some(errand) = errand.map(|block| block.cast::<Errand>()) else {
        return libc::EAGAIN;
    };
    let blocked = thread::current().map_or(0, |thread| thread.signals.blocked.get());
    // SAFETY: a fresh block of that size.
    unsafe { errand.write(Errand { start, argument, blocked }) };
    keep_stack(attributes);
    // SAFETY: the caller's arguments, and ours.
    let result = unsafe { create(thread, attributes, begin, errand.as_ptr().cast()) };
    if result != 0 {
        let _ = blocks::free(errand.as_ptr() as usize);
    }
    result
}

/// A stack that the program made of a block: its upper end, where libc keeps the thread's own data
/// and the kernel writes when the thread ends, stays in memory until the block is freed.
fn keep_stack(attributes: *const libc::pthread_attr_t) {
    const UPPER: usize = 16 * 1024;
    let Some(engine) = engine::get().filter(|_| !attributes.is_null()) else {
        return;
    };
    let (mut base, mut size) = (core::ptr::null_mut(), 0);
    // SAFETY: valid attributes, and room for both answers.
    if unsafe { libc::pthread_attr_getstack(attributes, &raw mut base, &raw mut size) } == 0 && engine.is_ours(base as usize) {
        let kept = size.min(UPPER);
        engine.pin(base as usize + size - kept, kept, Access::Write, false);
    }
}
