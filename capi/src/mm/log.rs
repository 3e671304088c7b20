//! What the engine is told of memory under management, and who is told of its faults.

use crate::faults::call_out;
use core::ffi::{c_int, c_uint};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use vmcore::events::stats::{Eviction, FaultKind};
use vmcore::events::{Event, EventSink, Who};
use vmcore::frames::Arena;
use vmcore::index::{FrameIndex, PageNumber};
use vmcore::mapper::{Mapper, Pages};
use vmcore::page::Access;
use vmcore::region::Store;
use vmcore::sys::memory::{self, Protection};
use vmcore::sys::Result;

/// The memory of the program.
pub struct Memory {
    /// The first byte.
    pub start: usize,
    /// Bytes of a page.
    pub page: usize,
}

impl Mapper for Memory {
    fn show(&self, _arena: &Arena, pages: &Pages, _frame: FrameIndex, protection: Protection) -> Result<()> {
        self.protect(pages, protection)
    }

    fn protect(&self, pages: &Pages, protection: Protection) -> Result<()> {
        let at = self.start + pages.first.get() as usize * self.page;
        // SAFETY: pages of the memory that the program has put under our management.
        unsafe { memory::protect(at, pages.n as usize * self.page, protection) }
    }

    fn hide(&self, pages: &Pages) -> Result<()> {
        self.protect(pages, Protection::None)
    }
}

impl Store for Memory {
    fn clear(&self, _page: PageNumber, _frame: FrameIndex) {}

    fn load(&self, _page: PageNumber, _frame: FrameIndex) -> Result<()> {
        Ok(())
    }

    fn save(&self, _page: PageNumber, _frame: FrameIndex) -> Result<()> {
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

impl EventSink for Log {
    fn emit(&self, _who: &Who, event: &Event) {
        let Event::Fault(fault) = event else {
            return;
        };
        let (Some(page), Some(frame)) = (fault.page, fault.frame) else {
            return;
        };
        let brought_in = matches!(fault.kind, FaultKind::FirstTouch | FaultKind::SwapIn);
        // A write to a clean page is of kind 2, whether R had been reset or not.
        let kind = match fault.access {
            Access::Read if brought_in => 0,
            Access::Write if brought_in => 1,
            _ if fault.dirtied => 2,
            Access::Read => 3,
            Access::Write => 4,
        };
        self.faults.fetch_add(u64::from(brought_in), Ordering::Relaxed);
        let (mut evicted, mut written) = (-1, 0);
        if let Some((name, eviction)) = fault.evicted {
            evicted = name.page.get() as c_int;
            written = c_int::from(eviction == Eviction::Dirty);
            self.write_backs.fetch_add(u64::from(eviction == Eviction::Dirty), Ordering::Relaxed);
            self.count(name.page.get() as usize);
            self.count(self.pages + frame.at());
        }
        if let Some(logger) = self.logger {
            let offset = (fault.address - self.start).checked_rem(self.page).unwrap_or(0);
            let physical = (frame.at() * self.page + offset) as c_uint;
            call_out(|| logger(page.page.get() as c_int, kind, evicted, written, physical));
        }
    }
}
