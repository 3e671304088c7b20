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
// Blank lines keep rustfmt from sorting the list.

// How things are numbered.
pub mod index;

// Settings, and what is counted.
pub mod policy;
pub mod units;

pub mod config;

pub mod stats;
pub mod trace;

// Which frame, which slot.
pub mod bitmap;

pub mod frames;
pub mod swap_map;

// Where a page is, and what a touch of it asks for.
pub mod pte;

pub mod fault;
pub mod page_table;

// Which bytes belong to which block.
pub mod heap;

// Rooms with mechanism: system calls, shared state, unsafe code.

pub mod sys;

pub mod lock;

pub mod descriptor;
pub mod report;

pub mod gate;

// What pages lie in, and where.
pub mod arena;
pub mod outlook;
pub mod span;
pub mod swap_file;
pub mod trace_log;

// The parts put together: the engine, one region, all regions.
pub mod engine;
pub mod region;
pub mod regions;

// How a page is seen, kept, promised, leaves, comes, stays, and moves.
pub mod view;

pub mod store;

pub mod live_bits;
pub mod promise;

pub mod reclaim;

pub mod pager;
pub mod pin;

pub mod kept_stack;
pub mod moving;
pub mod opened;
pub mod terms;

// What is not paged, and what is copied.
pub mod fork;
pub mod shared_region;
