//! The swap file: made at the start, in its whole length and without a name; its space is really reserved when slots are promised.
//!
//! It is made so early because a program may give up its privileges, its root, or the right to open
//! files, long before it needs memory beyond the arena; for the same reason its directory stays open, and a
//! forked child gets its file before it runs. It is as long as it can become because the program may forbid itself larger files
//! (RLIMIT_FSIZE): then nothing has to grow, and what the kernel does not let us write is stored through a mapping.

use super::device::{Run, SwapDevice};
use crate::descriptor::Descriptor;
use crate::sys::medium::Medium;
use crate::sys::{file, thread, Errno, Result};
use core::ffi::CStr;

/// The longest directory name that is accepted, with its terminating zero.
pub const PATH_MAX: usize = 4096;

/// A file of swap slots.
pub struct SwapFile {
    file: Descriptor,
    /// The directory, wherever the program's root is by now.
    place: Descriptor,
    dir: [u8; PATH_MAX],
    len: u64,
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
        Some(SwapFile { file: Descriptor::new(-1), place: Descriptor::new(-1), dir: path, len })
    }

    /// The directory.
    fn dir(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.dir).unwrap_or(c"/tmp")
    }

    /// Our descriptors: the file and its directory.
    pub fn descriptors(&self) -> [&Descriptor; 2] {
        [&self.file, &self.place]
    }

    /// Makes the file: to be done at the start. Fails if the directory is not there, cannot be written,
    /// or has not the space.
    pub fn open(&self) -> Result<()> {
        self.place.replace(file::out_of_the_way(file::open(self.dir(), libc::O_PATH | libc::O_DIRECTORY, 0)?));
        self.file.replace(self.create()?);
        // Where nobody says, the reservation will.
        if file::free_space(self.dir()).is_ok_and(|free| free < self.len) {
            return Err(Errno(libc::ENOSPC));
        }
        Ok(())
    }

    /// Whether there is a file.
    pub fn is_open(&self) -> bool {
        self.file.number().is_some()
    }

    /// Another file beside this one, which must have been open, with space for so many bytes reserved.
    pub fn another(&self, bytes: u64) -> Result<i32> {
        let fd = self.create()?;
        file::allocate(fd, 0, bytes).map(|()| fd).inspect_err(|_| file::close(fd))
    }

    /// A file without a name in the directory: nothing but a hole.
    pub fn create(&self) -> Result<i32> {
        let flags = libc::O_TMPFILE | libc::O_RDWR | libc::O_EXCL;
        let made = self.place.lend(|place| match file::open_in(place, c".", flags, 0o600) {
            Err(Errno(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => create_named(place),
            other => other,
        });
        let fd = made.map(file::out_of_the_way)?;
        file::set_len(fd, self.len).map(|()| fd).inspect_err(|_| file::close(fd))
    }

    /// Continues on another file, or on none (-1).
    pub fn continue_on(&self, fd: i32) {
        self.file.replace(fd).into_iter().for_each(file::close);
    }

    /// Closes everything; what was made beside stays.
    pub fn close(&self) {
        self.continue_on(-1);
        self.place.replace(-1).into_iter().for_each(file::close);
    }
}

impl SwapDevice for SwapFile {
    fn name(&self) -> &str {
        self.dir().to_str().unwrap_or("VMALLOC_SWAP_DIR")
    }

    fn reserve(&self, from: u64, to: u64) -> Result<()> {
        self.file.lend(|fd| file::allocate(fd, from, to))
    }

    unsafe fn write(&self, run: Run, pages: &[usize]) -> Result<()> {
        self.file.lend(|fd| {
            // SAFETY: the caller's pages are readable, as it promises.
            match unsafe { file::write_pages_at(fd, pages, run.page_size(), run.offset()) } {
                // SAFETY: as in the line before.
                Err(Errno(libc::EFBIG)) => unsafe { file::write_mapped(fd, pages, run.page_size(), run.offset()) },
                other => other,
            }
        })
    }

    unsafe fn read(&self, run: Run, pages: &[usize]) -> Result<()> {
        // SAFETY: the caller's pages are writable and its own, as it promises.
        self.file.lend(|fd| unsafe { file::read_pages_at(fd, pages, run.page_size(), run.offset()) })
    }

    fn discard(&self, _run: Run) {
        // A hole would give the reservation back, and with it the promise.
    }

    fn copy_to(&self, child: Medium, run: Run) -> Result<()> {
        match child {
            Medium::File(to) => self.file.lend(|fd| file::copy_range(fd, to, run.offset(), run.len() as u64)),
            Medium::Memory { at, .. } => {
                let at = at + run.offset() as usize;
                // SAFETY: the new memory is as large as the file, and nobody else knows it yet.
                self.file.lend(|fd| unsafe { file::read_at(fd, at, run.len(), run.offset()) })
            }
        }
    }
}

/// A file in the directory `place` whose name is removed at once, where the file system has no unnamed
/// files.
fn create_named(place: i32) -> Result<i32> {
    let mut name = *b".vmalloc-swap-0123456789abcdef\0";
    let unique = thread::now();
    for (digit, byte) in name.iter_mut().rev().skip(1).take(16).enumerate() {
        *byte = b"0123456789abcdef"[(unique >> (4 * digit)) as usize & 15];
    }
    let name = CStr::from_bytes_until_nul(&name).map_err(|_| Errno(libc::ENAMETOOLONG))?;
    let fd = file::open_in(place, name, libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o600)?;
    file::unlink_in(place, name)?;
    Ok(fd)
}
