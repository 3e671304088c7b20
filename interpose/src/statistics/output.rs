//! The files of statistics and trace: their names, in which `%p` stands for the process, and text on its way
//! to them. Nothing is allocated.

use core::fmt::{self, Write};
use vmcore::sys::{file, thread as sys};

const PATH: usize = 4096;

/// A file name that was given in a variable; relative names are kept absolute.
pub struct Template {
    bytes: [u8; PATH],
    len: usize,
}

impl Template {
    /// The file of that name.
    pub fn new(name: &[u8]) -> Template {
        let mut template = Template { bytes: [0; PATH], len: 0 };
        if name.first() != Some(&b'/') {
            let room = template.bytes.as_mut_ptr();
            // SAFETY: room for PATH bytes.
            if !unsafe { libc::getcwd(room.cast(), PATH) }.is_null() {
                template.len = template.bytes.iter().position(|byte| *byte == 0).unwrap_or(0);
                template.push(b"/");
            }
        }
        template.push(name);
        template
    }

    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // The last byte stays zero.
            if let Some(slot) = self.bytes.get_mut(..PATH - 1).and_then(|bytes| bytes.get_mut(self.len)) {
                *slot = *byte;
                self.len += 1;
            }
        }
    }

    fn text(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(b"")
    }

    /// Whether the directory of the file is there and can be written.
    pub fn has_place(&self) -> bool {
        let text = self.text();
        let end = text.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash.max(1));
        let mut dir = Template { bytes: [0; PATH], len: 0 };
        dir.push(text.get(..end).unwrap_or(b""));
        core::ffi::CStr::from_bytes_until_nul(&dir.bytes).is_ok_and(file::can_write)
    }

    /// Whether each process has a file of its own.
    pub fn is_per_process(&self) -> bool {
        self.text().windows(2).any(|pair| pair == b"%p")
    }

    /// Creates the file, with `%p` replaced by the process's number.
    pub fn create(&self) -> Option<i32> {
        let mut name = Template { bytes: [0; PATH], len: 0 };
        let mut rest = self.text();
        while let Some((byte, after)) = rest.split_first() {
            if *byte == b'%' && after.first() == Some(&b'p') {
                let _ = write!(name, "{}", sys::process_id());
                rest = after.get(1..).unwrap_or(b"");
            } else {
                name.push(&[*byte]);
                rest = after;
            }
        }
        let path = core::ffi::CStr::from_bytes_until_nul(&name.bytes).ok()?;
        file::open(path, libc::O_CREAT | libc::O_TRUNC | libc::O_WRONLY, 0o644).ok()
    }
}

impl Write for Template {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(core::str::from_utf8(self.text()).unwrap_or("the file"))
    }
}

/// Where text goes.
pub enum To {
    /// This descriptor.
    File(i32),
    /// To a file that is made when there is something to write: who is killed before leaves no empty one.
    Later(&'static Template),
}

/// Text on its way to a descriptor.
pub struct Output {
    to: To,
    buffer: [u8; 2048],
    len: usize,
}

impl Output {
    /// Nothing yet.
    pub fn new(to: To) -> Output {
        Output { to, buffer: [0; 2048], len: 0 }
    }

    /// Writes what is left; the descriptor, if there was anything to write and it could be written.
    pub fn finish(mut self) -> Option<i32> {
        self.flush();
        match self.to {
            To::File(fd) => Some(fd),
            To::Later(_) => None,
        }
    }

    fn flush(&mut self) {
        let len = core::mem::take(&mut self.len);
        if let To::Later(template) = self.to {
            self.to = template.create().map_or(To::Later(template), To::File);
        }
        if let To::File(fd) = self.to {
            let _ = file::write_all(fd, self.buffer.get(..len).unwrap_or(b""));
        }
    }
}

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.len == self.buffer.len() {
                self.flush();
            }
            if let Some(slot) = self.buffer.get_mut(self.len) {
                *slot = byte;
                self.len += 1;
            }
        }
        Ok(())
    }
}
