//! Files and descriptors.

use super::limits::{limit, raised, within_space};
use super::memory::{self, Protection};
use super::{syscall, torture, Errno, Result};
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};

/// Our descriptors stay out of the program's way: it may count on the low numbers.
const LOWEST: i32 = 500;

/// A new anonymous memory file of `len` bytes.
pub fn memory_file(name: &CStr, len: u64) -> Result<i32> {
    // SAFETY: the name is a C string.
    let fd = with_room(|| unsafe { syscall!(libc::SYS_memfd_create, name.as_ptr(), libc::MFD_CLOEXEC) })? as i32;
    let fd = out_of_the_way(fd);
    set_len(fd, len).map(|()| fd).inspect_err(|_| close(fd))
}

/// A second descriptor for the same file, beyond the numbers that programs use.
pub fn duplicate(fd: i32) -> Result<i32> {
    // SAFETY: no pointers.
    let beyond = |lowest: i32| unsafe {
        match syscall!(libc::SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, lowest) {
            // The lowest number that we want is beyond the limit.
            Err(Errno(libc::EINVAL)) => Err(Errno(libc::EMFILE)),
            other => other.map(|copy| copy as i32),
        }
    };
    with_room(|| beyond(LOWEST)).or_else(|error| {
        // The hard limit is as low: among the last numbers that there are.
        let limit = limit(libc::RLIMIT_NOFILE, None)?.rlim_cur;
        let last = i32::try_from(limit).map_err(|_| error)?;
        beyond(last - last / 8).or_else(|_| beyond(0))
    })
}

/// Does `work` again with a higher limit of descriptors, if that is what it lacked: ours are no
/// concern of the program's limit.
fn with_room<T>(work: impl Fn() -> Result<T>) -> Result<T> {
    let first = work();
    let lacks = matches!(first, Err(Errno(libc::EMFILE)));
    let Some(before) = limit(libc::RLIMIT_NOFILE, None).ok().filter(|limit| lacks && limit.rlim_cur < limit.rlim_max) else {
        return first;
    };
    let wanted = before.rlim_cur.max(LOWEST as u64) + 64;
    limit(libc::RLIMIT_NOFILE, Some(libc::rlimit { rlim_cur: wanted.min(before.rlim_max), ..before }))?;
    let second = work();
    limit(libc::RLIMIT_NOFILE, Some(before))?;
    second
}

/// Moves a descriptor beyond the numbers that programs use, if the limit allows it.
pub fn out_of_the_way(fd: i32) -> i32 {
    match duplicate(fd) {
        Ok(moved) => {
            close(fd);
            moved
        }
        Err(_) => fd,
    }
}

/// Opens a path.
pub fn open(path: &CStr, flags: i32, mode: u32) -> Result<i32> {
    open_in(libc::AT_FDCWD, path, flags, mode)
}

/// Opens a path that begins in the directory `place`.
pub fn open_in(place: i32, path: &CStr, flags: i32, mode: u32) -> Result<i32> {
    let flags = flags | libc::O_CLOEXEC;
    // SAFETY: the path is a C string.
    with_room(|| unsafe { syscall!(libc::SYS_openat, place, path.as_ptr(), flags, mode).map(|fd| fd as i32) })
}

/// Closes a descriptor.
pub fn close(fd: i32) {
    // SAFETY: no pointers; the caller owns the descriptor.
    let _ = unsafe { syscall!(libc::SYS_close, fd) };
}

/// Removes a path that begins in the directory `place`.
pub fn unlink_in(place: i32, path: &CStr) -> Result<()> {
    // SAFETY: the path is a C string.
    unsafe { syscall!(libc::SYS_unlinkat, place, path.as_ptr(), 0).map(|_| ()) }
}

/// Makes a file `len` bytes long; what was not written reads as zeros.
pub fn set_len(fd: i32, len: u64) -> Result<()> {
    // SAFETY: no pointers.
    within_size_limit(len, || unsafe { syscall!(libc::SYS_ftruncate, fd, len) }.map(|_| ()))
}

/// Really reserves the space of a file's bytes `from .. end`, which it did not have before; where that is no call, by writing.
/// The file is as long already, so no limit of its size stands in the way.
pub fn allocate(fd: i32, from: u64, end: u64) -> Result<()> {
    loop {
        // SAFETY: no pointers.
        match unsafe { syscall!(libc::SYS_fallocate, fd, 0, from, end - from) } {
            Err(Errno(libc::EINTR)) => {}
            Err(Errno(libc::ENOSYS | libc::EOPNOTSUPP | libc::EPERM)) => {
                return within_size_limit(end, || write_zeros(fd, from, end));
            }
            other => return other.map(|_| ()),
        }
    }
}

fn write_zeros(fd: i32, from: u64, end: u64) -> Result<()> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    let mut at = from;
    while at < end {
        let n = ZEROS.len().min((end - at) as usize);
        // SAFETY: `n` bytes of the zeros are readable, and the kernel changes none.
        unsafe { transfer(libc::SYS_pwrite64, fd, ZEROS.as_ptr() as usize, n, at)? };
        at += n as u64;
    }
    Ok(())
}

