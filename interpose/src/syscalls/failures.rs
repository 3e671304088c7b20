//! Where the kernel refuses dispatch, only direct calls can be guarded. This library counts those of them that fail
//! on memory of the heap all the same, and tells them at the end; what of the other calls fails there it does not see.

use super::table;
use crate::shared::guarded;
use core::ffi::c_long;
use core::fmt::{self, Display};
use core::sync::atomic::{AtomicU32, Ordering};
use vmcore::report::say;

const EFAULT: isize = -(libc::EFAULT as isize);

/// For each call, how often it failed on memory of ours.
static FAILED: [AtomicU32; table::MOST] = [const { AtomicU32::new(0) }; table::MOST];

/// Counts the call, which accesses memory of ours, if it failed there; its result.
pub fn note(number: c_long, result: isize) -> isize {
    if result == EFAULT && guarded::is_refused() {
        if let Some(count) = FAILED.get(number as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
    result
}

/// The calls that failed, with their names.
struct Failures;

impl Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, count) in FAILED.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                write!(f, " {} {count}", table::find(number as c_long).name)?;
            }
        }
        Ok(())
    }
}

/// The process ends: tells what failed.
pub fn tell() {
    if FAILED.iter().any(|count| count.load(Ordering::Relaxed) > 0) {
        say(format_args!("without Syscall User Dispatch, system calls failed (EFAULT) on memory of the heap:{Failures}"));
    }
}
