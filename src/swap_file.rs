//! The swap file: made at the start and without a name, its space really reserved when slots are promised,
//! as many as that takes and some more. So a program that could use much disk takes no more than it uses, and its children neither.
//!
//! It is made so early because a program may give up its privileges, its root, or the right to open
//! files, long before it needs memory beyond the arena. A forked child may find that its sandbox forbids
//! new files: then its slots lie in memory, which says a line, since that is not what was asked for.

use crate::descriptor::Descriptor;
use crate::report::say;
use crate::sys::medium::{is_forbidden, Medium};
use crate::sys::{file, memory, Errno, Result};
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The longest directory name that is accepted, with its terminating zero.
pub const PATH_MAX: usize = 4096;

/// A file of swap slots.
pub struct SwapFile {
    file: Descriptor,
    /// Where the slots lie if they lie in memory; 0 if not.
    memory: AtomicUsize,
    /// So many bytes from the start are reserved, so the slots in them may be promised.
    reserved: AtomicU64,
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
        let (memory, complaints) = (AtomicUsize::new(0), AtomicU32::new(0));
        Some(SwapFile { file, memory, reserved: AtomicU64::new(0), place, dir: path, len, complaints })
    }

    /// The directory.
    pub fn dir(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.dir).unwrap_or(c"/tmp")
    }

    /// Our descriptors: the file and its directory.
    pub fn descriptors(&self) -> [&Descriptor; 2] {
        [&self.file, &self.place]
    }

    /// Bytes of slots that may be promised.
    pub fn reserved(&self) -> u64 {
        // Acquire: pairs with the release in `reserve`.
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
        // Where nobody says, the reservation will.
        if file::free_space(self.dir()).is_ok_and(|free| free < self.len) {
            return Err(Errno(libc::ENOSPC));
        }
        Ok(())
    }

    /// Reserves the space of the first `bytes` bytes. Callers exclude each other.
    pub fn reserve(&self, bytes: u64) -> Result<()> {
        let (had, bytes) = (self.reserved(), bytes.min(self.len));
        if had >= bytes {
            return Ok(());
        }
        if self.file.number().is_none() && self.memory.load(Ordering::Relaxed) == 0 {
            // A child for which none could be made at the fork.
            let own = self.another_or_memory(bytes)?;
            self.continue_on(Some(own));
        } else if self.memory.load(Ordering::Relaxed) == 0 {
            self.file.lend(|fd| file::allocate(fd, had, bytes))?;
        }
        self.reserved.store(bytes, Ordering::Release);
        Ok(())
    }

    /// A new, empty file of the same kind for a child. That none can be made is an error only if this
    /// one is in use.
    pub fn successor(&self) -> Result<Option<Medium>> {
        match self.reserved() {
            0 => Ok(self.create().ok().map(Medium::File)),
            bytes => self.another_or_memory(bytes).map(Some),
        }
    }

    fn another_or_memory(&self, bytes: u64) -> Result<Medium> {
        match self.another(bytes) {
            Ok(fd) => Ok(Medium::File(fd)),
            Err(error) if is_forbidden(error) => {
                let dir = self.dir().to_str().unwrap_or("VMALLOC_SWAP_DIR");
                say(format_args!("no swap file may be made in {dir} (error {}): a child's swap is memory", error.0));
                Medium::nameless(self.len)
            }
            Err(error) => Err(error),
        }
    }

    /// Another file beside this one, which must be open, with space for so many bytes reserved.
    pub fn another(&self, bytes: u64) -> Result<i32> {
        let fd = self.create()?;
        file::allocate(fd, 0, bytes).map(|()| fd).inspect_err(|_| file::close(fd))
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

    /// In a child process: continues on `own`, or on none.
    pub fn continue_on(&self, own: Option<Medium>) {
        let (fd, at) = match own {
            Some(Medium::File(fd)) => (fd, 0),
            Some(Medium::Memory { at, .. }) => (-1, at),
            None => (-1, 0),
        };
        self.file.replace(fd).into_iter().for_each(file::close);
        let parents = self.memory.swap(at, Ordering::Relaxed);
        if parents != 0 {
            // SAFETY: the parent's slots, which this process uses no more.
            let _ = unsafe { memory::unmap(parents, self.len as usize) };
        }
    }

    /// Where slot `slot` of `len` bytes lies, if it lies in memory.
    fn in_memory(&self, slot: u32, len: usize) -> Option<usize> {
        // Relaxed: stored before the process has a second thread, or under the lock that slots are promised under.
        let at = self.memory.load(Ordering::Relaxed);
        let offset = slot as usize * len;
        (at != 0 && offset + len <= self.len as usize).then_some(at + offset)
    }

    /// Reads slot `slot` of `len` bytes to the address `to`.
    ///
    /// # Safety
    /// `to .. to + len` is writable and nobody else uses it.
    pub unsafe fn read(&self, slot: u32, to: usize, len: usize) -> Result<()> {
        if let Some(at) = self.in_memory(slot, len) {
            // SAFETY: the caller's promise, and a slot.
            unsafe { core::ptr::copy_nonoverlapping(at as *const u8, to as *mut u8, len) };
            return Ok(());
        }
        // SAFETY: the caller's promise.
        self.file.lend(|fd| unsafe { file::read_at(fd, to, len, u64::from(slot) * len as u64) })
    }

    /// Writes `len` bytes at the address `from` to slot `slot`.
    ///
    /// # Safety
    /// `from .. from + len` is readable.
    pub unsafe fn write(&self, slot: u32, from: usize, len: usize) -> Result<()> {
        if let Some(at) = self.in_memory(slot, len) {
            // SAFETY: the caller's promise, and a slot.
            unsafe { core::ptr::copy_nonoverlapping(from as *const u8, at as *mut u8, len) };
            return Ok(());
        }
        // SAFETY: the caller's promise.
        self.file.lend(|fd| unsafe { file::write_at(fd, from, len, u64::from(slot) * len as u64) })
    }

    /// Copies `len` bytes at `offset` to the same place in another swap file, which nobody uses yet.
    pub fn copy_to(&self, to: Medium, offset: u64, len: u64) -> Result<()> {
        let memory = self.memory.load(Ordering::Relaxed);
        match to {
            // SAFETY: slots, in memory.
            _ if memory != 0 => unsafe { to.write(memory + offset as usize, len as usize, offset) },
            Medium::File(to) => self.file.lend(|fd| file::copy_range(fd, to, offset, len)),
            Medium::Memory { at, .. } => {
                let at = at + offset as usize;
                // SAFETY: the new memory is as large as the file.
                self.file.lend(|fd| unsafe { file::read_at(fd, at, len as usize, offset) })
            }
        }
    }

    /// Says that a transfer failed: the first time, and then ever more seldom.
    pub fn complain(&self, what: &str, slot: u32, error: Errno) {
        self.say_seldom(format_args!("cannot {what} slot {slot}"), error, "");
    }

    /// Says that more space could not be reserved, as seldom.
    pub fn complain_of_space(&self, error: Errno) {
        let had = self.reserved() / 1024;
        self.say_seldom(format_args!("cannot reserve more than {had}K"), error, ": no more memory");
    }

    fn say_seldom(&self, what: core::fmt::Arguments<'_>, error: Errno, so: &str) {
        if (self.complaints.fetch_add(1, Ordering::Relaxed) + 1).is_power_of_two() {
            let dir = self.dir().to_str().unwrap_or("VMALLOC_SWAP_DIR");
            say(format_args!("{what} of the swap file in {dir}: error {}{so}", error.0));
        }
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
