//! One file for each subcommand.

pub mod compare;
pub mod options;
pub mod report;
pub mod run;
