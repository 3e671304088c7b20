//! Do the policies decide as the textbooks, other simulators and a course project's reference say?
//!
//! The data and the rules behind it are described in `test-data/oracles/README.md`.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may.

mod oracle;
mod simulator;

use std::collections::HashMap;

use oracle::course::{self, Reference};
use oracle::{number, read, rows, Traces};
use simulator::Simulator;
use vmcore::policy::by_name;
use vmcore::events::stats::{Counters, Eviction, FaultKind};
use vmcore::page::Access;

/// The counters after a trace under a policy of that name.
fn replay(trace: &[(u32, Access)], policy: &str, frames: u32) -> Counters {
    let policy = by_name(policy.as_bytes()).expect("a policy that exists");
    let mut simulator = Simulator::new(policy, frames);
    for &(page, access) in trace {
        simulator.access(page, access);
    }
    simulator.counters
}

fn faults(counters: &Counters, kind: FaultKind) -> u64 {
    counters.get(kind.counter())
}

fn misses(counters: &Counters) -> u64 {
    faults(counters, FaultKind::FirstTouch) + faults(counters, FaultKind::SwapIn)
}

/// Every count of every row, exactly; no policy below the optimum.
#[test]
fn counts_are_those_of_the_oracles() {
    let table = read("expected.csv");
    let rows = rows(&table);
    let optimum: HashMap<_, _> = rows
        .iter()
        .filter(|row| row["policy"] == "opt")
        .map(|row| ((row["trace"], row["frames"]), number(row, "misses")))
        .collect();
    let mut traces = Traces::default();
    let mut checked = HashMap::new();
    for row in &rows {
        let policy = match row["policy"] {
            "opt" => continue,
            "third" => "third-chance",
            name => name,
        };
        let counters = replay(traces.get(row["trace"]), policy, number(row, "frames") as u32);
        let evictions = |kind: Eviction| counters.get(kind.counter());
        for (column, count) in [
            ("misses", misses(&counters)),
            ("writebacks", evictions(Eviction::Dirty)),
            ("clean_evictions", evictions(Eviction::Clean) + evictions(Eviction::Zero)),
            ("swapins", faults(&counters, FaultKind::SwapIn)),
            ("ref_soft_faults", faults(&counters, FaultKind::Reference)),
            ("dirty_faults", faults(&counters, FaultKind::FirstWrite)),
        ] {
            assert_eq!(count, number(row, column), "{column} of {row:?}");
        }
        assert!(misses(&counters) >= optimum[&(row["trace"], row["frames"])]);
        *checked.entry(policy).or_insert(0) += 1;
    }
    for policy in vmcore::policy::POLICIES {
        assert_eq!(checked.get(policy.name()), Some(&67), "{policy:?}");
    }
}

/// Random replacement lies where random replacement lies.
#[test]
fn random_is_within_its_band() {
    let table = read("random_band.csv");
    let mut traces = Traces::default();
    for row in rows(&table) {
        let counters = replay(traces.get(row["trace"]), "random", number(&row, "frames") as u32);
        let [mean, sd]: [f64; 2] = ["mean", "sd"].map(|column| row[column].parse().unwrap());
        let distance = (misses(&counters) as f64 - mean).abs();
        assert!(distance <= 5.0 * sd, "{} in {row:?}", misses(&counters));
    }
}

/// Belady's anomaly: with more frames, fifo faults more often.
#[test]
fn beladys_string_has_its_anomaly() {
    let string: Vec<_> = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5].map(|page| (page, Access::Read)).into();
    assert_eq!(misses(&replay(&string, "fifo", 3)), 9);
    assert_eq!(misses(&replay(&string, "fifo", 4)), 10);
}

/// The logs of a course project's memory manager: each fault in its order, with its kind, the page
/// that left, whether it was written, and the frame.
#[test]
fn faults_come_as_in_the_logs_of_the_course_project() {
    course::logs_agree(|policy, frames, references| {
        let mut simulator = Simulator::new(by_name(policy.as_bytes()).unwrap(), frames);
        let fault = |reference: &Reference| {
            let simulator::Fault { kind, dirtied, frame, evicted } = simulator.access(reference.page, reference.access)?;
            Some(course::Fault { kind, dirtied, frame, evicted }.line(reference))
        };
        references.iter().filter_map(fault).collect()
    });
}
