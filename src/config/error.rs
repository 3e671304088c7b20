//! What can be wrong with a setting, and how to say it: one line that names the variable, its value
//! and what would be right.
#![forbid(unsafe_code)]

use core::fmt::{self, Write};

use super::options::{nearest, Variable, OPTIONS};
use super::{Kind, MAX_PAGE, MIN_FRAMES};
use crate::policy::POLICIES;
use crate::units::HumanSize;

/// A setting that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError<'e> {
    /// One of our variables has a bad value.
    Bad {
        /// Which variable.
        variable: Variable,
        /// Its value, or its default if it is not set.
        value: &'e [u8],
        /// What is wrong with it.
        problem: Problem,
    },
    /// A variable with our prefix that does not exist.
    Unknown {
        /// Its name.
        name: &'e [u8],
        /// Its value.
        value: &'e [u8],
    },
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Nothing after the `=`.
    Empty,
    /// Not digits with at most one of `K`, `M`, `G`, `T`.
    NotASize,
    /// Zero where that makes no sense.
    Zero,
    /// More than there is physical memory, which is this much.
    LargerThanMemory(u64),
    /// More than this.
    LargerThan(u64),
    /// An arena that needs at least this much to make progress.
    SmallerThan(u64),
    /// A shared region that leaves too few frames of an arena of this size.
    LeavesNoFrames {
        /// The size of the arena.
        arena: u64,
    },
    /// A page so large that an arena of this size has fewer than this many.
    TooFewPages {
        /// The size of the arena.
        arena: u64,
        /// How many there must be.
        pages: u64,
    },
    /// Not a power of two from this size of the system's pages on.
    NotAPageSize(u64),
    /// No policy of that name.
    NoSuchPolicy,
    /// A directory in which the swap file cannot be made, or a file that cannot; why, in words.
    Unusable(&'static str),
}

impl<'e> ConfigError<'e> {
    /// A bad value; for callers that find out only when they use it.
    pub const fn bad(variable: Variable, value: &'e [u8], problem: Problem) -> Self {
        ConfigError::Bad { variable, value, problem }
    }
}

impl fmt::Display for ConfigError<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Bad { variable, value, problem } => {
                let spec = variable.spec();
                write!(out, "{}={}: ", spec.variable, OneLine(value))?;
                problem.explain(spec.kind, out)
            }
            ConfigError::Unknown { name, value } => {
                write!(out, "{}={}: no such variable; ", OneLine(name), OneLine(value))?;
                match nearest(name) {
                    Some(meant) => write!(out, "did you mean {meant}?"),
                    None => {
                        out.write_str("there are")?;
                        list(out, OPTIONS.iter().map(|spec| spec.variable))
                    }
                }
            }
        }
    }
}

impl Problem {
    fn explain(&self, kind: Kind, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Problem::Empty => {
                out.write_str("empty; unset it, or set it to ")?;
                out.write_str(match kind {
                    Kind::Size => "a size such as 8M",
                    Kind::Policy => "the name of a policy",
                    Kind::Directory => "a directory",
                    Kind::File => "a file",
                })
            }
            Problem::NotASize => out.write_str("not a size; write a number of bytes, with K, M, G or T, such as 8M"),
            Problem::Zero => out.write_str("must not be zero"),
            Problem::LargerThanMemory(ram) => {
                write!(out, "more than the RAM of this machine, {}", HumanSize(ram))
            }
            Problem::LargerThan(limit) => write!(out, "at most {}", HumanSize(limit)),
            Problem::SmallerThan(minimum) => {
                write!(out, "too small to make progress; at least {}", HumanSize(minimum))
            }
            Problem::LeavesNoFrames { arena } => write!(
                out,
                "leaves fewer than {MIN_FRAMES} frames of the arena of {}; \
                 make it smaller or VMALLOC_ARENA larger",
                HumanSize(arena)
            ),
            Problem::TooFewPages { arena, pages } => write!(
                out,
                "too large for the arena of {}, which must have {pages} pages; \
                 make it smaller or VMALLOC_ARENA larger",
                HumanSize(arena)
            ),
            Problem::NotAPageSize(system) => {
                write!(out, "not a page size; a power of two from {} to {}", HumanSize(system), HumanSize(MAX_PAGE))
            }
            Problem::NoSuchPolicy => {
                out.write_str("no such policy; there are")?;
                list(out, POLICIES.iter().map(|policy| policy.name()))
            }
            Problem::Unusable(why) if matches!(kind, Kind::File) => {
                write!(out, "cannot be written: {why}; name a file in a directory that you can write to")
            }
            Problem::Unusable(why) => write!(out, "no swap file can be made there: {why}; name a directory with room on a disk"),
        }
    }
}

/// Each word after a space, with commas between them.
fn list(out: &mut fmt::Formatter<'_>, words: impl Iterator<Item = &'static str>) -> fmt::Result {
    for (index, word) in words.enumerate() {
        write!(out, "{} {word}", if index > 0 { "," } else { "" })?;
    }
    Ok(())
}

/// The most of a value that is shown, in bytes.
const SHOWN: usize = 200;

/// Shows a text as part of one line: what is no printable text is escaped, and what is too long cut.
struct OneLine<'t>(&'t [u8]);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..SHOWN).unwrap_or(self.0);
        for chunk in shown.utf8_chunks() {
            for letter in chunk.valid().chars() {
                if letter.is_control() {
                    write!(out, "{}", letter.escape_default())?;
                } else {
                    out.write_char(letter)?;
                }
            }
            for byte in chunk.invalid() {
                write!(out, "\\x{byte:02x}")?;
            }
        }
        if shown.len() < self.0.len() {
            out.write_str("...")?;
        }
        Ok(())
    }
}
