//! Mappers: every change of what the program sees of its pages.
//!
//! A page is shown when its frame holds all its bytes, may be protected while it is shown, and is hidden before its
//! frame is given up. Callers hold the tokens of the pages, or the pages are promised to nobody yet.
//!
//! [`Signal`] changes the process's mappings, so that what is not allowed raises SIGSEGV. [`Soft`] keeps a table in plain
//! memory, which tests and simulators look at instead of a processor. A door brings its own for a region that is seen
//! elsewhere: in memory of the program's, or in another process.

mod signal;
mod soft;

pub use signal::{Signal, SIGNAL};
pub use soft::{Closed, Soft};

use crate::frames::Arena;
use crate::index::{FrameIndex, PageNumber};
use crate::page::Pte;
use crate::sys::memory::Protection;
use crate::sys::{Errno, Result};

/// Neighbouring pages of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pages {
    /// The first page's address in its region.
    pub address: usize,
    /// Its number there.
    pub first: PageNumber,
    /// How many.
    pub n: u64,
    /// log2 of the size of each.
    pub page_shift: u32,
}

impl Pages {
    /// Bytes of all.
    pub const fn len(&self) -> usize {
        (self.n as usize) << self.page_shift
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Each page by itself.
    pub fn each(&self) -> impl Iterator<Item = Pages> + use<> {
        let all = *self;
        (0..all.n).map(move |i| Pages {
            address: all.address + ((i as usize) << all.page_shift),
            first: all.first + i,
            n: 1,
            ..all
        })
    }
}

/// What changes what the program sees. Called in the fault handler too, so the engine's rules hold: no allocation, no
/// panic, raw system calls; never by two threads for one page, sometimes with the pager's lock held.
pub trait Mapper: Sync {
    /// The pages lie in the frames from `frame` on, with their contents in place, and allow `protection` from now on.
    fn show(&self, arena: &Arena, pages: &Pages, frame: FrameIndex, protection: Protection) -> Result<()>;

    /// The same for pages that are about to be used, open for everything.
    fn show_ahead(&self, arena: &Arena, pages: &Pages, frame: FrameIndex) -> Result<()> {
        self.show(arena, pages, frame, Protection::ReadWrite)
    }

    /// The pages, which are shown, allow `protection` from now on; `Protection::None` to see whether they are used at all.
    fn protect(&self, pages: &Pages, protection: Protection) -> Result<()>;

    /// The pages are in no frame any more: every access faults, and nobody changes their contents.
    fn hide(&self, pages: &Pages) -> Result<()>;

    /// A part `at .. at + len` of a shown page allows `protection`, guarded by the kernel's protection key `key` if there is
    /// one. The page stays in its frame as long as that holds.
    fn protect_part(&self, _at: usize, _len: usize, _protection: Protection, _key: Option<usize>) -> Result<()> {
        Err(Errno(libc::ENOSYS))
    }
}

/// What a page's view allows, by its entry: what the pager has opened, and what the program executes.
pub fn protection(pte: Pte) -> Protection {
    match (pte.has(Pte::READ), pte.has(Pte::WRITE), pte.has(Pte::EXECUTE)) {
        (false, false, _) => Protection::None,
        (_, true, false) => Protection::ReadWrite,
        (_, true, true) => Protection::ReadWriteExecute,
        (true, false, false) => Protection::Read,
        (true, false, true) => Protection::ReadExecute,
    }
}
