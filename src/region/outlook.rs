//! The outlook of a region that a door opens for itself: how its pages are seen, where they are kept
//! while they have no frame, and who is told of what happens to them.
//!
//! The engine decides which page is where; an outlook carries it out in another place than the engine's
//! own: memory that the program brought, files, another process. All of it is called in the fault handler too, so the
//! engine's rules hold for whoever implements it.

use crate::events::EventSink;
use crate::index::{FrameIndex, PageNumber};
use crate::mapper::Mapper;
use crate::sys::Result;

/// What a door says of a region.
#[derive(Clone, Copy)]
pub struct Outlook {
    /// How pages are seen; without it, as the engine's mapper has it.
    pub mapper: Option<&'static dyn Mapper>,
    /// Where pages are kept; without it, in the frames' memory and the engine's swap device.
    pub store: Option<&'static dyn Store>,
    /// Who is told of events.
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
