//! Slots in memory: for tests and simulators, for a child whose sandbox forbids new files, which is told so by a line, and for
//! one whose parent was handed its device.

use super::device::{Run, SwapDevice};
use crate::sys::medium::Medium;
use crate::sys::{memory, Errno, Result};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Memory that parent and children share, as a file would be.
pub struct SwapMemory {
    /// Where it lies; 0 while there is none.
    at: AtomicUsize,
    len: usize,
}

impl SwapMemory {
    /// Memory of `len` bytes that is not there yet.
    pub const fn new(len: usize) -> SwapMemory {
        SwapMemory { at: AtomicUsize::new(0), len }
    }

    /// Makes it.
    pub fn open(&self) -> Result<()> {
        if self.len > 0 {
            self.continue_on(memory::reserve_shared(self.len)?);
        }
        Ok(())
    }

    /// Whether the slots lie here.
    pub fn is_open(&self) -> bool {
        self.address() != 0
    }

    fn address(&self) -> usize {
        // Relaxed: stored before the process has a second thread, or under the lock that slots are promised under.
        self.at.load(Ordering::Relaxed)
    }

    /// Continues on memory of the same length at another address; 0 for none.
    pub fn continue_on(&self, at: usize) {
        let before = self.at.swap(at, Ordering::Relaxed);
        if before != 0 {
            // SAFETY: mapped by `open`, or by a parent, and used no more in this process.
            let _ = unsafe { memory::unmap(before, self.len) };
        }
    }

    /// The address of a run.
    fn find(&self, run: Run) -> Result<usize> {
        let offset = run.offset() as usize;
        let inside = self.is_open() && offset.checked_add(run.len()).is_some_and(|end| end <= self.len);
        if inside {
            Ok(self.address() + offset)
        } else {
            Err(Errno(libc::EIO))
        }
    }
}

impl SwapDevice for SwapMemory {
    fn name(&self) -> &str {
        "memory"
    }

    fn reserve(&self, _from: u64, _to: u64) -> Result<()> {
        Ok(())
    }

    unsafe fn write(&self, run: Run, pages: &[usize]) -> Result<()> {
        let (at, size) = (self.find(run)?, run.page_size());
        for (slot, page) in (at..at + run.len()).step_by(size).zip(pages) {
            // SAFETY: the slot lies in our mapping, apart from the program's and the frames'; the caller's page is readable.
            unsafe { core::ptr::copy_nonoverlapping(*page as *const u8, slot as *mut u8, size) };
        }
        Ok(())
    }

    unsafe fn read(&self, run: Run, pages: &[usize]) -> Result<()> {
        let (at, size) = (self.find(run)?, run.page_size());
        for (slot, page) in (at..at + run.len()).step_by(size).zip(pages) {
            // SAFETY: as in `write`, with the caller's page writable.
            unsafe { core::ptr::copy_nonoverlapping(slot as *const u8, *page as *mut u8, size) };
        }
        Ok(())
    }

    fn discard(&self, run: Run) {
        if let Ok(at) = self.find(run) {
            // SAFETY: bytes of our own mapping that are of no value any more.
            let _ = unsafe { memory::advise(at, run.len(), libc::MADV_REMOVE) };
        }
    }

    fn copy_to(&self, child: Medium, run: Run) -> Result<()> {
        let at = self.find(run)?;
        // SAFETY: a run of our mapping, readable; nobody else knows the child's copy yet.
        unsafe { child.write(at, run.len(), run.offset()) }
    }
}
