//! What /proc says of another thread of this process.

use crate::shared::thread;
use core::ffi::CStr;
use core::fmt::Write;
use vmcore::sys::{self, file};

/// Where a thread is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// It has ended.
    Gone,
    /// In no call that could be seen.
    Running,
    /// In a call: number, arguments, stack pointer and program counter.
    Call([usize; 9]),
}

/// Reads a small file of a thread.
fn read(tid: u32, name: &str, buffer: &mut [u8]) -> Option<usize> {
    let mut path = ShortPath::new();
    // By its number: we may be a child that shares its parent's memory.
    write!(path, "/proc/{}/task/{tid}/{name}", thread::process()).ok()?;
    let path = path.text()?;
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as usize;
    // SAFETY: the path is a C string.
    let fd = unsafe { sys::call(libc::SYS_openat, [libc::AT_FDCWD as usize, path.as_ptr() as usize, flags, 0, 0, 0]) };
    if fd < 0 {
        return None;
    }
    let mut len = 0;
    while let Some(n) = buffer.get_mut(len..).and_then(|rest| file::read(fd as i32, rest).ok()).filter(|n| *n > 0) {
        len += n;
    }
    file::close(fd as i32);
    Some(len)
}

/// A short path, made without allocating.
struct ShortPath {
    bytes: [u8; 64],
    len: usize,
}

impl ShortPath {
    /// Empty.
    const fn new() -> ShortPath {
        ShortPath { bytes: [0; 64], len: 0 }
    }

    /// As a C string.
    fn text(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok()
    }
}

impl Write for ShortPath {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        // One byte stays zero.
        if self.len + text.len() >= self.bytes.len() {
            return Err(core::fmt::Error);
        }
        if let Some(to) = self.bytes.get_mut(self.len..self.len + text.len()) {
            to.copy_from_slice(text.as_bytes());
        }
        self.len += text.len();
        Ok(())
    }
}

fn exists(tid: u32) -> bool {
    // SAFETY: no pointers; signal 0 only asks.
    unsafe { sys::call(libc::SYS_tgkill, [thread::process() as usize, tid as usize, 0, 0, 0, 0]) == 0 }
}

/// Calls `with` for every thread of the process; false if the kernel does not say which there are.
pub fn each_thread(mut with: impl FnMut(u32)) -> bool {
    let mut path = ShortPath::new();
    let Ok(()) = write!(path, "/proc/{}/task", thread::process()) else {
        return false;
    };
    let Some(dir) = path.text().and_then(|path| file::open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0).ok()) else {
        return false;
    };
    let mut entries = [0u8; 2048];
    loop {
        let args = [dir as usize, entries.as_mut_ptr() as usize, entries.len(), 0, 0, 0];
        // SAFETY: the buffer has room for so many bytes.
        let len = unsafe { sys::call(libc::SYS_getdents64, args) };
        let Some(mut rest) = usize::try_from(len).ok().filter(|len| *len > 0).and_then(|len| entries.get(..len)) else {
            break;
        };
        // Each: inode, offset, length of the entry, type, name.
        while let (Some(&[low, high]), Some(name)) = (rest.get(16..18), rest.get(19..)) {
            let tid = CStr::from_bytes_until_nul(name).ok().and_then(|name| name.to_str().ok()?.parse().ok());
            if let Some(tid) = tid {
                with(tid);
            }
            rest = rest.get(usize::from(u16::from_ne_bytes([low, high])).max(20)..).unwrap_or(&[]);
        }
    }
    file::close(dir);
    true
}

/// Where the thread is. The file says `running`, or `number args… stack counter`, or `-1 stack counter` outside of a call.
pub fn whereabouts(tid: u32) -> Whereabouts {
    let mut buffer = [0; 256];
    let Some(len) = read(tid, "syscall", &mut buffer) else {
        return if exists(tid) { Whereabouts::Running } else { Whereabouts::Gone };
    };
    let text = buffer.get(..len).unwrap_or(&[]);
    if text.starts_with(b"-1 0x0 0x0") {
        // Only its number is left: the main thread, when it has ended before the others.
        return Whereabouts::Gone;
    }
    let mut words = text.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let mut call = [0; 9];
    for (i, word) in call.iter_mut().enumerate() {
        let value = words.next().and_then(|word| if i == 0 { number(word, 10) } else { number(word, 16) });
        match value {
            Some(value) => *word = value,
            None => return Whereabouts::Running,
        }
    }
    Whereabouts::Call(call)
}

fn number(text: &[u8], base: u32) -> Option<usize> {
    let text = core::str::from_utf8(text).ok()?;
    usize::from_str_radix(text.strip_prefix("0x").unwrap_or(text), base).ok()
}

/// The signals that the thread blocks.
pub fn blocked(tid: u32) -> u64 {
    let mut buffer = [0; 4096];
    let len = read(tid, "status", &mut buffer).unwrap_or(0);
    let text = buffer.get(..len).unwrap_or(&[]);
    let line = text.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"SigBlk:"));
    line.and_then(|line| number(line.get(7..)?.trim_ascii(), 16)).unwrap_or(0) as u64
}
