//! The statistics of a run as JSON and as a table for people.
//!
//! The JSON is one object on one line. Keys may be added, never renamed: scripts read them.
#![forbid(unsafe_code)]

use core::fmt::{Result, Write};

use super::{Counter, Totals};
use crate::config::Config;
use crate::units::HumanSize;

/// Makes a struct of gauges (values measured when the report is made, not counted) that can be
/// listed by name.
macro_rules! gauges {
    ($(#[$doc:meta])* $name:ident { $($key:ident $help:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name { $(#[doc = $help] pub $key: u64,)* }

        impl $name {
            fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($key), self.$key),)*].into_iter()
            }
        }
    };
}

gauges! {
    /// The arena, in frames.
    FrameGauges {
        total "all frames of the arena"
        bookkeeping "frames that hold the engine's own tables"
        shared "frames of the shared region"
        resident "frames that hold a page of a heap now"
        resident_peak "the most that ever held one at once"
    }
}

gauges! {
    /// The swap file, in slots.
    SwapGauges {
        slots "all slots of the swap file"
        used "slots in use now"
        used_peak "the most that were ever in use at once"
    }
}

/// All that a report says, except for the single threads.
pub struct Report<'a> {
    /// The version of this library.
    pub version: &'a str,
    /// The process id.
    pub pid: u32,
    /// The name of the program, as the kernel or the user spells it.
    pub program: &'a [u8],
    /// How many threads there ever were.
    pub threads: u64,
    /// The settings.
    pub config: &'a Config<'a>,
    /// The arena.
    pub frames: FrameGauges,
    /// The swap file.
    pub swap: SwapGauges,
    /// The most bytes that were ever allocated at once, as far as it is known.
    pub malloc_bytes_peak: u64,
    /// The counters of all threads together.
    pub totals: Totals,
}

/// One thread's part of it.
pub struct ThreadReport {
    /// The number of the thread; the main thread is 0.
    pub id: u64,
    /// Pages of its region that are in memory.
    pub resident: u64,
    /// Pages of its region that are in swap.
    pub swapped: u64,
    /// Its counters.
    pub totals: Totals,
}

impl Report<'_> {
    /// Bytes allocated and not freed, now and at most.
    fn malloc_bytes(&self) -> [(&'static str, u64); 2] {
        let bytes = self.totals.get(Counter::MallocBytes).saturating_sub(self.totals.get(Counter::MallocBytesFreed));
        let peak = self.malloc_bytes_peak.max(bytes);
        [("bytes", bytes), ("bytes_peak", peak)]
    }
}

/// Writes the report as one line of JSON.
pub fn write_json(report: &Report<'_>, threads: impl Iterator<Item = ThreadReport>, out: &mut dyn Write) -> Result {
    let config = report.config;
    let totals = &report.totals;
    write!(out, "{{\"version\":")?;
    json_string(report.version.as_bytes(), out)?;
    write!(out, ",\"pid\":{},\"program\":", report.pid)?;
    json_string(report.program, out)?;
    write!(out, ",\"threads\":{},\"config\":{{", report.threads)?;
    let sizes =
        [("arena", config.arena), ("swap", config.swap), ("heap", config.heap), ("page", config.page), ("shared", config.shared)];
    json_numbers(sizes, out)?;
    write!(out, ",\"policy\":")?;
    json_string(config.policy.name().as_bytes(), out)?;
    out.write_char('}')?;
    json_group("frames", report.frames.entries(), out)?;
    json_group("faults", totals.group("faults"), out)?;
    json_group("evictions", totals.group("evictions"), out)?;
    let swap = report.swap.entries().chain(totals.group("swap"));
    json_group("swap", swap, out)?;
    json_group("readahead", totals.group("readahead"), out)?;
    let malloc = totals.group("malloc").chain(report.malloc_bytes());
    json_group("malloc", malloc, out)?;
    json_group("forks", totals.group("forks"), out)?;
    write!(out, ",\"threads_detail\":[")?;
    for (index, thread) in threads.enumerate() {
        out.write_str(if index > 0 { ",{" } else { "{" })?;
        let places = [("id", thread.id), ("resident", thread.resident), ("swapped", thread.swapped)];
        json_numbers(places, out)?;
        for group in ["faults", "evictions", "swap", "malloc"] {
            json_group(group, thread.totals.group(group), out)?;
        }
        out.write_char('}')?;
    }
    out.write_str("]}\n")
}

