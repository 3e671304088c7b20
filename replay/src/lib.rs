//! Page reference traces replayed: through the policies that the pager itself runs, through exact LRU,
//! and through Belady's optimum.
//!
//! [`trace::open`] reads a trace in one of several formats, [`run`] replays it under one policy with one number of
//! frames, [`table`] under many, with few passes over it, [`lru_curve`] gives LRU at every size at once and
//! [`opt`] the optimum. Memory grows with the pages of a trace and the frames, not with its references.
//!
//! | file          | what                                                                 |
//! |---------------|----------------------------------------------------------------------|
//! | `trace`       | formats, read reference by reference                                  |
//! | `numbering`   | pages numbered densely in the order in which they come                |
//! | `counts`      | what is counted, and its CSV                                          |
//! | `pager`       | a pager without memory around a policy                                |
//! | `lru`         | stack distances (Mattson), all sizes in one pass                      |
//! | `spool`       | a trace in a temporary file, read forwards and backwards              |
//! | `opt`         | Belady's optimum, in two passes over the spool                        |
//! | `working_set` | how many pages were used in the last so many references               |
//! | `algorithm`   | what can be replayed, by name                                         |
//! | `table`       | many algorithms and sizes                                             |
#![forbid(unsafe_code)]

mod algorithm;
mod counts;
mod lru;
mod numbering;
mod opt;
mod pager;
mod spool;
mod table;
pub mod trace;
mod working_set;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use counts::{Counts, CSV_HEADER};
pub use lru::{lru_curve, LruCurve, StackDistances};
pub use numbering::Numbering;
pub use opt::opt;
pub use pager::{Fault, Pager, Sight};
pub use spool::Spool;
pub use table::{table, Row};
pub use working_set::{working_set, WorkingSet};

use trace::{Reference, TraceError};
use vmcore::policy::Policy;

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// Nothing to replay.
    #[error("the trace has no references; record it again, or see whether its format was meant")]
    Empty,
    /// No pager has so many frames.
    #[error("{0} frames: give a number from 1 to {most}", most = MOST_FRAMES)]
    Frames(u64),
    /// Page numbers have 31 bits.
    #[error("the trace has more than 2147483647 pages; replay a part of it, or larger pages")]
    TooManyPages,
    /// The temporary file failed.
    #[error("a temporary file cannot be written or read: {0}; set TMPDIR to a directory with room")]
    Spool(#[from] std::io::Error),
}

/// More frames would not be a pager's, and their bookkeeping would fill the memory.
pub const MOST_FRAMES: u32 = 1 << 28;

/// Replays a trace under a policy with so many frames, as the pager would serve it.
pub fn run(
    policy: &'static dyn Policy,
    frames: u32,
    references: impl IntoIterator<Item = Result<Reference, TraceError>>,
) -> Result<Counts, Error> {
    let mut pager = Pager::new(policy, frames, Sight::Live)?;
    let mut numbering = Numbering::default();
    for reference in references {
        let reference = reference?;
        pager.access(numbering.number(reference.page)?, reference.access);
    }
    Ok(*pager.counts())
}
