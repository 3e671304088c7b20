//! The alternate stack on which a thread takes faults, so that its stack pointer may lie in a region.
//!
//! It ends with the thread, not with the process: whoever calls exit may still have its stack pointer in a
//! region. Hence a key of pthreads, whose destructor runs at the end of a thread only.

use crate::faults::STACK;
use core::ffi::c_void;
use core::num::NonZeroUsize;
use core::ptr::{null, null_mut};
use once_cell::race::OnceNonZeroUsize;
use vmcore::sys::memory::{self, Protection};
use vmcore::sys::thread;

/// The key whose value in a thread is the alternate stack that we gave it, made at the first call.
///
/// Nobody waits for it: a thread that waited for another to make it would wait for ever in a child of a fork that came in
/// between. Two threads that come first may make two keys; the second one's is never used.
fn key() -> Option<libc::pthread_key_t> {
    static KEY_PLUS_ONE: OnceNonZeroUsize = OnceNonZeroUsize::new();
    let made = KEY_PLUS_ONE.get_or_try_init(|| {
        let mut key = 0;
        // SAFETY: the destructor is a function of ours, for the values that `enter_thread` sets.
        let made = unsafe { libc::pthread_key_create(&mut key, Some(leave_thread)) } == 0;
        made.then(|| NonZeroUsize::MIN.saturating_add(key as usize)).ok_or(())
    });
    made.ok().map(|key| (key.get() - 1) as libc::pthread_key_t)
}

/// Gives the calling thread an alternate stack, unless it has one. False if there is no memory for it.
pub fn enter_thread() -> bool {
    // SAFETY: the kernel fills `now`; the new stack is a mapping of ours that stays as long as the thread.
    unsafe {
        let mut now: libc::stack_t = core::mem::zeroed();
        if libc::sigaltstack(null(), &mut now) != 0 {
            return false;
        }
        if now.ss_flags & libc::SS_DISABLE == 0 {
            return true;
        }
        let Some(key) = key() else {
            return false;
        };
        // The program may have switched ours off: then it is taken again.
        let ours = libc::pthread_getspecific(key) as usize;
        let at = if ours == 0 { memory::reserve(STACK, Protection::ReadWrite).unwrap_or(0) } else { ours };
        let stack = libc::stack_t { ss_sp: at as *mut c_void, ss_flags: 0, ss_size: STACK };
        at != 0 && libc::pthread_setspecific(key, at as *const c_void) == 0 && libc::sigaltstack(&stack, null_mut()) == 0
    }
}

/// A thread ends: its alternate stack goes, unless the thread ends on it, or the kernel will not let go of it.
unsafe extern "C" fn leave_thread(stack: *mut c_void) {
    let at = stack as usize;
    let none = libc::stack_t { ss_sp: null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    // SAFETY: the kernel fills `now`; the stack is our mapping, and nobody's any more when it is unmapped.
    unsafe {
        let mut now: libc::stack_t = core::mem::zeroed();
        if libc::sigaltstack(null(), &mut now) != 0 || (at..at + STACK).contains(&thread::stack_pointer()) {
            return;
        }
        let in_use = now.ss_flags & libc::SS_DISABLE == 0 && now.ss_sp == stack;
        if !in_use || libc::sigaltstack(&none, null_mut()) == 0 {
            let _ = memory::unmap(at, STACK);
        }
    }
}
