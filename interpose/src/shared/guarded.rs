//! Whether system calls are guarded: two facts about the whole process, which several floors ask for.

use core::sync::atomic::{AtomicBool, Ordering};

/// Pages may be absent: every thread's calls are guarded. The assembly of `guard/direct.rs` reads it too.
pub static ARMED: AtomicBool = AtomicBool::new(false);
/// The kernel has refused Syscall User Dispatch: only direct calls can be guarded.
pub static REFUSED: AtomicBool = AtomicBool::new(false);

/// Whether the kernel has refused dispatch.
pub fn is_refused() -> bool {
    // Relaxed: it was set at the start, or by the thread that asks.
    REFUSED.load(Ordering::Relaxed)
}
