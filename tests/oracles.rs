//! Do the policies decide as the textbooks, other simulators and a course project's reference say?
//!
//! The data and the rules behind it are described in `test-data/oracles/README.md`. The pager here is the
//! one without memory in `replay/`; `tests/exact.rs` asks the same of the real one.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may.

mod oracle;

use std::collections::HashMap;

use oracle::course::{self, Reference};
use oracle::{number, read, rows, Traces};
use replay::{Algorithm, Counts, Numbering, Pager, Sight};
use vmcore::page::Access;
use vmcore::policy::{by_name, Policy};

/// The counts after a trace under a policy.
fn replay(trace: &[(u32, Access)], policy: &'static dyn Policy, frames: u32, sight: Sight) -> Counts {
    let mut pager = Pager::new(policy, frames, sight).unwrap();
    let mut numbering = Numbering::default();
    for &(page, access) in trace {
        pager.access(numbering.number(page.into()).unwrap(), access);
    }
    *pager.counts()
}

/// The policy that a row is about, and what it sees; none if LRU or the optimum, which `replay/` checks.
fn policy_of(row: &str) -> Option<(&'static dyn Policy, Sight)> {
    let name = match row {
        // In these rows every use is seen, as their authors meant; a pager sees what those with `-e` say.
        "car" => "car-r0",
        "clockpro" => "clockpro-r0",
        name => name,
    };
    match Algorithm::by_name(name).expect("an algorithm that exists") {
        Algorithm::Policy(policy, sight) => Some((policy, sight)),
        Algorithm::Lru | Algorithm::Opt => None,
    }
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
    let mut clockpro = Vec::new();
    for row in &rows {
        let Some((policy, sight)) = policy_of(row["policy"]) else {
            continue;
        };
        let frames = number(row, "frames") as u32;
        let counts = replay(traces.get(row["trace"]), policy, frames, sight);
        assert!(counts.misses >= optimum[&(row["trace"], row["frames"])]);
        let columns: Vec<_> = replay::CSV_HEADER.split(',').collect();
        let csv = counts.csv(row["policy"], frames);
        let expected: Vec<_> = columns.iter().map(|column| row[column]).collect();
        if row["policy"].starts_with("clockpro") {
            clockpro.push((csv == expected.join(","), counts.misses, number(row, "misses")));
        } else {
            assert_eq!(csv, expected.join(","), "of {row:?}, in {columns:?}");
            *checked.entry(row["policy"]).or_insert(0) += 1;
        }
    }
    let rows = |policy: &str| checked.get(policy).copied().unwrap_or(0);
    for policy in ["fifo", "clock", "clock-r0", "third", "random"] {
        assert_eq!(rows(policy), 67, "{policy}");
    }
    for policy in ["segfifo25", "segfifo50", "s3fifo-1", "s3fifo-1e", "car", "car-e"] {
        assert_eq!(rows(policy), 64, "{policy}");
    }
    clockpro_is_as_good_as_the_oracles(&clockpro);
}

/// The program behind the rows of CLOCK-Pro, which nobody confirmed, lets its test hand push its cold
/// hand, and so evicts two pages at some misses. Ours never does, and counts the same in two of three
/// rows. In the sum it misses as often, to a thousandth.
fn clockpro_is_as_good_as_the_oracles(rows: &[(bool, u64, u64)]) {
    assert_eq!(rows.iter().filter(|(equal, ..)| *equal).count(), 83);
    assert_eq!(rows.len(), 2 * 64);
    let [ours, theirs] = rows.iter().fold([0, 0], |[ours, theirs], row| [ours + row.1, theirs + row.2]);
    assert!(ours * 1000 <= theirs * 1001, "{ours} misses, {theirs} by the oracles");
}

/// Random replacement lies where random replacement lies.
#[test]
fn random_is_within_its_band() {
    let table = read("random_band.csv");
    let mut traces = Traces::default();
    let random = by_name(b"random").unwrap();
    for row in rows(&table) {
        let counts = replay(traces.get(row["trace"]), random, number(&row, "frames") as u32, Sight::Live);
        let [mean, sd]: [f64; 2] = ["mean", "sd"].map(|column| row[column].parse().unwrap());
        let distance = (counts.misses as f64 - mean).abs();
        assert!(distance <= 5.0 * sd, "{} in {row:?}", counts.misses);
    }
}

/// Belady's anomaly: with more frames, fifo faults more often.
#[test]
fn beladys_string_has_its_anomaly() {
    let string: Vec<_> = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5].map(|page| (page, Access::Read)).into();
    let fifo = |frames| replay(&string, by_name(b"fifo").unwrap(), frames, Sight::Live).misses;
    assert_eq!((fifo(3), fifo(4)), (9, 10));
}

/// The logs of a course project's memory manager: each fault in its order, with its kind, the page
/// that left, whether it was written, and the frame.
#[test]
fn faults_come_as_in_the_logs_of_the_course_project() {
    course::logs_agree(|policy, frames, references| {
        let mut pager = Pager::new(by_name(policy.as_bytes()).unwrap(), frames, Sight::Live).unwrap();
        let fault = |reference: &Reference| {
            let replay::Fault { kind, dirtied, frame, evicted } = pager.access(reference.page, reference.access)?;
            Some(course::Fault { kind, dirtied, frame, evicted }.line(reference))
        };
        references.iter().filter_map(fault).collect()
    });
}
