//! `docs/POLICIES.md` has the counts that the policies have.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may.

use replay::trace::{self, Format};
use replay::{table, Algorithm};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

/// The traces that are not a textbook's few lines, each with the sizes of the oracles' table.
const TRACES: [(&str, &[u32]); 5] = [
    ("zipf", &[20, 50, 100, 200, 400, 800]),
    ("scanhot", &[20, 50, 64, 80, 128, 200]),
    ("phases", &[24, 48, 72, 96, 120, 144]),
    ("loop110", &[20, 55, 80, 100, 109, 110]),
    ("realprog", &[24, 48, 64, 96, 128, 192, 256]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Misses over the optimum's, the geometric mean over the sizes of each trace; and sampling faults for each miss,
/// over all.
fn counts_table() -> String {
    let names = Algorithm::names();
    let algorithms: Vec<_> = names.iter().map(|name| (name.to_string(), Algorithm::by_name(name).unwrap())).collect();
    let mut ratios = vec![Vec::new(); names.len()];
    let mut faults = vec![(0, 0); names.len()];
    for (name, frames) in TRACES {
        let path = root().join(format!("test-data/oracles/traces/{name}.txt"));
        let rows = table(&algorithms, frames, trace::open(path, Format::Page).unwrap()).unwrap();
        let rows: Vec<_> = rows.chunks(frames.len()).collect();
        for (number, row) in rows.iter().enumerate() {
            let logs = row
                .iter()
                .zip(*rows.last().unwrap())
                .map(|(row, opt)| (row.counts.misses as f64 / opt.counts.misses as f64).ln());
            ratios[number].push((logs.sum::<f64>() / frames.len() as f64).exp());
            for row in *row {
                faults[number].0 += row.counts.ref_soft_faults;
                faults[number].1 += row.counts.misses;
            }
        }
    }
    let mut text = format!("| policy | {} | sampling faults per miss |\n", TRACES.map(|(name, _)| name).join(" | "));
    writeln!(text, "|---|{}--:|", "--:|".repeat(TRACES.len())).unwrap();
    for ((name, ratios), (sampled, misses)) in names.iter().zip(ratios).zip(faults) {
        let ratios: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        writeln!(text, "| `{name}` | {} | {:.2} |", ratios.join(" | "), sampled as f64 / misses as f64).unwrap();
    }
    text
}

#[test]
fn the_page_has_the_counts() {
    let page = fs::read_to_string(root().join("docs/POLICIES.md")).unwrap();
    let table = counts_table();
    assert!(page.contains(&table), "docs/POLICIES.md must have this table:\n\n{table}");
}
