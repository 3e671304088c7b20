//! Ways to show a comparison, one file each. Text and Markdown show the columns made here.

pub mod json;
pub mod markdown;
pub mod text;

use std::io::Write;

use vmcore::events::stats::{Counter, Eviction, FaultKind};
use vmcore::units::HumanSize;

use crate::results::{Comparison, Row};

/// Prints a table on stdout; a reader that went away is an error, no panic.
pub fn print(table: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{table}")?;
    stdout.flush()
}

/// What stands in place of a figure that a run did not leave.
const MISSING: &str = "-";

/// A column of counts: its title, and the counter.
fn counted() -> Vec<(String, Counter)> {
    // A stray fault is not ours, so it says nothing about a policy.
    let faults = FaultKind::ALL.into_iter().filter(|kind| *kind != FaultKind::Stray).map(FaultKind::counter);
    let evictions = Eviction::ALL.into_iter().map(Eviction::counter);
    let titled = |group: &'static str| move |counter: Counter| (format!("{group}{}", counter.key().replace('_', " ")), counter);
    faults.map(titled("")).chain(evictions.map(titled("evicted "))).collect()
}

/// Amounts of swap traffic: the title, and the counter of bytes.
const TRAFFIC: [(&str, Counter); 2] = [("MiB read", Counter::SwapBytesRead), ("MiB written", Counter::SwapBytesWritten)];

/// The titles of the columns. The first two and the last are words, all others numbers.
pub fn header() -> Vec<String> {
    let mut titles = vec!["policy".into(), "arena".into()];
    titles.extend(counted().into_iter().map(|(title, _)| title));
    titles.extend(TRAFFIC.iter().map(|(title, _)| (*title).into()));
    titles.extend(["× native".into(), "output".into()]);
    titles
}

/// One row of the table for each setting.
pub fn rows(comparison: &Comparison) -> impl Iterator<Item = Vec<String>> + '_ {
    comparison.settings.iter().map(cells)
}

fn cells(row: &Row) -> Vec<String> {
    let figure = |counter, show: &dyn Fn(u64) -> String| {
        let totals = row.statistics.as_ref();
        totals.map_or(MISSING.into(), |totals| show(totals.get(counter)))
    };
    let mut cells = vec![row.policy.clone(), HumanSize(row.arena).to_string()];
    for (_, counter) in counted() {
        cells.push(figure(counter, &|count| count.to_string()));
    }
    for (_, counter) in TRAFFIC {
        cells.push(figure(counter, &|bytes| format!("{:.1}", mebibytes(bytes))));
    }
    cells.push(format!("{:.2}", row.relative));
    let verdict = match row.difference {
        None => "same",
        Some(_) => "DIFFERENT",
    };
    cells.push(verdict.into());
    cells
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample;

    #[test]
    fn every_row_has_every_column() {
        let comparison = sample::comparison();
        for row in rows(&comparison) {
            assert_eq!(row.len(), header().len());
        }
    }

    #[test]
    fn figures_stand_under_their_titles() {
        let comparison = sample::comparison();
        let cell = |row: usize, title: &str| {
            let column = header().iter().position(|name| name == title);
            let row = rows(&comparison).nth(row).expect("a row");
            row.get(column.expect("a column")).cloned().expect("a cell")
        };
        assert_eq!(cell(0, "policy"), "fifo");
        assert_eq!(cell(0, "arena"), "1M");
        assert_eq!(cell(0, "first touch"), "5000");
        assert_eq!(cell(0, "swap in"), "120");
        assert_eq!(cell(0, "evicted dirty"), "70");
        assert_eq!(cell(0, "evicted clean"), "0");
        assert_eq!(cell(0, "MiB read"), "0.5");
        assert_eq!(cell(0, "MiB written"), "1.5");
        assert_eq!(cell(0, "× native"), "1.50");
        assert_eq!(cell(0, "output"), "same");
        assert_eq!(cell(1, "swap in"), "-");
        assert_eq!(cell(1, "output"), "DIFFERENT");
    }
}
