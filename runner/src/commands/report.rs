//! `vmalloc report`: statistics files as short tables.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::ArgMatches;
use serde_json::{Map, Value};
use vmcore::units::HumanSize;

use crate::export::{self, text};
use crate::statistics::Statistics;

pub fn main(args: &ArgMatches) -> Result<ExitCode> {
    for path in args.get_many::<PathBuf>("files").unwrap_or_default() {
        export::print(&render(&Statistics::read(path)?))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render(statistics: &Statistics) -> String {
    let word = |key| statistics.get(key).map_or("?".into(), plain);
    let mut table = text::table();
    table.set_header([word("program"), format!("pid {}, {} threads", word("pid"), word("threads"))]);
    for (name, group) in statistics.groups() {
        let show = if name == "config" { size } else { plain };
        table.add_row([name.as_str(), &line(group, show)]);
    }
    table.to_string()
}

fn line(group: &Map<String, Value>, show: impl Fn(&Value) -> String) -> String {
    let pairs = group.iter();
    let pairs: Vec<_> = pairs.map(|(key, value)| format!("{} {}", key.replace('_', " "), show(value))).collect();
    pairs.join(", ")
}

/// The settings are sizes, and the name of the policy.
fn size(value: &Value) -> String {
    let bytes = value.as_u64();
    bytes.map_or_else(|| plain(value), |bytes| HumanSize(bytes).to_string())
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_become_lines() {
        let json = br#"{"version": 1, "pid": 42, "program": "sort", "threads": 2,
            "config": {"arena": 8388608, "policy": "clock"}, "faults": {"first_touch": 7, "swap_in": 0},
            "threads_detail": [{"id": 0}]}"#;
        let text = render(&Statistics::parse(json).expect("good JSON"));
        for words in ["sort", "pid 42, 2 threads", "arena 8M, policy clock", "first touch 7, swap in 0"] {
            assert!(text.contains(words), "{words:?} is missing:\n{text}");
        }
        assert!(!text.contains("threads_detail"));
    }
}