/// `,"name":{"key":1,...}`
fn json_group(name: &str, entries: impl IntoIterator<Item = (&'static str, u64)>, out: &mut dyn Write) -> Result {
    write!(out, ",\"{name}\":{{")?;
    json_numbers(entries, out)?;
    out.write_char('}')
}

/// `"key":1,"key":2`
fn json_numbers(entries: impl IntoIterator<Item = (&'static str, u64)>, out: &mut dyn Write) -> Result {
    for (index, (key, value)) in entries.into_iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(out, "{comma}\"{key}\":{value}")?;
    }
    Ok(())
}

/// A text as a JSON string; bytes that are not UTF-8 become U+FFFD.
fn json_string(text: &[u8], out: &mut dyn Write) -> Result {
    out.write_char('"')?;
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' | '\\' => write!(out, "\\{letter}")?,
                letter if letter.is_control() => write!(out, "\\u{:04x}", u32::from(letter))?,
                letter => out.write_char(letter)?,
            }
        }
        if !chunk.invalid().is_empty() {
            out.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    out.write_char('"')
}

/// Writes the report as a short table.
pub fn write_table(report: &Report<'_>, out: &mut dyn Write) -> Result {
    let config = report.config;
    let totals = &report.totals;
    out.write_str("vmalloc: ")?;
    for chunk in report.program.utf8_chunks() {
        for letter in chunk.valid().chars().filter(|letter| !letter.is_control()) {
            out.write_char(letter)?;
        }
    }
    writeln!(
        out,
        ", process {}, {} thread{}, policy {}",
        report.pid,
        report.threads,
        if report.threads == 1 { "" } else { "s" },
        config.policy.name(),
    )?;
    writeln!(
        out,
        "  sizes      arena {}, swap {}, heap {}, shared {}, page {}",
        HumanSize(config.arena),
        HumanSize(config.swap),
        HumanSize(config.heap),
        HumanSize(config.shared),
        HumanSize(config.page),
    )?;
    table_group("frames", report.frames.entries(), out)?;
    table_group("faults", totals.group("faults"), out)?;
    table_group("evictions", totals.group("evictions"), out)?;
    let swap = report.swap.entries().chain(totals.group("swap"));
    table_group("swap", swap, out)?;
    if totals.group("readahead").any(|(_, count)| count > 0) {
        table_group("readahead", totals.group("readahead"), out)?;
    }
    let malloc = totals.group("malloc").chain(report.malloc_bytes());
    table_group("malloc", malloc, out)?;
    if totals.group("forks").any(|(_, count)| count > 0) {
        table_group("forks", totals.group("forks"), out)?;
    }
    Ok(())
}

/// How many cells, of a name and a number, a line of the table has.
const CELLS: usize = 3;

