//! Why a trace cannot be read, and what to do about it, in one line.

use super::Format;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The system says no.
    #[error("{path}: {source}; see whether the file is there and may be read", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line that the format does not have.
    #[error(
        "{path}:{line}: \"{found}\" is not {expected}; mend the line, or choose another format than {name} ({others})",
        path = path.display(), expected = format.record(), name = format.name(), others = others(*format)
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line.
        line: u64,
        /// How the line begins.
        found: String,
        /// The format as which it was read.
        format: Format,
    },
    /// The last line has no end, and makes no sense.
    #[error("{path}:{line}: ends in the middle of a line, so the file was cut; get it again, or remove that line", path = path.display())]
    CutLine {
        /// The file.
        path: PathBuf,
        /// The number of the line.
        line: u64,
    },
    /// The last record is too short.
    #[error(
        "{path}: ends in the middle of record {record}, so it was cut or is not of the format oracle-general; \
         get it again, or choose another format", path = path.display()
    )]
    CutRecord {
        /// The file.
        path: PathBuf,
        /// The number of the record, from 1 on.
        record: u64,
    },
    /// Compressed.
    #[error("{path}: is compressed; decompress it first, with {program}", path = path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
        /// The program that can.
        program: &'static str,
    },
    /// Like none of the formats.
    #[error("{path}: looks like none of the formats {formats}; convert it to one of them", path = path.display(), formats = names(|_| true))]
    Unknown {
        /// The file.
        path: PathBuf,
    },
}

impl TraceError {
    pub(super) fn io(path: &Path, source: io::Error) -> TraceError {
        TraceError::Io { path: path.to_owned(), source }
    }
}

fn names(which: impl Fn(Format) -> bool) -> String {
    let names: Vec<_> = Format::ALL.into_iter().filter(|format| which(*format)).map(Format::name).collect();
    names.join(", ")
}

fn others(format: Format) -> String {
    names(|other| other != format)
}

/// A file that begins as compressed ones do.
pub(super) fn refuse_compressed(path: &Path, start: &[u8]) -> Result<(), TraceError> {
    let program = match start {
        [0x28, 0xB5, 0x2F, 0xFD, ..] => "zstd -d",
        [0x1F, 0x8B, ..] => "gunzip",
        [0xFD, b'7', b'z', b'X', b'Z', ..] => "xz -d",
        [b'B', b'Z', b'h', ..] => "bunzip2",
        _ => return Ok(()),
    };
    Err(TraceError::Compressed { path: path.to_owned(), program })
}
