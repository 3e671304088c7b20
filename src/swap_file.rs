//! The swap file: made at the start and without a name, its space really reserved at first use.
//!
//! It is made so early because a program may give up its privileges, its root, or the right to open
//! files, long before it needs memory beyond the arena.

use crate::descriptor::Descriptor;
use crate::report::say;
use crate::sys::{file, Errno, Result};
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The longest directory name that is accepted, with its terminating zero.
pub const PATH_MAX: usize = 4096;

/// A file of swap slots.
pub struct SwapFile {
    file: Descriptor,
    /// Its space is reserved, so slots may be promised.
    reserved: AtomicBool,
    /// The directory, wherever the program's root is by now.
    place: Descriptor,
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
        let (file, place) = (Descriptor::new(-1), Descriptor::new(-1));
        Some(SwapFile { file, reserved: AtomicBool::new(false), place, dir: path, len, complaints: AtomicU32::new(0) })
    }

    /// The directory.
    pub fn dir(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.dir).unwrap_or(c"/tmp")
    }

    /// Our descriptors: the file and its directory.
    pub fn descriptors(&self) -> [&Descriptor; 2] {
        [&self.file, &self.place]
    }

    /// Whether slots may be promised.
    pub fn is_ready(&self) -> bool {
        // Acquire: pairs with the release in `ready`.
        self.reserved.load(Ordering::Acquire)
    }

    /// Makes the file: to be done at the start. Fails if the directory is not there, cannot be written,
    /// or has not the space.
    pub fn open(&self) -> Result<()> {
        if self.len == 0 {
            return Ok(());
        }
        self.place.replace(file::out_of_the_way(file::open(self.dir(), libc::O_PATH | libc::O_DIRECTORY, 0)?));
        self.file.replace(self.create()?);
        if file::free_space(self.dir())? < self.len {
            return Err(Errno(libc::ENOSPC));
        }
        Ok(())
    }

    /// Reserves the file's space if that has not been done. Callers exclude each other.
    pub fn ready(&self) -> Result<()> {
        if self.is_ready() {
            return Ok(());
        }
        if self.file.number().is_none() {
            // A child for which none could be made at the fork.
            self.file.replace(self.create()?);
        }
        self.file.lend(|fd| file::allocate(fd, self.len))?;
        self.reserved.store(true, Ordering::Release);
        Ok(())
    }

    /// A new, empty file of the same kind for a child. That none can be made is an error only if this
    /// one is in use.
    pub fn successor(&self) -> Result<Option<i32>> {
        if self.is_ready() {
            return self.another().map(Some);
        }
        Ok(self.create().ok())
    }

    /// Another file of that length beside this one, which must be open, with its space reserved.
    pub fn another(&self) -> Result<i32> {
        let fd = self.create()?;
        file::allocate(fd, self.len).map(|()| fd).inspect_err(|_| file::close(fd))
    }

    /// An unnamed file in the directory.
    fn create(&self) -> Result<i32> {
        let flags = libc::O_TMPFILE | libc::O_RDWR | libc::O_EXCL;
        self.place
            .lend(|place| match file::open_in(place, c".", flags, 0o600) {
                Err(Errno(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => create_named(place),
                other => other,
            })
            .map(file::out_of_the_way)
    }

    /// Closes everything; what was made beside stays.
    pub fn close(&self) {
        let descriptors = [&self.file, &self.place];
        descriptors.into_iter().filter_map(|descriptor| descriptor.replace(-1)).for_each(file::close);
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

/// A file in the directory `place` whose name is removed at once, where the file system has no unnamed
/// files.
fn create_named(place: i32) -> Result<i32> {
    let mut name = *b".vmalloc-swap-0123456789abcdef\0";
    let unique = crate::sys::thread::now();
    for (digit, byte) in name.iter_mut().rev().skip(1).take(16).enumerate() {
        *byte = b"0123456789abcdef"[(unique >> (4 * digit)) as usize & 15];
    }
    let name = CStr::from_bytes_until_nul(&name).map_err(|_| Errno(libc::ENAMETOOLONG))?;
    let fd = file::open_in(place, name, libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o600)?;
    file::unlink_in(place, name)?;
    Ok(fd)
}
