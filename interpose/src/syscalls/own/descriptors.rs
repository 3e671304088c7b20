//! Calls that concern descriptors of ours, which do not get in the way: the program cannot close them, and
//! when it wants one of their numbers for itself we go elsewhere.
//!
//! A number of ours is, for the program, one that is not open, to calls that close, copy or ask (fcntl,
//! fstat). The trap and the C library's functions share this.

use crate::shared::descriptors::{is_ours, make_way, ours};
use core::ffi::c_long;
use vmcore::engine::Engine;
use vmcore::sys;

const EBADF: isize = -(libc::EBADF as isize);
/// More descriptors than we ever have.
const MOST: usize = 8;

/// The result of the call if it concerns a descriptor of ours.
pub fn answer(engine: &Engine, number: c_long, [a, b, c]: [usize; 3]) -> Option<isize> {
    let (first, second) = (a as i32, b as i32);
    match number {
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
