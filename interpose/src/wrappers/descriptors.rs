//! The C library's functions for descriptors: those of ours are not open, for the program.

use crate::next;
use crate::shared::engine;
use crate::shared::errno::{fail, returned};
use crate::syscalls::own::descriptors::answer;
use core::ffi::{c_int, c_long, c_uint};
use vmcore::sys::file;

/// A function of the C library: ours if a descriptor of ours is concerned, else `otherwise`.
pub fn wrapped(number: c_long, args: [usize; 3], otherwise: impl FnOnce() -> c_int) -> c_int {
    let Some(result) = engine::get().and_then(|engine| answer(engine, number, args)) else {
        return otherwise();
    };
    returned(result) as c_int
}

macro_rules! wrapper {
    ($(#[$note:meta])* $name:ident, $cname:literal, $number:ident, ($($arg:ident: $type:ty),*)) => {
        $(#[$note])*
        ///
        /// # Safety
        /// As the original.
        pub unsafe fn $name($($arg: $type),*) -> c_int {
            let mut args = [0; 3];
            args.iter_mut().zip([$($arg as usize),*]).for_each(|(arg, given)| *arg = given);
            wrapped(libc::$number, args, || match next!($cname, unsafe extern "C" fn($($type),*) -> c_int) {
                // SAFETY: the program's own arguments for the same function.
                Some(next) => unsafe { next($($arg),*) },
                None => fail(libc::ENOSYS),
            })
        }
    };
}

wrapper!(/// See close(2).
    close, c"close", SYS_close, (fd: c_int));
wrapper!(/// See dup(2).
    dup, c"dup", SYS_dup, (old: c_int));
wrapper!(/// See dup2(2).
    dup2, c"dup2", SYS_dup2, (old: c_int, new: c_int));
wrapper!(/// See dup3(2).
    dup3, c"dup3", SYS_dup3, (old: c_int, new: c_int, flags: c_int));
wrapper!(/// See close_range(2).
    close_range, c"close_range", SYS_close_range, (first: c_uint, last: c_uint, flags: c_int));

wrapper!(/// See fstat(2).
    fstat, c"fstat", SYS_fstat, (fd: c_int, status: *mut libc::stat));
wrapper!(/// See fstat(2).
    fstat64, c"fstat64", SYS_fstat, (fd: c_int, status: *mut libc::stat));

macro_rules! versioned_fstat {
    ($name:ident, $cname:literal) => {
        /// See fstat(2): what programs call that were made before the C library had `fstat`.
        ///
        /// # Safety
        /// As the original.
        pub unsafe fn $name(version: c_int, fd: c_int, status: *mut libc::stat) -> c_int {
            wrapped(libc::SYS_fstat, [fd as usize, 0, 0], || {
                match next!($cname, unsafe extern "C" fn(c_int, c_int, *mut libc::stat) -> c_int) {
                    // SAFETY: the caller's structure.
                    Some(next) => unsafe { next(version, fd, status) },
                    None => -1,
                }
            })
        }
    };
}

versioned_fstat!(__fxstat, c"__fxstat");
versioned_fstat!(__fxstat64, c"__fxstat64");

macro_rules! fcntl {
    ($name:ident, $cname:literal) => {
        /// See fcntl(2).
        ///
        /// # Safety
        /// As the original.
        pub unsafe fn $name(fd: c_int, command: c_int, argument: usize) -> c_int {
            wrapped(libc::SYS_fcntl, [fd as usize, 0, 0], || {
                match next!($cname, unsafe extern "C" fn(c_int, c_int, ...) -> c_int) {
                    // SAFETY: the caller's argument, or what is in its register: libc passes it on all the same.
                    Some(next) => unsafe { next(fd, command, argument) },
                    None => -1,
                }
            })
        }
    };
}

fcntl!(fcntl, c"fcntl");
fcntl!(fcntl64, c"fcntl64");

wrapper!(/// See setrlimit(2): a limit of sizes of files concerns the swap file.
    setrlimit, c"setrlimit", SYS_setrlimit, (which: c_uint, new: *const libc::rlimit));
wrapper!(/// See setrlimit(2).
    setrlimit64, c"setrlimit64", SYS_setrlimit, (which: c_uint, new: *const libc::rlimit));

/// See prlimit(2).
///
/// # Safety
/// As the original.
pub unsafe fn prlimit(pid: c_int, which: c_uint, new: *const libc::rlimit, old: *mut libc::rlimit) -> c_int {
    file::expect_size_limit();
    match next!(c"prlimit", unsafe extern "C" fn(c_int, c_uint, *const libc::rlimit, *mut libc::rlimit) -> c_int) {
        // SAFETY: libc's function gets the program's own arguments.
        Some(next) => unsafe { next(pid, which, new, old) },
        None => -1,
    }
}

/// See prlimit(2).
///
/// # Safety
/// As the original.
pub unsafe fn prlimit64(pid: c_int, which: c_uint, new: *const libc::rlimit, old: *mut libc::rlimit) -> c_int {
    // SAFETY: the program's own arguments; both structures are the same.
    unsafe { prlimit(pid, which, new, old) }
}

/// See closefrom(3).
pub fn closefrom(lowest: c_int) {
    // SAFETY: there are no pointers.
    if unsafe { close_range(lowest.max(0) as c_uint, c_uint::MAX, 0) } != 0 {
        let Some(next) = next!(c"closefrom", unsafe extern "C" fn(c_int)) else {
            return;
        };
        // SAFETY: a kernel without close_range; libc closes what it finds in /proc.
        unsafe { next(lowest) };
    }
}
