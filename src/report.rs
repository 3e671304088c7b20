//! Messages to the user: one line on stderr, built in a fixed buffer, written by one raw call.
#![forbid(unsafe_code)]

use crate::sys::file;
use core::fmt::{self, Write};

/// A line under construction; what does not fit is cut.
pub struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // One byte stays free for the newline.
        let room = self.bytes.len().saturating_sub(self.len + 1);
        let bytes = text.as_bytes();
        let n = bytes.len().min(room);
        if let (Some(to), Some(from)) = (self.bytes.get_mut(self.len..self.len + n), bytes.get(..n)) {
            to.copy_from_slice(from);
            self.len += n;
        }
        Ok(())
    }
}

/// Writes `vmalloc: …` and a newline to stderr.
pub fn say(text: fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; 512], len: 0 };
    let _ = line.write_str("vmalloc: ");
    let _ = line.write_fmt(text);
    let end = line.len.min(line.bytes.len() - 1);
    if let Some(last) = line.bytes.get_mut(end) {
        *last = b'\n';
    }
    let _ = file::write_all(2, line.bytes.get(..=end).unwrap_or(b""));
}
