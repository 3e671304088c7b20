//! How the program sees a page: as its frame mapped at the page's address, or as the region's outlook has
//! it; and what that view allows: what the pager has opened (`READ`, `WRITE`) and what the program executes.
//! Callers hold the page's token.

use crate::pte::Pte;
use crate::region::Place;
use crate::sys::memory::{self, Protection};
use crate::sys::Result;

/// The protection of the page's addresses, by its entry.
pub(crate) fn protection(pte: Pte) -> Protection {
    match (pte.has(Pte::READ), pte.has(Pte::WRITE), pte.has(Pte::EXECUTE)) {
        (false, false, _) => Protection::None,
        (_, true, false) => Protection::ReadWrite,
        (_, true, true) => Protection::ReadWriteExecute,
        (true, false, false) => Protection::Read,
        (true, false, true) => Protection::ReadExecute,
    }
}

impl Place {
    /// Shows the frame, which holds the page's contents.
    pub(crate) fn open(&self, page: u64, frame: u32, protection: Protection) -> Result<()> {
        let arena = self.engine.arena();
        if let Some(view) = self.view() {
            return view.open(page, arena.number(frame), protection);
        }
        // SAFETY: a page of ours whose token the caller holds.
        unsafe { arena.show(self.page_address(page), self.engine.page(), protection, frame) }
    }

    /// Changes what an open page allows.
    pub(crate) fn protect(&self, page: u64, protection: Protection) -> Result<()> {
        if let Some(view) = self.view() {
            return view.protect(page, protection);
        }
        // SAFETY: a page of ours whose token the caller holds.
        unsafe { memory::protect(self.page_address(page), self.engine.page(), protection) }
    }

    /// Shows nothing: who touches the page waits for the holder of the token.
    pub(crate) fn close(&self, page: u64) -> Result<()> {
        if let Some(view) = self.view() {
            return view.close(page);
        }
        let (at, len) = (self.page_address(page), self.engine.page());
        // SAFETY: a page of ours whose token the caller holds. At its limit of mappings the kernel refuses
        // even to replace one, but not to remove one that stands alone; what is left then is a gap like
        // the others, or for a moment a hole, which faults as well.
        unsafe {
            memory::unback(at, len, Protection::None).or_else(|error| {
                memory::unmap(at, len).map_err(|_| error)?;
                let _ = memory::unback(at, len, Protection::None);
                Ok(())
            })
        }
    }

    fn view(&self) -> Option<&'static dyn crate::outlook::View> {
        self.region.outlook()?.view
    }
}
