//! Traces of page references, read one after the other.
//!
//! | format            | a reference                                                                   |
//! |-------------------|-------------------------------------------------------------------------------|
//! | `page`            | `<page> r` or `<page> w`, a decimal page number                                |
//! | `pages`           | `<page>`: reads only                                                           |
//! | `address`         | `<address> R` or `<address> W`, hexadecimal                                    |
//! | `lackey`          | `valgrind --tool=lackey --trace-mem=yes`: ` L`, ` S` and ` M` lines (load, store, both); `I` is passed over |
//! | `libcachesim-csv` | `<time>,<object>,<size>,...`, after a line with the columns' names or not: reads of objects |
//! | `oracle-general`  | libCacheSim's binary records of 24 bytes: reads of objects                     |
//!
//! In the formats that are text, empty lines and lines that begin with `#` are passed over; addresses become
//! pages of 4 KiB, or as [`Trace::page_shift`] says. A reference across a page's end is one to each page.

mod binary;
mod error;
mod text;

pub use error::TraceError;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use vmcore::page::Access;

/// A reference to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The page's number, as the trace has it.
    pub page: u64,
    /// Whether it is written.
    pub access: Access,
}

/// How a trace is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `<page> r|w`.
    Page,
    /// `<page>`.
    Pages,
    /// `<hexadecimal address> R|W`.
    Address,
    /// The output of valgrind's lackey.
    Lackey,
    /// libCacheSim's text.
    LibCacheSimCsv,
    /// libCacheSim's binary.
    OracleGeneral,
}

impl Format {
    /// All there are.
    pub const ALL: [Format; 6] =
        [Format::Page, Format::Pages, Format::Address, Format::Lackey, Format::LibCacheSimCsv, Format::OracleGeneral];

    /// The name of the format.
    pub fn name(self) -> &'static str {
        match self {
            Format::Page => "page",
            Format::Pages => "pages",
            Format::Address => "address",
            Format::Lackey => "lackey",
            Format::LibCacheSimCsv => "libcachesim-csv",
            Format::OracleGeneral => "oracle-general",
        }
    }

    /// The format of that name.
    pub fn by_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// What a record looks like.
    fn record(self) -> &'static str {
        match self {
            Format::Page => "`<page> r` or `<page> w`",
            Format::Pages => "a page number",
            Format::Address => "`<hexadecimal address> R` or `W`",
            Format::Lackey => "a line of lackey, such as ` L 1ffefff8,8`",
            Format::LibCacheSimCsv => "`<time>,<object>,<size>`, all numbers",
            Format::OracleGeneral => "24 bytes",
        }
    }

    /// The format in which a file seems to be written, from its first lines.
    pub fn detect(path: &Path) -> Result<Format, TraceError> {
        let mut start = Vec::new();
        let file = File::open(path).map_err(|source| TraceError::io(path, source))?;
        file.take(4096).read_to_end(&mut start).map_err(|source| TraceError::io(path, source))?;
        error::refuse_compressed(path, &start)?;
        if start.iter().any(|byte| !byte.is_ascii() || (*byte < b' ' && !b"\t\r\n".contains(byte))) {
            return Ok(Format::OracleGeneral);
        }
        let line = start.split(|byte| *byte == b'\n').find(|line| !text::is_passed_over(line) && !line.starts_with(b"=="));
        let suits = |format: &Format| line.is_some_and(|line| text::parse(*format, line, 1, 12, &mut VecDeque::new()).is_some());
        let formats = [Format::Lackey, Format::Page, Format::Pages, Format::Address, Format::LibCacheSimCsv];
        formats.into_iter().find(suits).ok_or_else(|| TraceError::Unknown { path: path.to_owned() })
    }
}

/// A trace that is being read: an iterator of its references, which ends after the first error.
pub struct Trace<R = File> {
    path: PathBuf,
    format: Format,
    page_shift: u32,
    input: BufReader<R>,
    line: Vec<u8>,
    lines: u64,
    bytes: u64,
    size: Option<u64>,
    ahead: VecDeque<Reference>,
    failed: bool,
}

/// Opens a trace.
pub fn open(path: impl AsRef<Path>, format: Format) -> Result<Trace, TraceError> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|source| TraceError::io(path, source))?;
    let size = file.metadata().ok().map(|metadata| metadata.len());
    let mut trace = Trace::of(file, path, format);
    trace.size = size;
    let start = trace.input.fill_buf().map_err(|source| TraceError::io(path, source))?;
    error::refuse_compressed(path, start)?;
    Ok(trace)
}

impl<R: Read> Trace<R> {
    /// The trace that comes from `input`; messages call it `name`.
    pub fn of(input: R, name: impl Into<PathBuf>, format: Format) -> Trace<R> {
        Trace {
            path: name.into(),
            format,
            page_shift: 12,
            input: BufReader::with_capacity(1 << 18, input),
            line: Vec::new(),
            lines: 0,
            bytes: 0,
            size: None,
            ahead: VecDeque::new(),
            failed: false,
        }
    }

    /// Addresses become pages of `1 << shift` bytes.
    pub fn page_shift(mut self, shift: u32) -> Self {
        self.page_shift = shift.min(63);
        self
    }

    /// How many bytes were read, and how many there are, if that is known.
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.bytes, self.size)
    }

    fn read(&mut self) -> Result<Option<Reference>, TraceError> {
        if self.format == Format::OracleGeneral {
            return self.read_record();
        }
        loop {
            if let Some(reference) = self.ahead.pop_front() {
                return Ok(Some(reference));
            }
            self.line.clear();
            let read = self.input.read_until(b'\n', &mut self.line);
            self.bytes += read.map_err(|source| TraceError::io(&self.path, source))? as u64;
            if self.line.is_empty() {
                return Ok(None);
            }
            self.lines += 1;
            if text::is_passed_over(&self.line) {
                continue;
            }
            if text::parse(self.format, &self.line, self.lines, self.page_shift, &mut self.ahead).is_none() {
                return Err(self.bad_line());
            }
        }
    }

    fn bad_line(&self) -> TraceError {
        let (path, format) = (self.path.clone(), self.format);
        if self.line.ends_with(b"\n") {
            let start = self.line.trim_ascii_end().iter().take(40).copied().collect::<Vec<_>>();
            TraceError::Line { path, line: self.lines, found: String::from_utf8_lossy(&start).escape_debug().to_string(), format }
        } else {
            TraceError::CutLine { path, line: self.lines }
        }
    }
}

impl<R: Read> Iterator for Trace<R> {
    type Item = Result<Reference, TraceError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let read = self.read();
        self.failed = read.is_err();
        read.transpose()
    }
}
