//! Regions: the contiguous virtual memory of one thread's heap each: where they lie, what is known of each, and how a
//! door may have its own seen and kept.
//!
//! The files stand in their order, each using only those above it.

mod span;

mod outlook;
mod record;

mod list;

pub use list::{FreeRegions, RegionList};
pub use outlook::{Outlook, Store};
pub use record::{Owner, Region};
pub use span::{Span, BASE, END, RECORD};
