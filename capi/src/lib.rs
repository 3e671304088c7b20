//! libvmpager: explicit C interfaces to the engine, each with a header in `include/`.
//!
//! A door here makes engines of the exact regime, opens regions in them, and says by an
//! [`Outlook`](vmcore::outlook::Outlook) how pages are seen and kept. Entries, frames, policies, slots
//! and the fault path are the engine's.
//!
//! Engines and what faults need of a door lie in memory of their own ([`kept`]), never in malloc's: under
//! libvmalloc.so that memory is paged itself.
#![allow(clippy::missing_safety_doc)] // The headers say what C must promise.

pub mod app;
pub mod decisions;
pub mod faults;
pub mod forks;
pub mod kept;
pub mod mm;
pub mod paged_region;
pub mod stacks;
pub mod vmap;
pub mod window;
