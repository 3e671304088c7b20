//! The limits of the process (`ulimit`). Those that the program sets for itself are not meant for the pager: where one stops
//! it, it is raised for a moment.

use super::thread::{set_signal_mask, yield_now, SignalSet};
use super::{syscall, Errno, Result};
use core::sync::atomic::{AtomicBool, Ordering};

/// A limit of the process, `libc::RLIMIT_…`, before it is changed to `new`.
pub fn limit(which: u32, new: Option<libc::rlimit>) -> Result<libc::rlimit> {
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let new = new.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: both live through the call.
    unsafe { syscall!(libc::SYS_prlimit64, 0, which, new, &raw mut old)? };
    Ok(old)
}

/// Does `work` with a limit of at least `wanted`; `None`, and nothing is done, if it may not be that high.
pub fn raised<T>(which: u32, wanted: u64, work: impl FnOnce() -> Result<T>) -> Option<Result<T>> {
    // One at a time, lest one takes back what another needs; and no handler of the program meanwhile.
    static RAISING: AtomicBool = AtomicBool::new(false);
    let signals = set_signal_mask(SignalSet::ALL);
    while RAISING.swap(true, Ordering::Acquire) {
        yield_now();
    }
    let result = raise(which, wanted, work);
    // Release: pairs with the acquire above.
    RAISING.store(false, Ordering::Release);
    set_signal_mask(signals);
    result
}

fn raise<T>(which: u32, wanted: u64, work: impl FnOnce() -> Result<T>) -> Option<Result<T>> {
    let before = limit(which, None).ok()?;
    if before.rlim_cur >= wanted {
        return Some(work());
    }
    // Beyond the hard limit only for the privileged.
    let higher = libc::rlimit { rlim_cur: wanted, rlim_max: before.rlim_max.max(wanted) };
    limit(which, Some(higher)).ok()?;
    let result = work();
    // As it was before, which needs no privilege.
    let _ = limit(which, Some(before));
    Some(result)
}

/// Maps something in the place of something else, which takes no more address space; all the same the kernel refuses it to
/// a process that has more than its limit, because it set the limit later.
pub fn within_space<T>(map: impl Fn() -> Result<T>) -> Result<T> {
    let first = map();
    if !matches!(first, Err(Errno(libc::ENOMEM))) {
        return first;
    }
    let Some(now) = limit(libc::RLIMIT_AS, None).ok().filter(|limit| limit.rlim_cur != libc::RLIM_INFINITY) else {
        return first;
    };
    raised(libc::RLIMIT_AS, libc::RLIM_INFINITY, &map).or_else(|| raised(libc::RLIMIT_AS, now.rlim_max, &map)).unwrap_or(first)
}
