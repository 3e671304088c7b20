//! How the program sees the pages of a region: as its own mapper has it, or the engine's. Callers hold the pages' tokens.
#![forbid(unsafe_code)]

use super::place::Place;
use crate::index::{FrameIndex, PageNumber};
use crate::mapper::{Mapper, Pages};
use crate::sys::memory::Protection;
use crate::sys::Result;

impl Place {
    fn mapper(&self) -> &'static dyn Mapper {
        self.region.outlook().and_then(|outlook| outlook.mapper).unwrap_or(self.engine.mapper())
    }

    /// Shows the frame, which holds the page's contents.
    pub(crate) fn show(&self, page: PageNumber, frame: FrameIndex, protection: Protection) -> Result<()> {
        self.show_run(&self.pages_from(page, 1), frame, protection)
    }

    /// Shows neighbouring frames, which hold the pages' contents.
    pub(crate) fn show_run(&self, pages: &Pages, frame: FrameIndex, protection: Protection) -> Result<()> {
        self.mapper().show(self.engine.frames().arena(), pages, frame, protection)
    }

    /// Shows neighbouring frames, open for everything; with `soon` they are about to be used.
    pub(crate) fn show_ahead(&self, pages: &Pages, frame: FrameIndex, soon: bool) -> Result<()> {
        let arena = self.engine.frames().arena();
        if soon {
            self.mapper().show_ahead(arena, pages, frame)
        } else {
            self.mapper().show(arena, pages, frame, Protection::ReadWrite)
        }
    }

    /// Changes what a shown page allows.
    pub(crate) fn protect(&self, page: PageNumber, protection: Protection) -> Result<()> {
        self.mapper().protect(&self.pages_from(page, 1), protection)
    }

    /// Changes what a part of a shown page allows, which stays in its frame.
    pub(crate) fn protect_part(&self, at: usize, len: usize, protection: Protection, key: Option<usize>) -> Result<()> {
        self.mapper().protect_part(at, len, protection, key)
    }

    /// Shows nothing: who touches the page waits for the holder of the token.
    pub(crate) fn hide(&self, page: PageNumber) -> Result<()> {
        self.hide_run(page, 1)
    }

    /// The same for `n` pages from `first` on.
    pub(crate) fn hide_run(&self, first: PageNumber, n: u64) -> Result<()> {
        self.mapper().hide(&self.pages_from(first, n))
    }
}