/// Whether files may be limited in size (RLIMIT_FSIZE).
static SIZES_ARE_LIMITED: AtomicBool = AtomicBool::new(false);

/// Files may be limited in size from now on: the program starts so, or sets a limit.
pub fn expect_size_limit() {
    // Relaxed: who does not see it yet writes as before the limit.
    SIZES_ARE_LIMITED.store(true, Ordering::Relaxed);
}

/// The limit of sizes of files if one of `len` bytes cannot be: to be asked at the start, and before files
/// are made, for else whoever grows one beyond the limit is killed.
pub fn size_limit_below(len: u64) -> Option<u64> {
    let found = limit(libc::RLIMIT_FSIZE, None).ok().filter(|limit| limit.rlim_cur != libc::RLIM_INFINITY)?;
    expect_size_limit();
    within_size_limit(len, || Ok(())).is_err().then_some(found.rlim_max)
}

/// Does `work`, which needs a file as large as `end`: beyond the limit the kernel would not only
/// refuse, but kill the program by SIGXFSZ. So the limit is raised for a moment; EFBIG if that cannot be.
fn within_size_limit<T>(end: u64, work: impl FnOnce() -> Result<T>) -> Result<T> {
    if !SIZES_ARE_LIMITED.load(Ordering::Relaxed) {
        return work();
    }
    raised(libc::RLIMIT_FSIZE, end, work).unwrap_or(Err(Errno(libc::EFBIG)))
}

/// Gives the file's bytes `offset .. offset + len` back to the system; they read as zeros.
pub fn punch_hole(fd: i32, offset: u64, len: u64) -> Result<()> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: no pointers.
    unsafe { syscall!(libc::SYS_fallocate, fd, mode, offset, len).map(|_| ()) }
}

/// Reads all of `len` bytes at `offset` to the address `to`; end of file is `EIO`.
///
/// # Safety
/// `to .. to + len` must be writable memory that nobody else uses.
pub unsafe fn read_at(fd: i32, to: usize, len: usize, offset: u64) -> Result<()> {
    // SAFETY: the caller promises that the `len` bytes are writable and its own; the kernel writes to no others.
    unsafe { transfer(libc::SYS_pread64, fd, to, len, offset) }
}

/// Writes all of the `len` bytes at the address `from` to `offset`.
///
/// # Safety
/// `from .. from + len` must be readable.
pub unsafe fn write_at(fd: i32, from: usize, len: usize, offset: u64) -> Result<()> {
    // SAFETY: the caller promises that the `len` bytes are readable; the kernel changes none.
    within_size_limit(offset + len as u64, || unsafe { transfer(libc::SYS_pwrite64, fd, from, len, offset) })
}

/// Pages that one call transfers at the most.
const VECTOR: usize = 64;

/// Reads pages of `size` bytes, which lie one behind the other from `offset` on, to these addresses.
///
/// # Safety
/// `size` bytes at each address must be writable memory that nobody else uses.
pub unsafe fn read_pages_at(fd: i32, pages: &[usize], size: usize, offset: u64) -> Result<()> {
    // SAFETY: each page is writable and the caller's alone, as it promises.
    unsafe { transfer_pages((libc::SYS_preadv, libc::SYS_pread64), fd, pages, size, offset) }
}

/// Writes the pages of `size` bytes at these addresses one behind the other from `offset` on.
///
/// # Safety
/// `size` bytes at each address must be readable.
pub unsafe fn write_pages_at(fd: i32, pages: &[usize], size: usize, offset: u64) -> Result<()> {
    let end = offset + (pages.len() * size) as u64;
    // SAFETY: each page is readable, as the caller promises.
    within_size_limit(end, || unsafe { transfer_pages((libc::SYS_pwritev, libc::SYS_pwrite64), fd, pages, size, offset) })
}

/// Transfers pages by the first call, and what that leaves over by the second, which takes one at a time.
unsafe fn transfer_pages((many, one): (i64, i64), fd: i32, pages: &[usize], size: usize, offset: u64) -> Result<()> {
    let mut offset = offset;
    for pages in pages.chunks(VECTOR) {
        let mut vector = [libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 }; VECTOR];
        for (entry, page) in vector.iter_mut().zip(pages) {
            *entry = libc::iovec { iov_base: *page as *mut _, iov_len: size };
        }
        let whole = pages.len() * size;
        let together = pages.len() > 1 && torture::cut(whole) == whole;
        // SAFETY: the caller's pages; the vector lives through the call.
        let done = match together.then(|| unsafe { syscall!(many, fd, vector.as_ptr(), pages.len(), offset, 0) }) {
            Some(Ok(n)) => n,
            Some(Err(Errno(libc::EINTR))) | None => 0,
            Some(Err(error)) => return Err(error),
        };
        for (i, page) in pages.iter().enumerate() {
            let from = done.saturating_sub(i * size).min(size);
            if from < size {
                // SAFETY: a part of one of the caller's pages.
                unsafe { transfer(one, fd, page + from, size - from, offset + (i * size + from) as u64)? };
            }
        }
        offset += whole as u64;
    }
    Ok(())
}

