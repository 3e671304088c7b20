//! The logs of a course project's memory manager, as they lie in `test-data/oracles/mm`: a line for each
//! fault, in their order, with its kind, its page, the page that left, whether that was written, and the
//! frame.

use super::read;
use vmcore::events::stats::{Eviction, FaultKind};
use vmcore::page::Access;

/// An access to a page; the offset counts words.
pub struct Reference {
    pub access: Access,
    pub page: u32,
    pub offset: u32,
}

/// What is known of a fault: its kind, whether a clean page became dirty, the frame, the page that left.
pub struct Fault {
    pub kind: FaultKind,
    pub dirtied: bool,
    pub frame: u32,
    pub evicted: Option<(u32, Eviction)>,
}

impl Fault {
    /// Its line in the log.
    pub fn line(&self, of: &Reference) -> String {
        // Kind 2 is any write to a clean resident page, whether R was reset or not.
        let kind = match (self.kind, of.access) {
            (FaultKind::FirstTouch | FaultKind::SwapIn, Access::Read) => 0,
            (FaultKind::FirstTouch | FaultKind::SwapIn, Access::Write) => 1,
            _ if self.dirtied => 2,
            (FaultKind::Reference, Access::Read) => 3,
            (FaultKind::Reference, Access::Write) => 4,
            (kind, _) => panic!("{kind:?}"),
        };
        let (evicted, written) = match self.evicted {
            Some((page, eviction)) => (i64::from(page), u32::from(eviction == Eviction::Dirty)),
            None => (-1, 0),
        };
        format!("{kind} {} {evicted} {written} {:#06x}", of.page, self.frame * 4096 + of.offset * 4)
    }
}

/// Has every input replayed under each policy with each number of frames, and compares the logs.
pub fn logs_agree(mut replay: impl FnMut(&str, u32, &[Reference]) -> Vec<String>) {
    let mut checked = 0;
    for (policy, digit) in [("fifo", 1), ("third-chance", 2)] {
        for frames in [1, 4, 8, 16] {
            for input in 1..=6 {
                let name = format!("result-{digit}-{frames}-input_{input}");
                let expected: Vec<String> = read(&format!("mm/expected/{name}"))
                    .lines()
                    .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()))
                    .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                    .collect();
                assert_eq!(replay(policy, frames, &references(input)), expected, "{name}");
                checked += expected.len();
            }
        }
    }
    assert!(checked > 300, "{checked}");
}

fn references(input: u32) -> Vec<Reference> {
    let text = read(&format!("mm/input/input_{input}"));
    let reference = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let access = match words[0] {
            "read" => Access::Read,
            "write" => Access::Write,
            word => panic!("{word}"),
        };
        Reference { access, page: words[1].parse().unwrap(), offset: words[2].parse().unwrap() }
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(reference).collect()
}