/// One group of the table, on as many lines as it needs.
fn table_group(name: &str, entries: impl Iterator<Item = (&'static str, u64)>, out: &mut dyn Write) -> Result {
    for (index, (key, value)) in entries.enumerate() {
        match index {
            0 => write!(out, "  {name:<11}")?,
            _ if index % CELLS == 0 => write!(out, "\n{:13}", "")?,
            _ => out.write_str("  ")?,
        }
        write!(out, "{key:<15} {value:>10}")?;
    }
    out.write_str("\n")
}

#[cfg(test)]
mod tests {
    use super::super::{Counters, Eviction, FaultKind};
    use super::*;
    use crate::config::{from_environment, System};

    /// A run with a few counts, reported by `write`.
    fn report(program: &[u8], write: impl Fn(&Report<'_>, [ThreadReport; 2], &mut String)) -> String {
        let system = System { page: 4096, ram: 1 << 30 };
        let config = from_environment(core::iter::empty(), &system).unwrap();
        let counters = Counters::new();
        for (kind, count) in FaultKind::ALL.into_iter().zip(1..) {
            counters.add(kind.counter(), count);
        }
        for (kind, count) in Eviction::ALL.into_iter().zip(10..) {
            counters.add(kind.counter(), count);
        }
        counters.add(Counter::MallocBytes, 5000);
        counters.add(Counter::MallocBytesFreed, 1000);
        let mut totals = Totals::new();
        totals.add(&counters);
        let report = Report {
            version: "0.1.0",
            pid: 4711,
            program,
            threads: 2,
            config: &config,
            frames: FrameGauges { total: 2048, bookkeeping: 20, shared: 4, resident: 2000, resident_peak: 2024 },
            swap: SwapGauges { slots: 4096, used: 7, used_peak: 8 },
            malloc_bytes_peak: 4500,
            totals,
        };
        let threads = [0, 1].map(|id| ThreadReport {
            id,
            resident: 1000,
            swapped: 3,
            totals: if id == 0 { totals } else { Totals::new() },
        });
        let mut text = String::new();
        write(&report, threads, &mut text);
        text
    }

    fn json(program: &[u8]) -> String {
        report(program, |report, threads, out| {
            write_json(report, threads.into_iter(), out).unwrap();
        })
    }

    #[test]
    fn json_has_every_key_of_the_contract() {
        let zero = r#""faults":{"first_touch":0,"swap_in":0,"reference":0,"first_write":0,"collision":0,"stray":0},"evictions":{"clean":0,"dirty":0,"zero":0},"swap":{"reads":0,"writes":0,"bytes_read":0,"bytes_written":0,"errors":0},"malloc":{"calls":0,"frees":0,"failed":0,"bytes_allocated":0,"bytes_freed":0}"#;
        let counted = zero
            .replace("first_touch\":0", "first_touch\":1")
            .replace("swap_in\":0", "swap_in\":2")
            .replace("reference\":0", "reference\":3")
            .replace("first_write\":0", "first_write\":4")
            .replace("collision\":0", "collision\":5")
            .replace("stray\":0", "stray\":6")
            .replace("clean\":0", "clean\":10")
            .replace("dirty\":0", "dirty\":11")
            .replace("zero\":0", "zero\":12")
            .replace("allocated\":0", "allocated\":5000")
            .replace("freed\":0", "freed\":1000");
        let totals = counted
            .replace("\"swap\":{", "\"swap\":{\"slots\":4096,\"used\":7,\"used_peak\":8,")
            .replace("\"malloc\":{", "\"readahead\":{\"pages\":0,\"watched\":0,\"used\":0},\"malloc\":{")
            .replace("freed\":1000}", "freed\":1000,\"bytes\":4000,\"bytes_peak\":4500}");
        let expected = format!(
            "{}{}{totals}{}{counted}{}{zero}{}",
            r#"{"version":"0.1.0","pid":4711,"program":"sort","threads":2,"config":{"arena":8388608,"swap":16777216,"heap":25165824,"page":4096,"shared":16384,"policy":"clock"},"#,
            r#""frames":{"total":2048,"bookkeeping":20,"shared":4,"resident":2000,"resident_peak":2024},"#,
            r#","forks":{"calls":0,"failed":0,"frames":0,"slots":0,"microseconds":0},"threads_detail":[{"id":0,"resident":1000,"swapped":3,"#,
            r#"},{"id":1,"resident":1000,"swapped":3,"#,
            "}]}\n",
        );
        assert_eq!(json(b"sort"), expected);
    }

    #[test]
    fn json_survives_any_program_name() {
        let text = json(b"a\"b\\c\n\x1b\xff\xc3\xa9");
        assert!(text.contains("\"program\":\"a\\\"b\\\\c\\u000a\\u001b\u{fffd}\u{e9}\","), "{text}");
    }

    #[test]
    fn the_table_is_short_and_aligned() {
        let text = report(b"so\nrt", |report, _, out| write_table(report, out).unwrap());
        let expected = "\
vmalloc: sort, process 4711, 2 threads, policy clock
  sizes      arena 8M, swap 16M, heap 24M, shared 16K, page 4K
  frames     total                 2048  bookkeeping             20  shared                   4
             resident              2000  resident_peak         2024
  faults     first_touch              1  swap_in                  2  reference                3
             first_write              4  collision                5  stray                    6
  evictions  clean                   10  dirty                   11  zero                    12
  swap       slots                 4096  used                     7  used_peak                8
             reads                    0  writes                   0  bytes_read               0
             bytes_written            0  errors                   0
  malloc     calls                    0  frees                    0  failed                   0
             bytes_allocated       5000  bytes_freed           1000  bytes                 4000
             bytes_peak            4500
";
        assert_eq!(text, expected, "got:\n{text}");
    }
}
