//! Pages: where each one is, what a touch of it asks for, and who may change that.
//!
//! [`Pte`] is a value, [`Entry`] the word that holds it, [`Token`] the right to end a transition,
//! [`plan`] the fault planner, and [`table`] what a region knows of all its pages.
//!
//! The files stand in their order, each using only those above it.
#![forbid(unsafe_code)]

mod pte;

mod plan;

mod entry;
pub mod table;

pub use entry::{Entry, Token};
pub use plan::{granted, plan, Plan};
pub use pte::{Access, Pte, State};
