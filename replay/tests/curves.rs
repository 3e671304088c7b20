//! LRU at every size, the optimum and working sets against the oracles' tables, and against each other.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may.

use replay::trace::{self, Format, Reference, Trace, TraceError};
use replay::{lru_curve, opt, run, table, working_set, Algorithm, Counts, LruCurve};
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use vmcore::page::Access;
use vmcore::policy::by_name;

fn oracles(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../test-data/oracles").join(name)
}

fn rows(name: &str) -> Vec<HashMap<String, String>> {
    let text = fs::read_to_string(oracles(name)).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<_> = lines.next().unwrap().collect();
    lines.map(|line| names.iter().cloned().zip(line).collect()).collect()
}

fn number(row: &HashMap<String, String>, column: &str) -> u64 {
    row[column].parse().unwrap()
}

fn open(name: &str) -> Trace {
    trace::open(oracles(&format!("traces/{name}.txt")), Format::Page).unwrap()
}

fn names(rows: &[HashMap<String, String>]) -> Vec<&str> {
    let mut names: Vec<_> = rows.iter().map(|row| row["trace"].as_str()).collect();
    names.dedup();
    names
}

fn columns(counts: &Counts) -> [(&'static str, u64); 10] {
    [
        ("refs", counts.refs),
        ("misses", counts.misses),
        ("cold", counts.cold),
        ("refaults", counts.refaults),
        ("evictions", counts.evictions),
        ("writebacks", counts.writebacks),
        ("clean_evictions", counts.clean_evictions),
        ("swapins", counts.swapins),
        ("ref_soft_faults", counts.ref_soft_faults),
        ("dirty_faults", counts.dirty_faults),
    ]
}

#[test]
fn lru_at_each_size_counts_what_the_oracles_count() {
    let rows = rows("expected.csv");
    let mut checked = 0;
    for name in names(&rows) {
        let curve = lru_curve(open(name)).unwrap();
        for row in rows.iter().filter(|row| row["trace"] == name && row["policy"] == "lru") {
            for (column, count) in columns(&curve.counts(number(row, "frames") as u32)) {
                assert_eq!(count, number(row, column), "{column} of {row:?}");
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 67);
}

#[test]
fn lru_has_the_curves_of_the_oracles() {
    let rows = rows("lru_mrc.csv");
    for name in names(&rows) {
        let curve: LruCurve = lru_curve(open(name)).unwrap();
        let steps: Vec<_> = curve.steps().collect();
        let expected = rows.iter().filter(|row| row["trace"] == name);
        let expected: Vec<_> = expected.map(|row| (number(row, "frames") as u32, number(row, "lru_misses"))).collect();
        assert_eq!(steps, expected, "{name}");
    }
}

/// The other columns of the optimum depend on which of the pages leaves that are used never again.
#[test]
fn the_optimum_misses_as_often_as_the_oracles() {
    let rows = rows("expected.csv");
    let mut checked = 0;
    for name in names(&rows) {
        let rows: Vec<_> = rows.iter().filter(|row| row["trace"] == name && row["policy"] == "opt").collect();
        let frames: Vec<_> = rows.iter().map(|row| number(row, "frames") as u32).collect();
        for (row, counts) in rows.iter().zip(opt(&frames, open(name)).unwrap()) {
            for (column, count) in columns(&counts).into_iter().take(5) {
                assert_eq!(count, number(row, column), "{column} of {row:?}");
            }
            assert_eq!(counts.evictions, counts.writebacks + counts.clean_evictions);
            checked += 1;
        }
    }
    assert_eq!(checked, 67);
}

#[test]
fn working_sets_are_those_of_the_oracles() {
    for row in rows("wss.csv") {
        let found = working_set(number(&row, "tau") as usize, open(&row["trace"])).unwrap();
        assert_eq!((found.sum, found.max), (number(&row, "sum_over_t"), number(&row, "max")), "{row:?}");
    }
}

/// A table has what its parts have, and its CSV the oracles' columns.
#[test]
fn a_table_is_its_parts() {
    let names = ["clock", "lru", "opt", "car-r0"];
    let algorithms = names.map(|name| (name.to_owned(), Algorithm::by_name(name).unwrap()));
    let rows = table(&algorithms, &[24, 96], open("phases")).unwrap();
    let read: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.frames)).collect();
    assert_eq!(read, names.iter().flat_map(|name| [(*name, 24), (*name, 96)]).collect::<Vec<_>>());
    assert_eq!(rows[0].counts, run(by_name(b"clock").unwrap(), 24, open("phases")).unwrap());
    assert_eq!(rows[3].counts, lru_curve(open("phases")).unwrap().counts(96));
    assert_eq!([rows[4].counts, rows[5].counts], opt(&[24, 96], open("phases")).unwrap()[..]);
    let columns = replay::CSV_HEADER.split(',').collect::<Vec<_>>();
    let expected = self::rows("expected.csv");
    for (row, policy) in [(&rows[0], "clock"), (&rows[2], "lru"), (&rows[7], "car")] {
        let expected = expected
            .iter()
            .find(|other| other["trace"] == "phases" && other["policy"] == policy && other["frames"] == row.frames.to_string());
        let csv = row.csv();
        for (column, field) in columns.iter().zip(csv.split(',')).skip(1) {
            assert_eq!(expected.unwrap()[*column], field, "{column} of {csv}");
        }
    }
    let message = Algorithm::by_name("mru").unwrap_err().to_string();
    assert!(message.starts_with("mru: no such policy; there are fifo, clock,"), "{message}");
}

/// Pages at random, most of them old acquaintances.
fn random(seed: u64, pages: u64, refs: usize) -> Vec<Reference> {
    let mut state = seed;
    let mut draw = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state >> 33
    };
    let access = |number| if number % 3 == 0 { Access::Write } else { Access::Read };
    (0..refs).map(|_| Reference { page: draw() % (1 + draw() % pages), access: access(draw()) }).collect()
}

