//! The C library's functions for mappings: on pages of ours they do what they do on any memory.

use crate::next;
use crate::shared::engine;
use crate::shared::errno::{fail, returned};
use crate::syscalls::own::mappings::{answer, watch, UFFDIO_REGISTER};
use core::ffi::{c_int, c_long, c_uint, c_ulong, c_void};
use vmcore::sys;
use vmcore::sys::thread::{set_signal_mask, SignalSet};

/// A function of the C library: ours if pages of ours are concerned, else the kernel's.
pub fn wrapped(number: c_long, args: [usize; 6]) -> isize {
    let ours = engine::get().and_then(|engine| {
        let everywhere = matches!(number, libc::SYS_mlockall | libc::SYS_munlockall);
        let target = number == libc::SYS_mremap && engine.is_ours(args[4]);
        if !everywhere && !target && !engine.is_ours(args[0]) {
            return None;
        }
        let _stack = engine.keep_stack();
        // A handler of the program must not find one of its pages in our hands.
        let signals = set_signal_mask(SignalSet::ALL);
        let result = answer(engine, number, args);
        set_signal_mask(signals);
        result
    });
    // SAFETY: the program's own call.
    let result = ours.unwrap_or_else(|| unsafe { sys::call(number, args) });
    returned(result)
}

macro_rules! wrapper {
    ($(#[$note:meta])* $name:ident, $number:ident, ($($arg:ident: $type:ty),*) -> $result:ty) => {
        $(#[$note])*
        ///
        /// # Safety
        /// As the original.
        pub unsafe fn $name($($arg: $type),*) -> $result {
            let given: &[usize] = &[$($arg as usize),*];
            let mut args = [0; 6];
            args.iter_mut().zip(given).for_each(|(arg, given)| *arg = *given);
            wrapped(libc::$number, args) as $result
        }
    };
}

type Address = *mut c_void;

wrapper!(/// See mmap(2).
    mmap, SYS_mmap,
    (at: Address, len: usize, protection: c_int, flags: c_int, fd: c_int, offset: libc::off_t) -> Address);
wrapper!(/// See mmap(2).
    mmap64, SYS_mmap,
    (at: Address, len: usize, protection: c_int, flags: c_int, fd: c_int, offset: libc::off64_t) -> Address);
wrapper!(/// See munmap(2).
    munmap, SYS_munmap, (at: Address, len: usize) -> c_int);
wrapper!(/// See mremap(2): the last argument is there or not, in a register either way.
    mremap, SYS_mremap, (at: Address, old: usize, new: usize, flags: c_int, target: Address) -> Address);
wrapper!(/// See mprotect(2).
    mprotect, SYS_mprotect, (at: Address, len: usize, protection: c_int) -> c_int);
wrapper!(/// See madvise(2).
    madvise, SYS_madvise, (at: Address, len: usize, advice: c_int) -> c_int);
wrapper!(/// See mlock(2).
    mlock, SYS_mlock, (at: *const c_void, len: usize) -> c_int);
wrapper!(/// See mlock2(2).
    mlock2, SYS_mlock2, (at: *const c_void, len: usize, flags: c_uint) -> c_int);
wrapper!(/// See munlock(2).
    munlock, SYS_munlock, (at: *const c_void, len: usize) -> c_int);
wrapper!(/// See mlockall(2): memory that is paged cannot be locked as a whole.
    mlockall, SYS_mlockall, (flags: c_int) -> c_int);
wrapper!(/// See munlockall(2).
    munlockall, SYS_munlockall, () -> c_int);

/// See pkey_mprotect(2).
///
/// # Safety
/// As the original.
pub unsafe fn pkey_mprotect(at: Address, len: usize, protection: c_int, key: c_int) -> c_int {
    let number = if key == -1 { libc::SYS_mprotect } else { libc::SYS_pkey_mprotect };
    wrapped(number, [at as usize, len, protection as usize, key as usize, 0, 0]) as c_int
}

/// See ioctl(2). Whatever the argument is, it is in a register; pages of ours cannot be watched.
///
/// # Safety
/// As the original.
pub unsafe fn ioctl(fd: c_int, request: c_ulong, argument: usize) -> c_int {
    if request as u32 == UFFDIO_REGISTER && engine::get().is_some_and(|engine| watch(engine, argument).is_some()) {
        return fail(libc::EINVAL);
    }
    match next!(c"ioctl", unsafe extern "C" fn(c_int, c_ulong, ...) -> c_int) {
        // SAFETY: libc's function gets the program's own arguments.
        Some(next) => unsafe { next(fd, request, argument) },
        None => -1,
    }
}
