//! The C library's functions for actions, masks and the alternate stack, in libc's forms.

use crate::next;
use crate::shared::errno::answer;
use crate::shared::kernel::{self, Action};
use crate::shared::thread;
use crate::signals::{actions, farewell, masks, ready, stack, trampolines};
use crate::syscalls::memory;
use core::ffi::c_int;
use vmcore::sys::thread::SignalSet;
use vmcore::sys::{Errno, Result};

/// The C library's own function while nothing is ours: its call is made from libc's text, so that it is trapped if the
/// thread is taken over just before it.
macro_rules! native {
    ($name:literal, $kind:ty) => {
        if ready() {
            None
        } else {
            next!($name, $kind)
        }
    };
}

/// libc's sets are longer than the kernel's; only the first word is used.
///
/// # Safety
/// Null or a set.
pub unsafe fn read_set(set: *const libc::sigset_t) -> Option<SignalSet> {
    // SAFETY: it is not null, so it is a set, as the caller promises.
    (!set.is_null()).then(|| SignalSet(unsafe { set.cast::<u64>().read_unaligned() }))
}

/// Answers with `value`, unless `to` is null; EFAULT as the kernel says it.
///
/// # Safety
/// Null, or an address of the program's.
unsafe fn tell<T>(to: *mut T, value: &T) -> Result<()> {
    if to.is_null() {
        return Ok(());
    }
    // SAFETY: `value` is as long as that; `to` is the program's, and what cannot be written there ends the copy.
    unsafe { memory::copy_for_program(to as usize, core::ptr::from_ref(value) as usize, size_of::<T>()) }
}

/// # Safety
/// As [`tell`].
unsafe fn write_set(to: *mut libc::sigset_t, set: SignalSet) -> Result<()> {
    // SAFETY: `to` is null or a set of the program's, as the caller promises; the kernel's sets are one word.
    unsafe { tell(to.cast::<u64>(), &set.0) }
}

/// The two signals that libc keeps for itself.
const INTERNAL: SignalSet = SignalSet::EMPTY.with(32).with(33);

/// A set without the signals that libc keeps for itself.
pub fn without_internal(set: SignalSet) -> SignalSet {
    SignalSet(set.0 & !INTERNAL.0)
}

/// sigaction(2) in the kernel's form, as libc allows it.
pub fn change_action(signal: c_int, new: Option<(usize, c_int, SignalSet)>) -> Result<Action> {
    if !(1..=64).contains(&signal) || INTERNAL.has(signal) {
        return Err(Errno(libc::EINVAL));
    }
    let new = new.map(|(handler, flags, mask)| Action {
        handler,
        flags: u64::from(flags as u32) | kernel::RESTORER,
        restorer: trampolines::restorer(),
        mask,
    });
    actions::change(signal, new.as_ref())
}

