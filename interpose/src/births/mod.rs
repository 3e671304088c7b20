//! Births and deaths: how threads and processes come into being with what this library needs, and what they leave.

pub mod clone;
pub mod exec;
pub mod fork;
pub mod sharing;
pub mod threads;
