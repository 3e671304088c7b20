//! The malloc family. Whatever enters the gate of a region and works on its heap is in this folder.
//!
//! - `blocks`: how a block is found and freed. `resizing`: how it changes its length. `common`: heaps that are no thread's.
//! - `family`: the functions of the C library. `introspection`: what glibc lets programs ask. `assignment`: those of the
//!   thread-library assignment.
//! - `misuse`: what becomes of a wrong pointer. `native`: the next malloc, for its own blocks and when the library stands aside.
//!   `lookup`: how its functions are found by a dlsym that itself allocates.

pub mod assignment;
pub mod blocks;
pub mod common;
pub mod family;
pub mod introspection;
mod lookup;
mod misuse;
mod native;
mod resizing;
