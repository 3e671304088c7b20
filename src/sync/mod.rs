//! How threads wait for each other below the fault handler: futexes, a lock, and the gate of a heap. The files stand in
//! their order, each using only those above it.

pub mod atomic;
pub mod futex;
mod lock;

mod gate;

pub use gate::{prepare, Closed, Closer, Gate, Inside};
pub use lock::{Guard, Lock};
