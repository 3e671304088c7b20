//! What can be replayed, by name.
//!
//! The name of a policy means what the pager does under it. Of the policies that a pager cannot see
//! all of, `-r0` is what their authors meant: every use of a page is seen, and R is 0 at load. `lru` is exact
//! here; what the pager runs under that name is `segfifo75`.

use crate::Sight;
use vmcore::policy::{by_name, Policy, SegFifo, POLICIES};

/// A way to choose victims.
#[derive(Clone, Copy, Debug)]
pub enum Algorithm {
    /// A policy of the pager.
    Policy(&'static dyn Policy, Sight),
    /// Exact LRU.
    Lru,
    /// Belady's optimum.
    Opt,
}

/// There is none of that name.
#[derive(Debug, thiserror::Error)]
#[error("{0}: no such policy; there are {names}", names = Algorithm::names().join(", "))]
pub struct UnknownAlgorithm(String);

static SEGFIFO_25: SegFifo = SegFifo::new("segfifo25", "segmented FIFO that watches a quarter", 25);
static SEGFIFO_50: SegFifo = SegFifo::new("segfifo50", "segmented FIFO that watches half", 50);
static SEGFIFO_75: SegFifo = SegFifo::new("segfifo75", "segmented FIFO that watches three quarters", 75);

impl Algorithm {
    /// The algorithm of that name.
    pub fn by_name(name: &str) -> Result<Algorithm, UnknownAlgorithm> {
        let live = |policy| Algorithm::Policy(policy, Sight::Live);
        let found = match name {
            "opt" => Some(Algorithm::Opt),
            "lru" => Some(Algorithm::Lru),
            "segfifo25" => Some(live(&SEGFIFO_25 as &dyn Policy)),
            "segfifo50" => Some(live(&SEGFIFO_50)),
            "segfifo75" => Some(live(&SEGFIFO_75)),
            // Names that others use.
            "third" => by_name(b"third-chance").map(live),
            "s3fifo-1" => by_name(b"s3fifo-1e").map(|policy| Algorithm::Policy(policy, Sight::Whole)),
            "car-e" => by_name(b"car").map(live),
            "clockpro-e" => by_name(b"clockpro").map(live),
            _ => match name.strip_suffix("-r0") {
                Some(name) => by_name(name.as_bytes()).map(|policy| Algorithm::Policy(policy, Sight::Whole)),
                None => by_name(name.as_bytes()).map(live),
            },
        };
        found.ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }

    /// The names that documents and messages list.
    pub fn names() -> Vec<&'static str> {
        let policies = POLICIES.iter().map(|policy| policy.name()).filter(|name| *name != "lru");
        let others = ["segfifo50", "segfifo75", "clock-r0", "s3fifo-1", "car-r0", "clockpro-r0", "lru", "opt"];
        policies.chain(others).collect()
    }
}
