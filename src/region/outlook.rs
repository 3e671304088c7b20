//! The outlook of a region that a door opens for itself: how its pages are seen, where they are kept
//! while they have no frame, and who is told of what happens to them.
//!
//! The engine decides which page is where; an outlook carries it out in another place than the engine's
//! own: memory that the program brought, files, another process. All of it is called in the fault handler too, so the
//! engine's rules hold for whoever implements it.
#![forbid(unsafe_code)]

use crate::events::EventSink;
use crate::index::{FrameIndex, PageNumber};
use crate::mapper::Mapper;
use crate::sys::Result;

/// What a door says of a region.
#[derive(Clone, Copy)]
pub struct Outlook {
    /// It shows the region's pages. Without it the engine's mapper does.
    pub mapper: Option<&'static dyn Mapper>,
    /// It keeps the region's pages. Without it they lie in the arena's frames and the engine's swap device.
    pub store: Option<&'static dyn Store>,
    /// It is told of the faults that are served in the region.
    pub sink: Option<&'static dyn EventSink>,
}

/// Contents that do not lie in the engine's own frames, or go somewhere else than to its swap device. Page `n` is kept as
/// number `n`, so there are no slots to hand out. Called by the holder of the page's token.
pub trait Store: Sync {
    /// The page comes into `frame` for the first time, or was never modified: it is all zero.
    fn clear(&self, page: PageNumber, frame: FrameIndex);

    /// The page comes back into `frame` as it was saved last.
    fn load(&self, page: PageNumber, frame: FrameIndex) -> Result<()>;

    /// The page, which was modified, leaves `frame`. After an error it stays.
    fn save(&self, page: PageNumber, frame: FrameIndex) -> Result<()>;
}
