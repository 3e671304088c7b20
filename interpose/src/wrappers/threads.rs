//! pthread_create: each thread has its number, and what its creator has blocked, from its first instruction on.

use crate::births::threads;
use crate::malloc::blocks;
use crate::malloc::common::ForLibrary;
use crate::next;
use crate::shared::{engine, thread};
use crate::signals::masks;
use core::ffi::{c_int, c_void};
use vmcore::page::Access;

/// What a thread begins with.
pub type Start = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

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
        threads::note_announced(record);
        threads::arrange_farewell(record);
    }
    let entered = born.or_else(threads::enter);
    // SAFETY: made by `pthread_create` for this thread alone.
    let Errand { start, argument, blocked } = unsafe { errand.read() };
    // A creator that was not taken over has noted nothing, and the kernel knows it all.
    if let Some(record) = entered.filter(|_| born.is_none() && blocked != 0) {
        masks::set_ours(record.signals(), blocked);
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
pub unsafe fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    let Some(create) = next!(c"pthread_create", Create) else {
        return libc::ENOSYS;
    };
    // What it takes to begin a thread, ours and libc's (the table of its thread-local storage), is not the creator's memory.
    let _library = ForLibrary::begin();
    let errand = blocks::allocate(size_of::<Errand>(), align_of::<Errand>(), false);
    let Some(errand) = errand.map(|block| block.cast::<Errand>()) else {
        return libc::EAGAIN;
    };
    let blocked = thread::current().map_or(0, |thread| thread.signals().blocked.get());
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
