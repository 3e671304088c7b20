//! The external pager: a process that serves the page faults of others. See `docs/EXTERNAL_PAGER.md`.
//!
//! Here is what its sides share. [`decisions`] are the document's seven functions, carried out by the engine
//! on a [`machine`] that somebody else provides: the server of `vmalloc pager`, or an infrastructure
//! behind the C++ functions of `vm_pager.h`. [`protocol`] is what the server and the applications say to each
//! other.
//!
//! 'Arena' is the document's word for the addresses of an application that are paged. The engine's
//! arena, the memory of its frames, is not used here: frames belong to the machine.
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod protocol;

pub mod machine;

mod space;

pub mod decisions;
