//! The numbers of the calls by their names: libc's, and those of the calls that it does not know yet.
#![allow(non_upper_case_globals, missing_docs)]
#![forbid(unsafe_code)]

// What stands below takes the place of a name that libc may come to know.
pub use libc::*;

pub const SYS_io_pgetevents: libc::c_long = 333;
pub const SYS_cachestat: libc::c_long = 451;
pub const SYS_map_shadow_stack: libc::c_long = 453;
pub const SYS_futex_wake: libc::c_long = 454;
pub const SYS_futex_wait: libc::c_long = 455;
pub const SYS_futex_requeue: libc::c_long = 456;
pub const SYS_statmount: libc::c_long = 457;
pub const SYS_listmount: libc::c_long = 458;
