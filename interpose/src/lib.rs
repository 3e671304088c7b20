//! The interposer: what makes `libvmalloc.so` of the engine (`vmcore`). Preloaded into an unmodified program, that library
//! gives every thread a heap whose pages live in a bounded arena and a swap file. The engine knows nothing of this.
//!
//! The folders are floors, from the lowest to the highest; each calls only those above it in this list, and
//! `checks/` asks the compiler whether they do. `exports/` makes the library that is preloaded, of one line for each function.
#![no_std]

#[cfg(test)]
extern crate std;

// The engine, the records of threads, the kernel's own forms, the real functions of the C library.
pub mod shared;

// What a system call points to, how its buffers are pinned, and how it is made.
pub mod syscalls;

// What is told about the process when it ends.
pub mod statistics;

// SIGSEGV is ours without the program noticing.
pub mod signals;

// How the system calls of a thread come to be trapped.
pub mod guard;

// How threads and processes come into being, and what they leave.
pub mod births;

// What happens in a trap, and how the guard is switched on.
pub mod trap;

// How the engine is made.
pub mod start;

// The malloc family.
pub mod malloc;

// The other functions that take the place of the C library's.
pub mod wrappers;

// The libc crate links the C library only for those who use it without std, and another member of the
// workspace uses it with std.
#[link(name = "c")]
unsafe extern "C" {}
