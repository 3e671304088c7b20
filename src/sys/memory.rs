//! Mappings. Addresses are numbers here; whoever maps something vouches for the range.

use super::limits::within_space;
use super::{syscall, Result};

/// What a mapping allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// Every access faults.
    None,
    /// Loads.
    Read,
    /// Loads and stores.
    ReadWrite,
    /// Loads, and execution.
    ReadExecute,
    /// Everything.
    ReadWriteExecute,
}

impl Protection {
    /// As the kernel says it, `PROT_…`.
    pub const fn bits(self) -> i32 {
        match self {
            Protection::None => libc::PROT_NONE,
            Protection::Read => libc::PROT_READ,
            Protection::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Protection::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
            Protection::ReadWriteExecute => libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
        }
    }

    /// The same, and execution of what can be loaded.
    pub const fn executable(self) -> Protection {
        match self {
            Protection::None => Protection::None,
            Protection::Read | Protection::ReadExecute => Protection::ReadExecute,
            Protection::ReadWrite | Protection::ReadWriteExecute => Protection::ReadWriteExecute,
        }
    }
}

/// Reserves `len` bytes of address space anywhere; nothing is mapped there.
pub fn reserve(len: usize, protection: Protection) -> Result<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address that the kernel chooses harms nobody.
    unsafe { syscall!(libc::SYS_mmap, 0, len, protection.bits(), flags, -1isize, 0) }
}

/// Reserves exactly `at .. at + len`; fails if anything lies there.
pub fn reserve_at(at: usize, len: usize, protection: Protection) -> Result<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: NOREPLACE never touches an existing mapping.
    let got = unsafe { syscall!(libc::SYS_mmap, at, len, protection.bits(), flags, -1isize, 0)? };
    if got == at {
        return Ok(at);
    }
    // A kernel without NOREPLACE took the address for a hint.
    // SAFETY: the mapping was just made and nobody knows it.
    let _ = unsafe { syscall!(libc::SYS_munmap, got, len) };
    Err(super::Errno(libc::EEXIST))
}

/// Memory of `len` bytes that this process shares with the children that it will have.
pub fn reserve_shared(len: usize) -> Result<usize> {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address that the kernel chooses harms nobody.
    unsafe { syscall!(libc::SYS_mmap, 0, len, Protection::ReadWrite.bits(), flags, -1isize, 0) }
}

/// Turns the range back into reserved address space that nothing backs.
///
/// # Safety
/// The range must be the caller's, and nobody may rely on what was mapped there.
pub unsafe fn unback(at: usize, len: usize, protection: Protection) -> Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
    // SAFETY: the caller owns the range.
    within_space(|| unsafe { syscall!(libc::SYS_mmap, at, len, protection.bits(), flags, -1isize, 0).map(|_| ()) })
}

/// Maps `len` bytes of `fd` from `offset` on, shared: at `at`, replacing what is there, or anywhere.
///
/// # Safety
/// With `at`, the range must be the caller's.
pub unsafe fn map(at: Option<usize>, len: usize, protection: Protection, fd: i32, offset: u64) -> Result<usize> {
    let flags = libc::MAP_SHARED | if at.is_some() { libc::MAP_FIXED } else { 0 };
    // SAFETY: the caller owns the range.
    let mmap = || unsafe { syscall!(libc::SYS_mmap, at.unwrap_or(0), len, protection.bits(), flags, fd, offset) };
    if at.is_some() {
        within_space(mmap)
    } else {
        mmap()
    }
}

/// Maps `len` bytes of `fd` from `offset` on, shared, over what is at `at`. With `populate` the kernel's page tables
/// are filled at once: for memory that is about to be used.
///
/// # Safety
/// The range must be the caller's.
pub unsafe fn map_over(at: usize, len: usize, protection: Protection, fd: i32, offset: u64, populate: bool) -> Result<()> {
    let flags = libc::MAP_SHARED | libc::MAP_FIXED | if populate { libc::MAP_POPULATE } else { 0 };
    // SAFETY: the caller owns the range.
    within_space(|| unsafe { syscall!(libc::SYS_mmap, at, len, protection.bits(), flags, fd, offset).map(|_| ()) })
}

/// Maps `len` bytes of the shared memory that is mapped at `from`, where it allows nothing, once more at `at`:
/// mremap(2) of nothing. Nobody sees the range with another protection before.
///
/// # Safety
/// The range at `at` must be the caller's.
pub unsafe fn map_again(from: usize, at: usize, len: usize, protection: Protection) -> Result<()> {
    // SAFETY: what is mapped at `from` stays; the caller owns the other range.
    unsafe {
        syscall!(libc::SYS_mremap, from, 0, len, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, at)?;
        match protection {
            Protection::None => Ok(()),
            other => protect(at, len, other),
        }
    }
}

/// Changes what the range allows.
///
/// # Safety
/// The range must be the caller's.
pub unsafe fn protect(at: usize, len: usize, protection: Protection) -> Result<()> {
    // SAFETY: the caller owns the range.
    unsafe { syscall!(libc::SYS_mprotect, at, len, protection.bits()).map(|_| ()) }
}

/// Removes the mapping.
///
/// # Safety
/// The range must be the caller's, and unused from now on.
pub unsafe fn unmap(at: usize, len: usize) -> Result<()> {
    // SAFETY: the caller owns the range.
    unsafe { syscall!(libc::SYS_munmap, at, len).map(|_| ()) }
}

/// Advice on a mapping, `libc::MADV_…`.
///
/// # Safety
/// The range must be the caller's; some advice drops contents.
pub unsafe fn advise(at: usize, len: usize, advice: i32) -> Result<()> {
    // SAFETY: the caller owns the range.
    unsafe { syscall!(libc::SYS_madvise, at, len, advice).map(|_| ()) }
}
