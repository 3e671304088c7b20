//! The C library's functions that wait under a mask of their own, or for a signal. libc's own are
//! called, since they are points where a thread can be cancelled; they get the mask without our
//! signals, and the program's mask is noted for a handler that ends the wait.

use super::actions::without_internal;
use crate::next;
use crate::shared::errno::fail;
use crate::shared::kernel::{self, OURS};
use crate::shared::{engine, thread};
use crate::signals::masks::{self, Temporary};
use crate::signals::ready;
use crate::syscalls::memory;
use core::ffi::{c_int, c_void};
use vmcore::sys::thread::SignalSet;

/// The set at `mask`; none where there is nothing that can be read: the kernel says so.
fn read_set(mask: *const libc::sigset_t) -> Option<SignalSet> {
    let mut set = [0; 8];
    let engine = engine::get().filter(|_| !mask.is_null() && ready())?;
    memory::look(engine, mask as usize, &mut set).then(|| SignalSet(u64::from_ne_bytes(set)))
}

/// Waits under `mask`, which is null or the address of a set, if the program is right.
fn under<T>(mask: *const libc::sigset_t, wait: impl FnOnce(*const libc::sigset_t) -> T) -> T {
    let Some(set) = read_set(mask) else {
        return wait(mask);
    };
    // SAFETY: every word is a set.
    let mut given: libc::sigset_t = unsafe { core::mem::zeroed() };
    // SAFETY: the first word of a set.
    unsafe { (&raw mut given).cast::<u64>().write(kernel::for_kernel(set).0) };
    let state = thread::current().map(|thread| thread.signals());
    if let Some(state) = state {
        state.temporary.set(Temporary::new(set));
    }
    let held = state.is_some_and(|state| masks::hand_to_kernel(state, set));
    let result = wait(&raw const given);
    if held {
        let _ = kernel::change_mask(libc::SIG_UNBLOCK, Some(SignalSet(OURS)));
    }
    if let Some(state) = state {
        state.temporary.set(Temporary::default());
    }
    result
}

macro_rules! wait {
    ($(#[$note:meta])* $name:ident, $cname:literal, ($($arg:ident: $type:ty),*) under $mask:ident) => {
        $(#[$note])*
        ///
        /// # Safety
        /// As the original.
        pub unsafe fn $name($($arg: $type),*) -> c_int {
            let Some(next) = next!($cname, unsafe extern "C" fn($($type),*) -> c_int) else {
                return fail(libc::ENOSYS);
            };
            // SAFETY: the caller's arguments, and a mask of ours.
            under($mask, |$mask| unsafe { next($($arg),*) })
        }
    };
}

type Set = *const libc::sigset_t;
type Time = *const libc::timespec;
type Polls = *mut libc::pollfd;
type Descriptors = *mut libc::fd_set;
type Events = *mut libc::epoll_event;

wait!(/// See sigsuspend(2).
    sigsuspend, c"sigsuspend", (mask: Set) under mask);
wait!(/// See sigsuspend(2).
    __sigsuspend, c"__sigsuspend", (mask: Set) under mask);
wait!(/// See ppoll(2).
    ppoll, c"ppoll", (polls: Polls, n: libc::nfds_t, time: Time, mask: Set) under mask);
wait!(/// See ppoll(2).
    __ppoll_chk, c"__ppoll_chk", (polls: Polls, n: libc::nfds_t, time: Time, mask: Set, len: usize) under mask);
wait!(/// See pselect(2).
    pselect, c"pselect",
    (n: c_int, read: Descriptors, write: Descriptors, other: Descriptors, time: Time, mask: Set) under mask);
wait!(/// See epoll_pwait(2).
    epoll_pwait, c"epoll_pwait", (fd: c_int, events: Events, n: c_int, time: c_int, mask: Set) under mask);
wait!(/// See epoll_pwait(2).
    epoll_pwait2, c"epoll_pwait2", (fd: c_int, events: Events, n: c_int, time: Time, mask: Set) under mask);

/// sigpause in its two dialects: a set of 32 signals, or the signal that is let in.
fn pause(mask: SignalSet) -> c_int {
    // SAFETY: every word is a set.
    let mut set: libc::sigset_t = unsafe { core::mem::zeroed() };
    // SAFETY: the first word of a set; a set of ours.
    unsafe {
        (&raw mut set).cast::<u64>().write(mask.0);
        sigsuspend(&raw const set)
    }
}

fn pause_for(signal: c_int) -> c_int {
    match masks::change(libc::SIG_BLOCK, None) {
        Ok(mask) if (1..=64).contains(&signal) => pause(mask.without(signal)),
        _ => fail(libc::EINVAL),
    }
}

/// See sigpause(3), BSD's.
pub fn sigpause(mask: c_int) -> c_int {
    pause(SignalSet(u64::from(mask as u32)))
}

/// See sigpause(3), X/Open's.
pub fn __xpg_sigpause(signal: c_int) -> c_int {
    pause_for(signal)
}

/// See sigpause(3), both.
pub fn __sigpause(argument: c_int, is_signal: c_int) -> c_int {
    if is_signal != 0 {
        pause_for(argument)
    } else {
        sigpause(argument)
    }
}

/// A signal of ours that came while the program blocked it, if the program waits for it now.
///
/// # Safety
/// A set, and null or room for an answer.
unsafe fn kept(set: Set, info: *mut libc::siginfo_t) -> Option<c_int> {
    let state = thread::current()?.signals();
    let words = masks::take_kept(state, without_internal(read_set(set)?))?;
    if !info.is_null() {
        // SAFETY: as above; a siginfo_t has that many words.
        unsafe { info.cast::<kernel::Info>().write_unaligned(words) };
    }
    Some(kernel::number(&words))
}

/// See sigtimedwait(2).
///
/// # Safety
/// As the original.
pub unsafe fn sigtimedwait(set: Set, info: *mut libc::siginfo_t, time: Time) -> c_int {
    let next = next!(c"sigtimedwait", unsafe extern "C" fn(Set, *mut libc::siginfo_t, Time) -> c_int);
    // SAFETY: the program gives a set, null or room for an answer, and null or a time.
    unsafe {
        if let Some(signal) = kept(set, info) {
            return signal;
        }
        let result = next.map_or(-1, |next| next(set, info, time));
        if result < 0 {
            kept(set, info).unwrap_or(result)
        } else {
            result
        }
    }
}

/// See sigwaitinfo(2).
///
/// # Safety
/// As the original.
pub unsafe fn sigwaitinfo(set: Set, info: *mut libc::siginfo_t) -> c_int {
    // SAFETY: the program gives a set, and null or room for an answer.
    unsafe { sigtimedwait(set, info, core::ptr::null()) }
}

/// See sigwait(3).
///
/// # Safety
/// As the original.
pub unsafe fn sigwait(set: Set, signal: *mut c_int) -> c_int {
    // SAFETY: libc's own cell of this thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the cell is this thread's.
    let before = unsafe { *errno };
    loop {
        // SAFETY: the program gives a set, and room for a number.
        unsafe {
            let came = sigtimedwait(set, core::ptr::null_mut(), core::ptr::null());
            let error = core::mem::replace(&mut *errno, before);
            if came > 0 {
                signal.write(came);
                return 0;
            }
            if error != libc::EINTR {
                return error;
            }
        }
    }
}

const _: () = assert!(size_of::<kernel::Info>() == size_of::<libc::siginfo_t>() && size_of::<*const c_void>() == 8);
