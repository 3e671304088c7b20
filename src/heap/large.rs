//! Large blocks: whole pages, entered in the page table instead of granules.

use super::{Block, Ground, Heap, NoRoom};
use crate::page::table::Usage;

impl Heap {
    /// Hands out `n` granules as whole pages, however few: what is pinned shares its pages with nobody.
    pub fn allocate_pages(&mut self, ground: &impl Ground, n: u64) -> Result<Block, NoRoom> {
        let block = self.allocate_large(ground, n, 1, false)?;
        self.live += 1;
        Ok(block)
    }

    pub(super) fn allocate_large(&mut self, ground: &impl Ground, n: u64, align: u64, zero: bool) -> Result<Block, NoRoom> {
        let shift = ground.page_shift();
        let pages = n.div_ceil(1 << shift);
        let start = self.find(ground, pages << shift, align.max(1 << shift))?;
        let page = start >> shift;
        if !ground.back(page, pages, false) {
            return Err(NoRoom::Backing);
        }
        let zero = ground.promise(page, pages, zero).ok_or(NoRoom::Backing)? || zero;
        self.lay_large(ground, page, 0, pages);
        self.frontier = self.frontier.max((page + pages) << shift);
        Ok(Block { start, len: pages << shift, zero })
    }

    /// Enters the pages `from .. to` of a large block that begins at `page`.
    pub(super) fn lay_large(&mut self, ground: &impl Ground, page: u64, from: u64, to: u64) {
        self.large += to - from;
        for back in from.max(1)..to {
            self.set_usage(ground, page + back, Usage::Tail { back });
        }
        self.set_usage(ground, page, Usage::Large { pages: to });
    }

    pub(super) fn free_pages(&mut self, ground: &impl Ground, page: u64, n: u64) {
        self.large -= n;
        for page in page..page + n {
            self.set_usage(ground, page, Usage::Free);
        }
        ground.release(page, n);
        self.note_freed(page);
    }

    pub(super) fn resize_large(&mut self, ground: &impl Ground, start: u64, old: u64, new: u64) -> bool {
        let shift = ground.page_shift();
        let (page, old) = (start >> shift, old >> shift);
        let new_pages = new.div_ceil(1 << shift);
        if !Heap::is_large(ground, new) {
            return false;
        }
        if new_pages <= old {
            self.set_usage(ground, page, Usage::Large { pages: new_pages });
            if new_pages < old {
                self.free_pages(ground, page + new_pages, old - new_pages);
            }
            return true;
        }
        let grown = new_pages - old;
        if !self.is_free(ground, (page + old) << shift, grown << shift)
            || !ground.back(page + old, grown, false)
            || ground.promise(page + old, grown, false).is_none()
        {
            return false;
        }
        self.lay_large(ground, page, old, new_pages);
        self.frontier = self.frontier.max((page + new_pages) << shift);
        true
    }
}
