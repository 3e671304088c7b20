//! Stepping aside: tools that watch memory keep malloc for themselves, and a sandbox may forbid what an
//! arena needs. Then there is no engine, and every wrapper does the native thing.

use core::sync::atomic::{AtomicBool, Ordering};
use vmcore::report::say;

static ASIDE: AtomicBool = AtomicBool::new(false);

/// Whether this library stays out of the program's way.
pub fn is_on() -> bool {
    // Relaxed: set once, by the process's only thread.
    ASIDE.load(Ordering::Relaxed)
}

/// Steps aside, and says why.
pub fn step(why: core::fmt::Arguments<'_>) {
    ASIDE.store(true, Ordering::Relaxed);
    say(format_args!("{why}: this program runs without vmalloc"));
}
