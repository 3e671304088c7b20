//! Wrappers of the C library's functions for signals.

pub mod actions;
pub mod jumps;
pub mod old;
pub mod waits;
