//! The swap file: created at first use, unlinked at once, its space really reserved.

use crate::descriptor::Descriptor;
use crate::report::say;
use crate::sys::{file, Errno, Result};
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};

/// The longest directory name that is accepted, with its terminating zero.
pub const PATH_MAX: usize = 4096;

/// A file of swap slots.
pub struct SwapFile {
    file: Descriptor,
    dir: [u8; PATH_MAX],
    len: u64,
    complaints: AtomicU32,
}

impl SwapFile {
    /// A swap file of `len` bytes that will be made in `dir`; `None` if the name is too long.
    pub fn new(dir: &[u8], len: u64) -> Option<SwapFile> {
        let mut path = [0; PATH_MAX];
        // Room for a file name and the end.
        if dir.len() + 40 > PATH_MAX {
            return None;
        }
        path.get_mut(..dir.len())?.copy_from_slice(dir);
        Some(SwapFile { file: Descriptor::new(-1), dir: path, len, complaints: AtomicU32::new(0) })
    }

    /// The directory.
    pub fn dir(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.dir).unwrap_or(c"/tmp")
    }

    /// The file, once there is one.
    pub fn file(&self) -> &Descriptor {
        &self.file
    }

    /// Whether there is a file.
    pub fn is_made(&self) -> bool {
        self.file.number().is_some()
    }

    /// Whether the directory is there, can be written and has the space: to be asked at the start.
    pub fn check(&self) -> Result<()> {
        if self.len == 0 {
            return Ok(());
        }
        let fd = self.create()?;
        file::close(fd);
        if file::free_space(self.dir())? < self.len {
            return Err(Errno(libc::ENOSPC));
        }
        Ok(())
    }

    /// Makes the file if there is none yet. Callers exclude each other.
    pub fn ready(&self) -> Result<()> {
        if !self.is_made() {
            self.file.replace(self.make()?);
        }
        Ok(())
    }

    /// A new, empty, reserved swap file in the same place.
    pub fn make(&self) -> Result<i32> {
        let fd = file::out_of_the_way(self.create()?);
        if let Err(error) = file::allocate(fd, self.len) {
            file::close(fd);
            return Err(error);
        }
        Ok(fd)
    }

    /// An unnamed file in the directory.
    fn create(&self) -> Result<i32> {
        match file::open(self.dir(), libc::O_TMPFILE | libc::O_RDWR | libc::O_EXCL, 0o600) {
            Err(Errno(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => self.create_named(),
            other => other,
        }
    }

    /// The same where the file system has no unnamed files.
    fn create_named(&self) -> Result<i32> {
        let mut path = [0; PATH_MAX];
        let dir = self.dir().to_bytes();
        let unique = crate::sys::thread::now();
        let mut at = 0;
        let mut put = |byte: u8| {
            if let Some(slot) = path.get_mut(at) {
                *slot = byte;
                at += 1;
            }
        };
        dir.iter().chain(b"/.vmalloc-swap-").copied().for_each(&mut put);
        for digit in 0..16 {
            put(b"0123456789abcdef"[(unique >> (4 * digit)) as usize & 15]);
        }
        let path = CStr::from_bytes_until_nul(&path).map_err(|_| Errno(libc::ENAMETOOLONG))?;
        let fd = file::open(path, libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o600)?;
        file::unlink(path)?;
        Ok(fd)
    }

    /// In a child process: continues on `fd`, or on none.
    pub fn continue_on(&self, fd: Option<i32>) {
        self.file.replace(fd.unwrap_or(-1)).into_iter().for_each(file::close);
    }

    /// Reads slot `slot` of `len` bytes to the address `to`.
    ///
    /// # Safety
    /// `to .. to + len` is writable and nobody else uses it.
    pub unsafe fn read(&self, slot: u32, to: usize, len: usize) -> Result<()> {
        // SAFETY: the caller's promise.
        self.file.lend(|fd| unsafe { file::read_at(fd, to, len, u64::from(slot) * len as u64) })
    }

    /// Writes `len` bytes at the address `from` to slot `slot`.
    ///
    /// # Safety
    /// `from .. from + len` is readable.
    pub unsafe fn write(&self, slot: u32, from: usize, len: usize) -> Result<()> {
        // SAFETY: the caller's promise.
        self.file.lend(|fd| unsafe { file::write_at(fd, from, len, u64::from(slot) * len as u64) })
    }

    /// Copies `len` bytes at `offset` to the same place in another swap file.
    pub fn copy_to(&self, to: i32, offset: u64, len: u64) -> Result<()> {
        self.file.lend(|fd| file::copy_range(fd, to, offset, len))
    }

    /// Says that a transfer failed: the first time, and then ever more seldom.
    pub fn complain(&self, what: &str, slot: u32, error: Errno) {
        if !(self.complaints.fetch_add(1, Ordering::Relaxed) + 1).is_power_of_two() {
            return;
        }
        say(format_args!(
            "cannot {what} slot {slot} of the swap file in {}: error {}",
            self.dir().to_str().unwrap_or("VMALLOC_SWAP_DIR"),
            error.0
        ));
    }
}
