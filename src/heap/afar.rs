//! Blocks that other threads free: noted beside the region without a lock, taken in by its owner.

use super::{Ground, Heap, NotABlock};
use crate::page::table::GROUP_PAGES;
use core::sync::atomic::Ordering;

impl Heap {
    /// Another thread frees the block at `start`: notes it for [`Heap::collect`]. The group's FREED
    /// words must be backed. Returns its length.
    pub fn free_from_afar(ground: &impl Ground, start: u64) -> Result<u64, NotABlock> {
        let n = Heap::measure(ground, start)?;
        let page = start >> ground.page_shift();
        let bit = 1u64 << (start % 64);
        // AcqRel: pairs with the swap in `collect`; the program's last stores into the block happen
        // before its reuse.
        if ground.freed_word(start / 64).fetch_or(bit, Ordering::AcqRel) & bit != 0 {
            return Err(NotABlock::Freed);
        }
        let pages = &ground.group(page / GROUP_PAGES).freed;
        // AcqRel: pairs with the swap in `collect`, so that the word above is seen with it.
        pages.fetch_or(1u64 << (page % GROUP_PAGES), Ordering::AcqRel);
        Ok(n)
    }

    /// Takes in the blocks of `group` that other threads freed; returns how many.
    pub fn collect(&mut self, ground: &impl Ground, group: u64) -> u64 {
        // AcqRel: pairs with `free_from_afar`.
        let mut pages = ground.group(group).freed.swap(0, Ordering::AcqRel);
        let shift = ground.page_shift();
        let mut collected = 0;
        while pages != 0 {
            let page = group * GROUP_PAGES + u64::from(pages.trailing_zeros());
            pages &= pages - 1;
            let words = (1u64 << shift) / 64;
            for number in page * words..(page + 1) * words {
                let mut bits = ground.freed_word(number).swap(0, Ordering::AcqRel);
                while bits != 0 {
                    let start = number * 64 + u64::from(bits.trailing_zeros());
                    bits &= bits - 1;
                    if self.free(ground, start).is_ok() {
                        collected += 1;
                    }
                }
            }
        }
        collected
    }
}
