//! How many references a second each part replays, on one core:
//! `cargo run --release -p replay --example speed`.
//!
//! The trace is synthetic: 20 million references to 100,000 pages, most of them to few, in runs of four as a recorder
//! with a window has them, one in four a write. It is written to a file and read from there, too.

use replay::trace::{self, Format, Reference, TraceError};
use replay::{lru_curve, opt, run, Error};
use std::io::{BufWriter, Write};
use std::time::Instant;
use vmcore::page::Access;
use vmcore::policy::POLICIES;

const REFS: u64 = 20_000_000;
const PAGES: f64 = 100_000.0;
const FRAMES: u32 = 20_000;

/// The reference of that number.
fn reference(at: u64) -> Reference {
    let hash = |at: u64| {
        let z = (at ^ (at >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (z ^ (z >> 32)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 11
    };
    let fraction = hash(at / 4) as f64 / (1u64 << 53) as f64;
    let access = if at % 4 == 3 { Access::Write } else { Access::Read };
    Reference { page: (PAGES * fraction.powi(4)) as u64 ^ (at & 1), access }
}

fn references() -> impl Iterator<Item = Result<Reference, TraceError>> {
    (0..REFS).map(|at| Ok(reference(at)))
}

fn measure(name: &str, replay: impl FnOnce() -> Result<String, Error>) -> Result<(), Error> {
    let start = Instant::now();
    let result = replay()?;
    println!("{name:14} {:6.1} million references a second; {result}", REFS as f64 / start.elapsed().as_secs_f64() / 1e6);
    Ok(())
}

fn main() -> Result<(), Error> {
    measure("(nothing)", || Ok(format!("{} in all", references().flatten().map(|reference| reference.page % 2).sum::<u64>())))?;
    for policy in POLICIES {
        measure(policy.name(), || Ok(format!("{} misses", run(policy, FRAMES, references())?.misses)))?;
    }
    measure("exact lru", || Ok(format!("{} misses", lru_curve(references())?.counts(FRAMES).misses)))?;
    measure("opt", || Ok(format!("{} misses", opt(&[FRAMES], references())?[0].misses)))?;
    let file = tempfile::NamedTempFile::new()?;
    let mut text = BufWriter::new(&file);
    for reference in references() {
        let reference = reference?;
        writeln!(text, "{} {}", reference.page, if reference.access == Access::Read { 'r' } else { 'w' })?;
    }
    text.flush()?;
    let policy = POLICIES[0];
    measure("fifo, text", || Ok(format!("{} misses", run(policy, FRAMES, trace::open(file.path(), Format::Page)?)?.misses)))
}
