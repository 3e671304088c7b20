//! Which block is this? What granules and pages say about an address, read by anybody at any time.

use super::granules::{self, Granule};
use super::{Ground, Heap, LARGE};
use crate::page::table::Usage;

/// Why an address cannot be freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotABlock {
    /// A block lay here, or may have: it is free.
    Freed,
    /// It is the middle of a block.
    Middle,
}

impl Heap {
    /// The length in granules of the live block that begins at `start`, or what is there instead.
    #[inline]
    pub fn measure(ground: &impl Ground, start: u64) -> Result<u64, NotABlock> {
        match granules::get(ground, start) {
            Granule::Live => Ok(granules::inner_after(ground, start) + 1),
            Granule::Parked => Err(NotABlock::Freed),
            Granule::Inner => Err(NotABlock::Middle),
            Granule::Free => {
                let shift = ground.page_shift();
                match Heap::usage(ground, start >> shift) {
                    Usage::Large { pages } if start & ((1 << shift) - 1) == 0 => Ok(pages << shift),
                    Usage::Large { .. } | Usage::Tail { .. } => Err(NotABlock::Middle),
                    _ => Err(NotABlock::Freed),
                }
            }
        }
    }

    /// The live block that contains granule `at`: its first granule and its length.
    pub fn block_around(ground: &impl Ground, at: u64) -> Option<(u64, u64)> {
        let shift = ground.page_shift();
        let page = at >> shift;
        let start = match Heap::usage(ground, page) {
            Usage::Free => return None,
            Usage::Large { .. } => page << shift,
            Usage::Tail { back } => page.checked_sub(back)? << shift,
            // A block of granules is shorter than a large one, so its head is not far.
            Usage::Blocks(_) | Usage::Slab { .. } => {
                granules::head_at_or_before(ground, at, at.saturating_sub(LARGE.max(8 << shift)))?
            }
        };
        let n = Heap::measure(ground, start).ok()?;
        (at < start + n).then_some((start, n))
    }

    /// Calls `found(first, n)` for each run of granules of `page`, counted from its first, that belong to no
    /// live block.
    pub fn each_dead_run(ground: &impl Ground, page: u64, found: impl Fn(u64, u64)) {
        if !matches!(Heap::usage(ground, page), Usage::Blocks(_) | Usage::Slab { .. }) {
            return;
        }
        let (first, end) = (page << ground.page_shift(), (page + 1) << ground.page_shift());
        // What a live block of the page before still covers comes first.
        let mut at = match granules::get(ground, first) {
            Granule::Inner => Heap::block_around(ground, first).map_or(first, |(start, n)| start + n),
            _ => first,
        };
        let mut dead = at;
        while at < end {
            match granules::get(ground, at) {
                Granule::Free => at += granules::free_from(ground, at, end),
                Granule::Inner | Granule::Parked => at += 1 + granules::inner_after(ground, at),
                Granule::Live => {
                    if dead < at {
                        found(dead - first, at - dead);
                    }
                    at += 1 + granules::inner_after(ground, at);
                    dead = at;
                }
            }
        }
        if dead < end {
            found(dead - first, end - dead);
        }
    }
}
