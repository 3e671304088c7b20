//! The external pager as a process: applications connect to its socket, fault, and are served.
//!
//! What to do is decided by `external_pager::decisions`, on the engine. Here is what surrounds it: the socket and
//! who is let in, whose turn it is, the memory and the disk, and the trace.

mod events;
mod memory;
mod requests;
mod server;
mod session;
pub mod socket;
mod turns;

pub use events::{say, Events};
pub use memory::Memory;
pub use server::Server;