/// Writes as [`write_pages_at`], but through a mapping, which no limit of sizes of files concerns: for a file that is as long
/// and has the space already. `offset` is a multiple of the system's page.
///
/// # Safety
/// As [`write_pages_at`].
pub unsafe fn write_mapped(fd: i32, pages: &[usize], size: usize, offset: u64) -> Result<()> {
    let len = pages.len() * size;
    // SAFETY: a new mapping harms nobody.
    let at = within_space(|| unsafe { memory::map(None, len, Protection::ReadWrite, fd, offset) })?;
    for (page, to) in pages.iter().zip((at..at + len).step_by(size)) {
        // SAFETY: one of the caller's pages, and its place in a fresh mapping of as many.
        unsafe { core::ptr::copy_nonoverlapping(*page as *const u8, to as *mut u8, size) };
    }
    // SAFETY: the mapping that was just made, known to nobody else.
    unsafe { memory::unmap(at, len) }
}

unsafe fn transfer(number: i64, fd: i32, at: usize, len: usize, offset: u64) -> Result<()> {
    let mut done = 0;
    while done < len {
        // SAFETY: `done < len`, so what the kernel accesses lies in the range that the two callers answer for.
        match unsafe { syscall!(number, fd, at + done, torture::cut(len - done), offset + done as u64) } {
            Ok(0) => return Err(Errno(libc::EIO)),
            Ok(n) => done += n,
            Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Copies `len` bytes at `offset` from one file to the same place in another.
pub fn copy_range(from: i32, to: i32, offset: u64, len: u64) -> Result<()> {
    within_size_limit(offset + len, || copy_all(from, to, offset, len))
}

fn copy_all(from: i32, to: i32, offset: u64, len: u64) -> Result<()> {
    let mut done = 0;
    while done < len {
        let (mut source, mut target) = ((offset + done) as i64, (offset + done) as i64);
        let left = (len - done) as usize;
        // SAFETY: both offsets live through the call.
        match unsafe { syscall!(libc::SYS_copy_file_range, from, &raw mut source, to, &raw mut target, left, 0) } {
            Ok(0) => return Err(Errno(libc::EIO)),
            Ok(n) => done += n as u64,
            Err(Errno(libc::EINTR)) => {}
            Err(Errno(libc::ENOSYS | libc::EOPNOTSUPP | libc::EPERM | libc::EXDEV)) => {
                let mut buffer = [0u8; 4096];
                let n = left.min(buffer.len());
                // SAFETY: `n` bytes of the buffer, which is this function's own.
                unsafe {
                    read_at(from, buffer.as_mut_ptr() as usize, n, offset + done)?;
                    transfer(libc::SYS_pwrite64, to, buffer.as_ptr() as usize, n, offset + done)?;
                }
                done += n as u64;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes bytes to a descriptor, all of them unless an error comes.
pub fn write_all(fd: i32, bytes: &[u8]) -> Result<()> {
    // SAFETY: no pointers. What has no position has no size.
    let position = unsafe { syscall!(libc::SYS_lseek, fd, 0, libc::SEEK_CUR) };
    let end = position.map_or(0, |position| (position + bytes.len()) as u64);
    within_size_limit(end, || write_each(fd, bytes))
}

fn write_each(fd: i32, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the slice is readable.
        match unsafe { syscall!(libc::SYS_write, fd, bytes.as_ptr(), bytes.len()) } {
            Ok(n) => bytes = bytes.get(n..).unwrap_or(&[]),
            Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads up to `buffer.len()` bytes.
pub fn read(fd: i32, buffer: &mut [u8]) -> Result<usize> {
    loop {
        // SAFETY: the slice is writable.
        match unsafe { syscall!(libc::SYS_read, fd, buffer.as_mut_ptr(), buffer.len()) } {
            Err(Errno(libc::EINTR)) => {}
            other => return other,
        }
    }
}

/// Whether files can be made in the directory.
pub fn can_write(dir: &CStr) -> bool {
    // SAFETY: the path is a C string.
    unsafe { syscall!(libc::SYS_faccessat, libc::AT_FDCWD, dir.as_ptr(), libc::W_OK | libc::X_OK) }.is_ok()
}

/// Free bytes of the file system that holds `path`, as an unprivileged user may use them.
pub fn free_space(path: &CStr) -> Result<u64> {
    let mut info = core::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the path is a C string, and info has room for the answer.
    unsafe { syscall!(libc::SYS_statfs, path.as_ptr(), info.as_mut_ptr())? };
    // SAFETY: all zero is a valid statfs, and the kernel has filled it.
    let info = unsafe { info.assume_init() };
    Ok((info.f_bavail).saturating_mul(info.f_bsize as u64))
}