fn items(references: &[Reference]) -> impl Iterator<Item = Result<Reference, TraceError>> + '_ {
    references.iter().map(|reference| Ok(*reference))
}

/// LRU and the optimum with a list that is searched from end to end.
fn naive(references: &[Reference], frames: usize, optimal: bool) -> Counts {
    let (mut list, mut dirty, mut swapped, mut seen) = (Vec::<u64>::new(), Vec::new(), Vec::new(), Vec::new());
    let mut counts = Counts { refs: references.len() as u64, ..Counts::default() };
    for (at, &Reference { page, access }) in references.iter().enumerate() {
        let write = access == Access::Write;
        let last = list.last() == Some(&page);
        if let Some(place) = list.iter().position(|other| *other == page) {
            list.remove(place);
            if last || optimal {
                counts.dirty_faults += u64::from(write && !dirty.contains(&page));
            } else {
                counts.ref_soft_faults += 1;
            }
        } else {
            counts.misses += 1;
            counts.cold += u64::from(!seen.contains(&page));
            counts.refaults += u64::from(seen.contains(&page));
            counts.swapins += u64::from(swapped.contains(&page));
            seen.push(page);
            if list.len() == frames {
                let next =
                    |page: &u64| references[at..].iter().position(|reference| reference.page == *page).unwrap_or(usize::MAX);
                let rank = |page: &u64| {
                    let first = seen.iter().position(|other| other == page);
                    (next(page), next(page) == usize::MAX && !dirty.contains(page), std::cmp::Reverse(first))
                };
                let place = if optimal { (0..list.len()).max_by_key(|place| rank(&list[*place])).unwrap() } else { 0 };
                let victim = list.remove(place);
                counts.evictions += 1;
                counts.writebacks += u64::from(dirty.contains(&victim));
                counts.clean_evictions += u64::from(!dirty.contains(&victim));
                if dirty.contains(&victim) {
                    swapped.push(victim);
                }
                dirty.retain(|other| *other != victim);
            }
        }
        list.push(page);
        if write && !dirty.contains(&page) {
            dirty.push(page);
        }
    }
    counts
}

#[test]
fn lru_and_the_optimum_agree_with_searched_lists() {
    for seed in 0..40 {
        let references = random(seed, 2 + seed, 600);
        let curve = lru_curve(items(&references)).unwrap();
        let sizes: Vec<u32> = (1..45).collect();
        let optimum = opt(&sizes, items(&references)).unwrap();
        for (frames, optimum) in sizes.into_iter().zip(optimum) {
            assert_eq!(curve.counts(frames), naive(&references, frames as usize, false), "LRU, seed {seed}, {frames} frames");
            assert_eq!(optimum, naive(&references, frames as usize, true), "the optimum, seed {seed}, {frames} frames");
        }
    }
}

/// Longer than the line of places and than a block of the spool, with more pages than the line has places at first.
#[test]
fn long_traces_are_drawn_together_and_read_in_blocks() {
    let (pages, rounds) = (30_000, 20);
    let references: Vec<_> = (0..rounds * pages).map(|at| Reference { page: 7 * (at % pages), access: Access::Read }).collect();
    let curve = lru_curve(items(&references)).unwrap();
    assert_eq!(curve.steps().collect::<Vec<_>>(), [(1, rounds * pages), (pages as u32, pages)]);
    // A loop of n pages in C frames: the optimum misses n - 1 times in each C - 1 rounds less one.
    let optimum = opt(&[pages as u32 - 1], items(&references)).unwrap()[0];
    assert!(optimum.misses >= pages + rounds - 1 && optimum.misses <= pages + rounds, "{optimum:?}");
}