macro_rules! sigaction {
    ($name:ident) => {
        /// See sigaction(2).
        ///
        /// # Safety
        /// As the original.
        pub unsafe fn $name(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int {
            if !farewell::is_wanted() {
                type Change = unsafe extern "C" fn(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int;
                if let Some(next) = native!(c"sigaction", Change) {
                    // SAFETY: libc's function gets the program's own arguments.
                    return unsafe { next(signal, new, old) };
                }
            }
            // SAFETY: the program gives null or an action.
            let new = unsafe { new.as_ref() };
            let new = new.map(|new| {
                // SAFETY: a set of the caller's.
                let mask = unsafe { read_set(&raw const new.sa_mask) }.unwrap_or(SignalSet::EMPTY);
                (new.sa_sigaction, new.sa_flags, mask)
            });
            let result = change_action(signal, new);
            // SAFETY: the program gives null or room for an action.
            if let (Ok(was), Some(old)) = (&result, unsafe { old.as_mut() }) {
                old.sa_sigaction = was.handler;
                old.sa_flags = was.flags as c_int;
                // SAFETY: an integer, or no function; every set is valid.
                unsafe {
                    old.sa_restorer = core::mem::transmute::<usize, Option<extern "C" fn()>>(was.restorer);
                    (&raw mut old.sa_mask).write_bytes(0, 1);
                    (&raw mut old.sa_mask).cast::<u64>().write_unaligned(was.mask.0);
                }
            }
            answer(result)
        }
    };
}

sigaction!(sigaction);
sigaction!(__sigaction);

/// # Safety
/// As sigprocmask.
unsafe fn change_mask(how: c_int, set: *const libc::sigset_t, old: *mut libc::sigset_t) -> Result<()> {
    // SAFETY: the program gives a set, or null, and room for a set, or null.
    unsafe {
        let was = masks::change(how, read_set(set).map(without_internal))?;
        write_set(old, was)
    }
}

/// See sigprocmask(2).
///
/// # Safety
/// As the original.
pub unsafe fn sigprocmask(how: c_int, set: *const libc::sigset_t, old: *mut libc::sigset_t) -> c_int {
    if let Some(next) = native!(c"sigprocmask", unsafe extern "C" fn(c_int, *const libc::sigset_t, *mut libc::sigset_t) -> c_int)
    {
        // SAFETY: libc's function gets the program's own arguments.
        return unsafe { next(how, set, old) };
    }
    // SAFETY: the arguments are those of sigprocmask.
    answer(unsafe { change_mask(how, set, old) })
}

/// See pthread_sigmask(3).
///
/// # Safety
/// As the original.
pub unsafe fn pthread_sigmask(how: c_int, set: *const libc::sigset_t, old: *mut libc::sigset_t) -> c_int {
    if let Some(next) =
        native!(c"pthread_sigmask", unsafe extern "C" fn(c_int, *const libc::sigset_t, *mut libc::sigset_t) -> c_int)
    {
        // SAFETY: libc's function gets the program's own arguments.
        return unsafe { next(how, set, old) };
    }
    // SAFETY: the arguments are those of sigprocmask, too.
    match unsafe { change_mask(how, set, old) } {
        Ok(()) => 0,
        Err(error) => error.0,
    }
}

/// See sigpending(2).
///
/// # Safety
/// As the original.
pub unsafe fn sigpending(set: *mut libc::sigset_t) -> c_int {
    if let Some(next) = native!(c"sigpending", unsafe extern "C" fn(*mut libc::sigset_t) -> c_int) {
        // SAFETY: libc's function gets the program's own arguments.
        return unsafe { next(set) };
    }
    let kept = thread::current().map_or(SignalSet::EMPTY, |thread| masks::kept(thread.signals()));
    let said = |pending: SignalSet| {
        if set.is_null() {
            return Err(Errno(libc::EFAULT));
        }
        // SAFETY: it is not null, so it is room for a set.
        unsafe { write_set(set, SignalSet(pending.0 | kept.0)) }
    };
    answer(kernel::pending().and_then(said))
}

/// See sigaltstack(2).
///
/// # Safety
/// As the original.
pub unsafe fn sigaltstack(new: *const libc::stack_t, old: *mut libc::stack_t) -> c_int {
    if let Some(next) = native!(c"sigaltstack", unsafe extern "C" fn(*const libc::stack_t, *mut libc::stack_t) -> c_int) {
        // SAFETY: libc's function gets the program's own arguments.
        return unsafe { next(new, old) };
    }
    let here = 0u8;
    // SAFETY: the program gives null or a stack, and null or room for one; what cannot be read or written ends the
    // copy; and its stack stays, as sigaltstack asks.
    unsafe {
        let mut given = core::mem::MaybeUninit::<libc::stack_t>::uninit();
        let given = if new.is_null() {
            Ok(None)
        } else {
            let read = memory::copy_for_program(given.as_mut_ptr() as usize, new as usize, size_of::<libc::stack_t>());
            read.map(|()| Some(given.assume_init()))
        };
        let result = given.and_then(|given| stack::change(given.as_ref(), &raw const here as usize));
        answer(result.and_then(|was| tell(old, &was)))
    }
}
