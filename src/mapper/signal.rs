//! The signal mapper: pages are mappings of the arena at their own addresses, and what those do not allow raises SIGSEGV.

use super::{Mapper, Pages};
use crate::frames::Arena;
use crate::index::FrameIndex;
use crate::sys::memory::{self, Protection};
use crate::sys::{self, Result};

/// Mappings of the arena's frames.
pub struct Signal;

/// The mapper of this process.
pub static SIGNAL: Signal = Signal;

impl Mapper for Signal {
    fn show(&self, arena: &Arena, pages: &Pages, frame: FrameIndex, protection: Protection) -> Result<()> {
        // SAFETY: pages of a region of ours, whose tokens the caller holds or which no block lies in yet.
        unsafe { arena.map_frames(pages.address, pages.len(), protection, frame, false) }
    }

    fn show_ahead(&self, arena: &Arena, pages: &Pages, frame: FrameIndex) -> Result<()> {
        // SAFETY: as in `show`.
        unsafe { arena.map_frames(pages.address, pages.len(), Protection::ReadWrite, frame, true) }
    }

    fn protect(&self, pages: &Pages, protection: Protection) -> Result<()> {
        // SAFETY: as in `show`.
        unsafe { memory::protect(pages.address, pages.len(), protection) }
    }

    fn hide(&self, pages: &Pages) -> Result<()> {
        let (at, len) = (pages.address, pages.len());
        // SAFETY: as in `show`. At its limit of mappings the kernel refuses even to replace one, but not to remove one
        // that stands alone; what is left then is a gap like the others, or for a moment a hole, which faults as well.
        unsafe {
            memory::unback(at, len, Protection::None).or_else(|error| {
                memory::unmap(at, len).map_err(|_| error)?;
                let _ = memory::unback(at, len, Protection::None);
                Ok(())
            })
        }
    }

    fn protect_part(&self, at: usize, len: usize, protection: Protection, key: Option<usize>) -> Result<()> {
        let number = if key.is_some() { libc::SYS_pkey_mprotect } else { libc::SYS_mprotect };
        let bits = protection.bits() as usize;
        // SAFETY: a part of a page of ours that stays in its frame, as the caller has pinned it.
        sys::check(unsafe { sys::call(number, [at, len, bits, key.unwrap_or(0), 0, 0]) }).map(|_| ())
    }
}
