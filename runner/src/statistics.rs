//! The JSON statistics that a run leaves: reading them, and adding up those of several processes.
//! What is counted is the engine's own table, so a new counter needs no line here.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use vmcore::events::stats::{Counter, Eviction, COUNTERS};

/// The statistics file of one process.
pub struct Statistics(Map<String, Value>);

impl Statistics {
    /// Reads one file.
    pub fn read(path: &Path) -> Result<Statistics> {
        let named = || format!("cannot read the statistics {}", path.display());
        let text = std::fs::read(path).with_context(named)?;
        Statistics::parse(&text).with_context(named)
    }

    /// Reads the text of one file.
    pub fn parse(text: &[u8]) -> Result<Statistics> {
        Ok(Statistics(serde_json::from_slice(text)?))
    }

    /// A value at the top: a number, a text, or a group of numbers.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// The groups (`frames`, `faults`, ...) in the order of the file.
    pub fn groups(&self) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
        let groups = self.0.iter();
        groups.filter_map(|(key, value)| value.as_object().map(|group| (key, group)))
    }

    fn counter(&self, group: &str, key: &str) -> u64 {
        let value = self.0.get(group).and_then(|group| group.get(key));
        value.and_then(Value::as_u64).unwrap_or(0)
    }
}

/// The counters of all processes of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    processes: u64,
    /// In the order of [`COUNTERS`].
    counters: Vec<u64>,
}

impl Totals {
    /// Adds up every file in a directory; `None` if there is none, or one is damaged.
    pub fn of_directory(directory: &Path) -> Option<Totals> {
        let mut totals = None;
        for entry in std::fs::read_dir(directory).ok()? {
            let statistics = Statistics::read(&entry.ok()?.path()).ok()?;
            totals.get_or_insert_with(Totals::default).add(&statistics);
        }
        totals
    }

    /// Adds one process.
    pub fn add(&mut self, statistics: &Statistics) {
        self.processes += 1;
        self.counters.resize(COUNTERS.len(), 0);
        for (total, spec) in self.counters.iter_mut().zip(&COUNTERS) {
            *total += statistics.counter(spec.group, spec.key);
        }
    }

    /// The sum of one counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.counters.get(counter as usize).copied().unwrap_or(0)
    }

    /// Pages that left memory, in whatever way.
    pub fn evictions(&self) -> u64 {
        let kinds = Eviction::ALL.iter();
        kinds.map(|kind| self.get(kind.counter())).sum()
    }
}

/// The same shape as in the files: an object for each group.
impl Serialize for Totals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape<'a> {
            processes: u64,
            #[serde(flatten)]
            groups: BTreeMap<&'a str, BTreeMap<&'a str, u64>>,
        }
        let mut groups: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (spec, total) in COUNTERS.iter().zip(&self.counters) {
            groups.entry(spec.group).or_default().insert(spec.key, *total);
        }
        let processes = self.processes;
        Shape { processes, groups }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[u8] = br#"{"version": 1, "program": "sort", "added later": [],
        "faults": {"first_touch": 3, "swap_in": 2}, "swap": {"bytes_read": 8192}}"#;

    #[test]
    fn processes_are_added_up() {
        let statistics = Statistics::parse(ONE).expect("good JSON");
        let mut totals = Totals::default();
        totals.add(&statistics);
        totals.add(&statistics);
        assert_eq!(totals.get(Counter::FirstTouch), 6);
        assert_eq!(totals.get(Counter::SwapBytesRead), 16384);
        assert_eq!(totals.get(Counter::EvictedDirty), 0, "a missing counter is zero");
        let json = serde_json::to_value(&totals).expect("JSON");
        assert_eq!(json.pointer("/faults/swap_in"), Some(&Value::from(4)));
        assert_eq!(json.get("processes"), Some(&Value::from(2)));
    }

    #[test]
    fn a_run_without_a_good_file_has_no_totals() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(Totals::of_directory(directory.path()), None);
        std::fs::write(directory.path().join("1.json"), ONE).expect("a file");
        assert!(Totals::of_directory(directory.path()).is_some());
        std::fs::write(directory.path().join("2.json"), "{").expect("a file");
        assert_eq!(Totals::of_directory(directory.path()), None);
    }
}
