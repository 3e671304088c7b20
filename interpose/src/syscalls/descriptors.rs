//! Our descriptors do not get in the way: the program cannot close them, and when it wants one of
//! their numbers for itself we go elsewhere.
//!
//! A number of ours is, for the program, one that is not open, to calls that close, copy or ask (fcntl,
//! fstat). As with mappings, the guard and the C library's functions share this. The limits that concern our files are here too.

use crate::malloc::set_errno;
use crate::{engine, next, statistics};
use core::ffi::{c_int, c_uint};
use vmcore::engine::Engine;
use vmcore::sys::{self, file, Result};

const EBADF: isize = -(libc::EBADF as isize);
/// More descriptors than we ever have.
const MOST: usize = 8;

/// The numbers of ours.
fn ours(engine: &Engine) -> impl Iterator<Item = i32> {
    let files = engine.descriptors().map(|file| file.number());
    files.into_iter().chain([engine.trace.number(), statistics::number()]).flatten()
}

fn is_ours(engine: &Engine, fd: i32) -> bool {
    ours(engine).any(|own| own == fd)
}

/// Leaves a number to the program.
fn make_way(engine: &Engine, fd: i32) -> Result<()> {
    for file in engine.descriptors() {
        file.make_way(fd)?;
    }
    engine.trace.make_way(fd)?;
    statistics::make_way(fd)?;
    Ok(())
}

/// The result of the call if it concerns a descriptor of ours.
pub fn answer(engine: &Engine, number: usize, [a, b, c]: [usize; 3]) -> Option<isize> {
    let (first, second) = (a as i32, b as i32);
    match number as i64 {
        libc::SYS_setrlimit => {
            file::expect_size_limit();
            None
        }
        libc::SYS_close_range => close_range_around(engine, a as u32, b as u32, c),
        _ if is_ours(engine, first) => Some(EBADF),
        libc::SYS_dup2 | libc::SYS_dup3 if first != second && is_ours(engine, second) => {
            make_way(engine, second).err().map(|error| -(error.0 as isize))
        }
        _ => None,
    }
}

/// close_range in pieces that leave ours out.
fn close_range_around(engine: &Engine, first: u32, last: u32, flags: usize) -> Option<isize> {
    if first > last || flags & libc::CLOSE_RANGE_CLOEXEC as usize != 0 {
        return None;
    }
    let range = |from: u32, to: u32, flags: usize| {
        // SAFETY: no pointers; the program's own descriptors.
        unsafe { sys::call(libc::SYS_close_range, [from as usize, to as usize, flags, 0, 0, 0]) }
    };
    let mut from = first;
    let mut flags = flags;
    for _ in 0..MOST {
        let Some(ours) = next_of_ours(engine, from, last) else {
            return (from != first).then(|| range(from, last, flags));
        };
        if ours > from {
            let result = range(from, ours - 1, flags);
            if result < 0 {
                return Some(result);
            }
            // CLOSE_RANGE_UNSHARE: once is enough.
            flags = 0;
        }
        if ours == last {
            return Some(0);
        }
        from = ours + 1;
    }
    Some(range(from, last, flags))
}

/// The lowest number of ours in the range.
fn next_of_ours(engine: &Engine, from: u32, last: u32) -> Option<u32> {
    ours(engine).map(|fd| fd as u32).filter(|fd| (from..=last).contains(fd)).min()
}

/// A function of the C library: ours if a descriptor of ours is concerned, else `otherwise`.
pub fn door(number: i64, args: [usize; 3], otherwise: impl FnOnce() -> c_int) -> c_int {
    let Some(result) = engine::get().and_then(|engine| answer(engine, number as usize, args)) else {
        return otherwise();
    };
    match sys::check(result) {
        Ok(value) => value as c_int,
        Err(error) => {
            set_errno(error.0);
            -1
        }
    }
}

macro_rules! door {
    ($(#[$note:meta])* $name:ident, $cname:literal, $number:ident, ($($arg:ident: $type:ty),*)) => {
        $(#[$note])*
        #[no_mangle]
        pub extern "C" fn $name($($arg: $type),*) -> c_int {
            let mut args = [0; 3];
            args.iter_mut().zip([$($arg as usize),*]).for_each(|(arg, given)| *arg = given);
            door(libc::$number, args, || match next!($cname, unsafe extern "C" fn($($type),*) -> c_int) {
                // SAFETY: the program's own descriptors.
                Some(next) => unsafe { next($($arg),*) },
                None => {
                    set_errno(libc::ENOSYS);
                    -1
                }
            })
        }
    };
}

door!(/// See close(2).
    close, c"close", SYS_close, (fd: c_int));
door!(/// See dup(2).
    dup, c"dup", SYS_dup, (old: c_int));
door!(/// See dup2(2).
    dup2, c"dup2", SYS_dup2, (old: c_int, new: c_int));
door!(/// See dup3(2).
    dup3, c"dup3", SYS_dup3, (old: c_int, new: c_int, flags: c_int));
door!(/// See close_range(2).
    close_range, c"close_range", SYS_close_range, (first: c_uint, last: c_uint, flags: c_int));

door!(/// See fstat(2).
    fstat, c"fstat", SYS_fstat, (fd: c_int, status: *mut libc::stat));
door!(/// See fstat(2).
    fstat64, c"fstat64", SYS_fstat, (fd: c_int, status: *mut libc::stat));

macro_rules! versioned_fstat {
    ($name:ident, $cname:literal) => {
        /// See fstat(2): what programs call that were made before the C library had `fstat`.
        #[no_mangle]
        pub extern "C" fn $name(version: c_int, fd: c_int, status: *mut libc::stat) -> c_int {
            door(libc::SYS_fstat, [fd as usize, 0, 0], || {
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
        #[no_mangle]
        pub extern "C" fn $name(fd: c_int, command: c_int, argument: usize) -> c_int {
            door(libc::SYS_fcntl, [fd as usize, 0, 0], || {
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

door!(/// See setrlimit(2): a limit of sizes of files concerns the swap file.
    setrlimit, c"setrlimit", SYS_setrlimit, (which: c_uint, new: *const libc::rlimit));
door!(/// See setrlimit(2).
    setrlimit64, c"setrlimit64", SYS_setrlimit, (which: c_uint, new: *const libc::rlimit));

/// See prlimit(2).
///
/// # Safety
/// As the original.
#[no_mangle]
pub unsafe extern "C" fn prlimit(pid: c_int, which: c_uint, new: *const libc::rlimit, old: *mut libc::rlimit) -> c_int {
    file::expect_size_limit();
    match next!(c"prlimit", unsafe extern "C" fn(c_int, c_uint, *const libc::rlimit, *mut libc::rlimit) -> c_int) {
        // SAFETY: the caller's promise.
        Some(next) => unsafe { next(pid, which, new, old) },
        None => -1,
    }
}

/// See prlimit(2).
///
/// # Safety
/// As the original.
#[no_mangle]
pub unsafe extern "C" fn prlimit64(pid: c_int, which: c_uint, new: *const libc::rlimit, old: *mut libc::rlimit) -> c_int {
    // SAFETY: the caller's promise; both structures are the same.
    unsafe { prlimit(pid, which, new, old) }
}

/// See closefrom(3).
#[no_mangle]
pub extern "C" fn closefrom(lowest: c_int) {
    if close_range(lowest.max(0) as c_uint, c_uint::MAX, 0) != 0 {
        let Some(next) = next!(c"closefrom", unsafe extern "C" fn(c_int)) else {
            return;
        };
        // SAFETY: a kernel without close_range; libc closes what it finds in /proc.
        unsafe { next(lowest) };
    }
}
