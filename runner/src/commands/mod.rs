//! One file for each subcommand.

pub mod compare;
pub mod options;
pub mod pager;
pub mod report;
pub mod run;
