//! Where the pager's socket is: the same places in the same order as `vmalloc pager` has it.

use core::ffi::CStr;
use core::fmt::{self, Write};

/// The longest name that a socket can have, with its end.
pub const MOST: usize = 108;

/// The name of a socket, with room for its end.
pub struct Path {
    bytes: [u8; MOST],
    len: usize,
    whole: bool,
}

impl Path {
    /// Where the pager listens.
    pub fn find() -> Path {
        let mut path = Path { bytes: [0; MOST], len: 0, whole: true };
        path.whole = write(&mut path).is_ok();
        path
    }

    /// The name; `None` if it is too long for a socket.
    pub fn name(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok().filter(|_| self.whole)
    }

    /// The name for a message, as far as there is room.
    pub fn shown(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or("a name that is not UTF-8")
    }

    fn add(&mut self, text: &[u8]) -> fmt::Result {
        for byte in text {
            if self.len + 1 >= MOST {
                return Err(fmt::Error);
            }
            self.bytes[self.len] = *byte;
            self.len += 1;
        }
        Ok(())
    }
}

impl Write for Path {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.as_bytes())
    }
}

fn write(path: &mut Path) -> fmt::Result {
    if let Some(given) = variable(c"VM_PAGER") {
        return path.add(given);
    }
    match variable(c"XDG_RUNTIME_DIR") {
        Some(dir) => path.add(dir)?,
        // SAFETY: no arguments.
        None => return write!(path, "/tmp/vm-pager-{}/socket", unsafe { libc::geteuid() }),
    }
    path.write_str("/vm-pager/socket")
}

fn variable(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: the environment's own text, which is read before the program can change it again.
    let value = unsafe { libc::getenv(name.as_ptr()).cast_const() };
    // SAFETY: null, or a C string.
    let value = (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_bytes())?;
    (!value.is_empty()).then_some(value)
}
