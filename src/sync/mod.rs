//! How threads wait for each other below the fault handler: futexes, a lock, and the gate of a heap.

pub mod atomic;
pub mod futex;
mod gate;
mod lock;

pub use gate::{prepare, Closed, Closer, Gate, Inside};
pub use lock::{Guard, Lock};
