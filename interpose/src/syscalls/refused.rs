//! Where the kernel refuses dispatch: only direct calls are guarded. What of the others fails on memory
//! that is paged out is not seen; what fails of ours is counted, and told at the end.

use super::{dispatch, table, ARMED, REFUSED};
use core::fmt::{self, Display};
use core::sync::atomic::{AtomicU32, Ordering};
use vmcore::engine::Engine;
use vmcore::report::say;

const EFAULT: isize = -(libc::EFAULT as isize);

/// For each call, how often it failed on memory of ours.
static FAILED: [AtomicU32; table::MOST] = [const { AtomicU32::new(0) }; table::MOST];

/// Whether there is no dispatch.
pub fn is_it() -> bool {
    // Relaxed: set at the start, or by the thread that asks.
    REFUSED.load(Ordering::Relaxed)
}

/// Pages begin to be absent.
pub fn arm() {
    ARMED.store(true, Ordering::SeqCst);
    say(format_args!(
        "no Syscall User Dispatch here: system calls may fail on memory that is paged out, all but read, write and the like"
    ));
}

/// Makes a call whose memory cannot be pinned at once, in the program's context.
pub fn call(engine: &'static Engine, number: usize, args: [usize; 6]) -> isize {
    let result = dispatch::perform(engine, number, args);
    if args.iter().any(|arg| engine.is_ours(*arg)) {
        note(number, result);
    }
    result
}

/// Counts the call, which accesses memory of ours, if it failed there; its result.
pub fn note(number: usize, result: isize) -> isize {
    if result == EFAULT && is_it() {
        if let Some(count) = FAILED.get(number) {
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
                write!(f, " {} {count}", table::find(number).map_or("?", |call| call.name))?;
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
