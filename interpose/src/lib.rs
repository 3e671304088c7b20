//! The interposer: what makes `libvmalloc.so` of the engine (`vmcore`). Preloaded into an unmodified program, that library
//! gives every thread a heap whose pages live in a bounded arena and a swap file. The engine knows nothing of this.
//!
//! The folders are floors, from the lowest to the highest; each calls only those above it in this list, and
//! `tests/floors.rs` checks that. `exports/` makes the library that is preloaded, of one line for each function.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod births;
pub mod guard;
pub mod malloc;
pub mod shared;
pub mod signals;
pub mod start;
pub mod statistics;
pub mod syscalls;
pub mod trap;
pub mod wrappers;

// The libc crate links the C library only for those who use it without std, and another member of the
// workspace uses it with std.
#[link(name = "c")]
unsafe extern "C" {}
