//! Calls that concern what is ours: they are answered here, for the trap and for the C library's functions.

pub mod descriptors;
pub mod mappings;
