//! Many algorithms at many sizes: the trace is read once, and its spool once for each algorithm.

use crate::lru::Lru;
use crate::opt::{optimum, Opt};
use crate::trace::{Reference, TraceError};
use crate::{Algorithm, Counts, Error, Pager, Spool};

/// What one algorithm counted at one size.
#[derive(Clone, Debug)]
pub struct Row {
    /// The algorithm's name, as it was given.
    pub name: String,
    /// How many frames it had.
    pub frames: u32,
    /// What it counted.
    pub counts: Counts,
}

impl Row {
    /// The row of the CSV whose columns [`CSV_HEADER`](crate::CSV_HEADER) names.
    pub fn csv(&self) -> String {
        self.counts.csv(&self.name, self.frames)
    }
}

/// Replays a trace under each algorithm at each number of frames. The rows come in that order.
pub fn table(
    algorithms: &[(String, Algorithm)],
    frames: &[u32],
    references: impl IntoIterator<Item = Result<Reference, TraceError>>,
) -> Result<Vec<Row>, Error> {
    // Sizes that cannot be are told before a long trace is read.
    frames.iter().try_for_each(|frames| Opt::new(*frames, 0).map(drop))?;
    let spool = Spool::new(references)?;
    let mut rows = Vec::new();
    for (name, algorithm) in algorithms {
        let counts = match *algorithm {
            Algorithm::Policy(policy, sight) => {
                let pagers = frames.iter().map(|frames| Pager::new(policy, *frames, sight));
                let mut pagers = pagers.collect::<Result<Vec<_>, _>>()?;
                spool.each(|reference| {
                    for pager in &mut pagers {
                        pager.access(reference.page(), reference.access());
                    }
                })?;
                pagers.iter().map(|pager| *pager.counts()).collect::<Vec<_>>()
            }
            Algorithm::Lru => {
                let mut lru = Lru::default();
                spool.each(|reference| lru.access(reference.page(), reference.access()))?;
                let curve = lru.finish();
                frames.iter().map(|frames| curve.counts(*frames)).collect()
            }
            Algorithm::Opt => optimum(&spool, frames)?,
        };
        rows.extend(counts.into_iter().zip(frames).map(|(counts, frames)| Row { name: name.clone(), frames: *frames, counts }));
    }
    Ok(rows)
}
