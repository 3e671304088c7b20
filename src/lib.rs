//! The engine: a virtual memory system inside one process. See `docs/ARCHITECTURE.md`.
//!
//! Rules for everything in this crate, because it runs below a SIGSEGV handler: no allocation, no
//! panic, no std lock, errno kept, raw system calls, no lock held while touching program memory.
//! The first three are enforced by what links (`proof/`), the rest by what this crate has access to.
//!
//! Each room may use only the rooms above it in this list.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

// Pure rooms: no unsafe code, no system calls. Tests, simulators and production run the same code.
pub mod units;
pub mod policy;
pub mod config;
pub mod stats;
pub mod trace;
pub mod bitmap;
pub mod frames;
pub mod swap_map;
pub mod pte;
pub mod fault;
pub mod heap;
pub mod page_table;

// Rooms with mechanism: system calls, shared state, unsafe code.
pub mod sys;
pub mod report;
pub mod lock;
pub mod gate;
pub mod arena;
pub mod swap_file;
pub mod trace_log;
pub mod span;
pub mod region;
pub mod engine;
pub mod regions;
pub mod promise;
pub mod reclaim;
pub mod pager;
pub mod pin;
pub mod moving;
pub mod shared_region;
pub mod fork;
