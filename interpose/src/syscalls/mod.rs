//! System calls: what a call points to, how its buffers are pinned, and how it is made. Nobody here knows how a
//! call comes to be trapped, or who asks.
//!
//! - `table`: one row for each call. `shapes`: what an argument points to, and the walk that finds it. Both are pure.
//! - `memory`: the program's memory, looked at without a fault. `pins`: where the buffers of a call are pinned.
//! - `execution`: pins, and makes the call. `transfers`: what cannot be pinned whole. `requests`: what the kernel
//!   works on after the call. `kept`: what it keeps for good.
//! - `own`: calls that concern mappings and descriptors of ours.
//! - `failures`: what is told at the end where calls cannot be guarded.

pub mod execution;
pub mod failures;
pub mod kept;
pub mod memory;
pub mod own;
pub mod pins;
pub mod requests;
pub mod shapes;
pub mod table;
pub mod transfers;

#[cfg(test)]
mod walk_tests;
