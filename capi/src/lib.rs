//! libvmpager: explicit C interfaces to the engine, each with a header in `include/`.
//!
//! A door here makes engines of the exact regime, opens regions in them, and says by an
//! [`Outlook`](vmcore::outlook::Outlook) how pages are seen and kept. Entries, frames, policies, slots
//! and the fault path are the engine's.
//!
//! Engines and what faults need of a door lie in memory of their own ([`kept`]), never in malloc's: under
//! libvmalloc.so that memory is paged itself.
#![allow(clippy::missing_safety_doc)] // The headers say what C must promise.

// The modules stand in their order: each uses only those above it. `checks/` holds them to that.

// Memory of our own.
pub mod kept;

// Faults: the handler, and the stack that it runs on.
pub mod faults;

pub mod stacks;

// What a fork holds and lets go of.
pub mod forks;

// A stretch of address space in which pages are shown.
pub mod window;

// The doors.
pub mod app;
pub mod decisions;
pub mod mm;
pub mod paged_region;
pub mod vmap;
