//! What the pager has to say: the trace, one line for each call and each disk transfer, in the document's
//! vocabulary; and messages.
//!
//! ```text
//! vm_create(4711)
//! vm_switch(4711)
//! vm_extend() = 0x60000000
//! disk_write(3, 0)
//! vm_fault(0x60000008, write) = 0
//! ```
//! The transfers that a call makes stand before the line with its result.

use std::fmt;
use std::fs::File;
use std::io::{self, LineWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

/// Where the trace goes, if anywhere.
pub struct Events(Option<Mutex<Box<dyn Write + Send>>>);

impl Events {
    /// A trace to a file, or to stderr for `-`; without a path, none.
    pub fn open(path: Option<&Path>) -> Result<Events> {
        let Some(path) = path else {
            return Ok(Events(None));
        };
        let out: Box<dyn Write + Send> = if path == Path::new("-") {
            Box::new(LineWriter::new(io::stderr()))
        } else {
            let file = File::create(path).with_context(|| format!("cannot make the trace {}", path.display()))?;
            Box::new(LineWriter::new(file))
        };
        Ok(Events(Some(Mutex::new(out))))
    }

    /// A line. A trace that cannot be written is no reason to stop.
    pub fn line(&self, text: fmt::Arguments<'_>) {
        if let Some(out) = &self.0 {
            let _ = writeln!(out.lock().unwrap_or_else(PoisonError::into_inner), "{text}");
        }
    }
}

/// A message, on stderr. That nobody hears it, the terminal being closed or the log's disk full, is no reason to stop
/// (`eprintln` would panic).
pub fn say(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "vmalloc: {text}");
}
