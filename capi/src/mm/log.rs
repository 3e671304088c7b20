//! What the engine is told of memory under management, and who is told of its faults.

use crate::faults::call_out;
use core::ffi::{c_int, c_uint};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use vmcore::outlook::{Observer, Report, Store, View};
use vmcore::stats::{Eviction, FaultKind};
use vmcore::sys::memory::{self, Protection};
use vmcore::sys::Result;
use vmcore::trace::Access;

/// The memory of the program.
pub struct Memory {
    /// The first byte.
    pub start: usize,
    /// Bytes of a page.
    pub page: usize,
}

impl View for Memory {
    fn open(&self, page: u64, _frame: u32, protection: Protection) -> Result<()> {
        self.protect(page, protection)
    }

    fn protect(&self, page: u64, protection: Protection) -> Result<()> {
        // SAFETY: a page of the memory that the program has put under our management.
        unsafe { memory::protect(self.start + page as usize * self.page, self.page, protection) }
    }

    fn close(&self, page: u64) -> Result<()> {
        self.protect(page, Protection::None)
    }
}

impl Store for Memory {
    fn clear(&self, _page: u64, _frame: u32) {}

    fn load(&self, _page: u64, _frame: u32) -> Result<()> {
        Ok(())
    }

    fn save(&self, _page: u64, _frame: u32) -> Result<()> {
        Ok(())
    }
}

/// The program's mm_logger.
pub type Logger = extern "C" fn(c_int, c_int, c_int, c_int, c_uint);

/// What is counted, and who is told.
pub struct Log {
    /// The first byte.
    pub start: usize,
    /// Bytes of a page.
    pub page: usize,
    /// Who is told.
    pub logger: Option<Logger>,
    /// Pages brought in.
    pub faults: AtomicU64,
    /// Evictions of dirty pages.
    pub write_backs: AtomicU64,
    /// Evictions of each page, then of each frame.
    pub evictions: &'static [AtomicU32],
    /// How many pages there are.
    pub pages: usize,
}

impl Log {
    fn count(&self, at: usize) {
        if let Some(evictions) = self.evictions.get(at) {
            evictions.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Observer for Log {
    fn served(&self, report: &Report) {
        let brought_in = matches!(report.kind, FaultKind::FirstTouch | FaultKind::SwapIn);
        // A write to a clean page is of kind 2, whether R had been reset or not.
        let kind = match report.access {
            Access::Read if brought_in => 0,
            Access::Write if brought_in => 1,
            _ if report.dirtied => 2,
            Access::Read => 3,
            Access::Write => 4,
        };
        self.faults.fetch_add(u64::from(brought_in), Ordering::Relaxed);
        let (mut evicted, mut written) = (-1, 0);
        if let Some((name, eviction)) = report.evicted {
            evicted = name.page as c_int;
            written = c_int::from(eviction == Eviction::Dirty);
            self.write_backs.fetch_add(u64::from(eviction == Eviction::Dirty), Ordering::Relaxed);
            self.count(name.page as usize);
            self.count(self.pages + report.frame as usize);
        }
        if let Some(logger) = self.logger {
            let offset = (report.address - self.start).checked_rem(self.page).unwrap_or(0);
            let physical = (report.frame as usize * self.page + offset) as c_uint;
            call_out(|| logger(report.page.page as c_int, kind, evicted, written, physical));
        }
    }
}
