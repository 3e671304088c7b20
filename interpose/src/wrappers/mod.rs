//! Wrappers: functions that take the place of the C library's, by family. Each decides whether a call concerns
//! this library, and hands the others on.

pub mod descriptors;
pub mod exec;
pub mod loading;
pub mod mappings;
pub mod processes;
pub mod signals;
pub mod syscall;
pub mod threads;
pub mod transfers;
