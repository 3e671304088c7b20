//! The outlook of a region that a door opens for itself: how its pages are seen, where they are kept
//! while they have no frame, and who is told of their faults.
//!
//! The engine decides which page is where; an outlook carries it out in another place than the engine's
//! own: memory that the program brought, files, another process. Pages are numbered from the region's
//! first, frames from the pool's first (`Arena::number`).
//!
//! Everything here is called in the fault handler too, so the engine's rules hold for whoever implements
//! it: no allocation, no panic, raw system calls. View and store are called by the holder of the page's
//! token, so never by two threads for one page; the view with the pager's lock held at times.

use crate::stats::{Eviction, FaultKind};
use crate::sys::memory::Protection;
use crate::sys::Result;
use crate::trace::{Access, PageName};

/// What a door says of a region.
#[derive(Clone, Copy)]
pub struct Outlook {
    /// How pages are seen; without it, as frames mapped at the page's own address.
    pub view: Option<&'static dyn View>,
    /// Where pages are kept; without it, in the frames' memory and the engine's swap file.
    pub store: Option<&'static dyn Store>,
    /// Who is told of faults.
    pub observer: Option<&'static dyn Observer>,
}

/// A program view of another kind.
pub trait View: Sync {
    /// The page is in `frame` now, with its contents in place, and allows this.
    fn open(&self, page: u64, frame: u32, protection: Protection) -> Result<()>;

    /// The page, which is open, allows this from now on; with `Protection::None`, to see whether it is
    /// used at all.
    fn protect(&self, page: u64, protection: Protection) -> Result<()>;

    /// The page is in no frame any more: every access faults, and nobody changes its contents.
    fn close(&self, page: u64) -> Result<()>;
}

/// Contents that do not lie in the engine's own frames, or go somewhere else than its swap file.
pub trait Store: Sync {
    /// The page comes into `frame` for the first time, or was never modified: it is all zero.
    fn clear(&self, page: u64, frame: u32);

    /// The page comes back into `frame` as it was saved last.
    fn load(&self, page: u64, frame: u32) -> Result<()>;

    /// The page, which was modified, leaves `frame`. After an error it stays.
    fn save(&self, page: u64, frame: u32) -> Result<()>;
}

/// Who wants to know of each fault when it has been served.
pub trait Observer: Sync {
    /// Called by the thread that faulted, before the access is repeated, with no lock and no token held.
    fn served(&self, report: &Report);
}

/// A fault that was served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// The page.
    pub page: PageName,
    /// The address that was touched, as the door was given it.
    pub address: usize,
    /// The kind of fault.
    pub kind: FaultKind,
    /// The access.
    pub access: Access,
    /// Whether a clean page, or one that just came in, became dirty by it.
    pub dirtied: bool,
    /// The frame that the page is in.
    pub frame: u32,
    /// The page that left the frame for it, and how.
    pub evicted: Option<(PageName, Eviction)>,
}
