//! What a forked child's copy is made on: a file; or, where a sandbox or a limit that the program set lets nobody make one, memory
//! without a name that parent and child share.

use super::{file, memory, Errno, Result};
use core::ffi::CStr;

/// A new file, or memory in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Medium {
    /// This descriptor.
    File(i32),
    /// What is mapped there.
    Memory {
        /// The address.
        at: usize,
        /// Bytes.
        len: usize,
    },
}

impl Medium {
    /// A memory file of `len` bytes, or memory.
    pub fn for_memory(name: &CStr, len: u64) -> Result<Medium> {
        match file::memory_file(name, len) {
            Ok(fd) => Ok(Medium::File(fd)),
            Err(error) if is_forbidden(error) || is_beyond_limit(error) => Medium::nameless(len),
            Err(error) => Err(error),
        }
    }

    /// Memory without a name.
    pub fn nameless(len: u64) -> Result<Medium> {
        let len = len as usize;
        memory::reserve_shared(len).map(|at| Medium::Memory { at, len })
    }

    /// Writes the `len` bytes at the address `from` to `offset`.
    ///
    /// # Safety
    /// `from .. from + len` must be readable, and nobody else may use the medium.
    pub unsafe fn write(self, from: usize, len: usize, offset: u64) -> Result<()> {
        match self {
            // SAFETY: the caller promises that the `len` bytes are readable.
            Medium::File(fd) => unsafe { file::write_at(fd, from, len, offset) },
            Medium::Memory { at, len: room } if offset as usize + len <= room => {
                // SAFETY: within the mapping; readable, says the caller, and elsewhere, being older.
                unsafe { core::ptr::copy_nonoverlapping(from as *const u8, (at + offset as usize) as *mut u8, len) };
                Ok(())
            }
            Medium::Memory { .. } => Err(Errno(libc::ENOSPC)),
        }
    }

    /// Closes the file or unmaps the memory: this process does not need it.
    pub fn close(self) {
        match self {
            Medium::File(fd) => file::close(fd),
            Medium::Memory { at, len } => {
                // SAFETY: made above, and used by nobody in this process.
                let _ = unsafe { memory::unmap(at, len) };
            }
        }
    }
}

/// Whether the system lets this process do such things at all.
pub fn is_forbidden(error: Errno) -> bool {
    matches!(error.0, libc::ENOSYS | libc::EPERM | libc::EACCES)
}

/// Whether a limit of the process forbids it: of descriptors, or of sizes of files.
pub fn is_beyond_limit(error: Errno) -> bool {
    matches!(error.0, libc::EMFILE | libc::ENFILE | libc::EFBIG)
}
