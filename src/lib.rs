//! The engine: a virtual memory system inside one process. See `docs/ARCHITECTURE.md`.
//!
//! Rules for everything in this crate, because it runs below a SIGSEGV handler: no allocation, no
//! panic, no std lock, errno kept, raw system calls, no lock held while touching program memory.
//! The first three are enforced by what links (`proof/`), the rest by what this crate has access to.
//!
//! The rooms stand in this order, and each may call only those above it. `README.md` beside this file says what each is.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

// Blank lines keep rustfmt from sorting the list.

// Numbers, sizes, settings, and who should leave: pure.
pub mod index;
pub mod units;

pub mod bitmap;
pub mod policy;

pub mod config;

// The system: raw calls, and how threads wait for each other.
pub mod sys;

pub mod sync;

pub mod descriptor;
pub mod report;

// Where a page is, which bytes belong to which block, and what is told of it.
pub mod page;

pub mod heap;

pub mod events;

// The parts, each of which owns its state.
pub mod charge;
pub mod frames;

pub mod mapper;
pub mod swap;

pub mod region;

pub mod learning;

// The parts put together.
pub mod engine;

// The life of a page, and of a region.
pub mod pager;

pub mod regions;

pub mod opened;

// What is not paged, and what is copied.
pub mod fork;
pub mod shared_region;
