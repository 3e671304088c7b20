//! What every floor uses: the one engine of the process, the records of threads, the kernel's own forms
//! of signals and contexts, and the C library's functions behind ours. Nothing here knows who asks.

pub mod aside;
pub mod descriptors;
pub mod ends;
pub mod engine;
pub mod errno;
pub mod gauges;
pub mod guarded;
pub mod kernel;
pub mod next;
pub mod own_text;
pub mod room;
pub mod thread;
pub mod ucontext;
