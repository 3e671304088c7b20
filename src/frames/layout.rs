//! The layout of the arena.
//!
//! ```text
//! static bookkeeping    frame table, nodes and ghosts of the policy, allocation maps, words of the shared region
//! the pool              frames for pages, and for bookkeeping that grows
//! the shared region     the last VMALLOC_SHARED bytes
//! ```
//!
//! Frames are counted from the pool's first; the tables have a line for each frame of the pool.
#![forbid(unsafe_code)]

use super::frame::Frame;
use crate::bitmap::words_for;
use crate::index::FrameIndex;
use crate::policy::{Ghost, Node, Policy};

/// Byte offsets of the static bookkeeping, and where pool and shared region begin.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// log2 of the page size.
    pub page_shift: u32,
    /// Pages in the arena.
    pub arena: u32,
    /// Pages of static bookkeeping, and so the place of the pool's first frame.
    pub fixed: u32,
    /// Frames in the pool.
    pub pool: u32,
    /// Slots of the swap device.
    pub slots: u32,
    /// Pages that the policy remembers.
    pub ghosts: u32,
    pub(super) nodes: usize,
    pub(super) remembered: usize,
    pub(super) free: usize,
    pub(super) retained: usize,
    pub(super) swap: usize,
    pub(super) shared_words: usize,
}

impl Layout {
    /// Lays out an arena of `arena` bytes with pages of `1 << page_shift`, `swap` bytes of swap and
    /// `shared` bytes of shared region; `None` if fewer than `least` frames are left for the pool.
    pub fn new(arena: u64, swap: u64, shared: u64, page_shift: u32, policy: &dyn Policy, least: u32) -> Option<Layout> {
        let arena = u32::try_from(arena >> page_shift).ok()?;
        let slots = u32::try_from(swap >> page_shift).ok()?;
        let shared = u32::try_from(shared.div_ceil(1 << page_shift)).ok()?;
        let most = arena.checked_sub(shared)?;
        // What `most` frames would need is a little more than what those need that are left.
        let layout = Layout::with_tables(arena, most, slots, shared, page_shift, policy)?;
        Layout { pool: most.checked_sub(layout.fixed)?, ..layout }.with_at_least(least)
    }

    /// Lays out an arena whose pool has exactly `pool` frames, without a shared region.
    pub fn exact(pool: u32, slots: u32, page_shift: u32, policy: &dyn Policy) -> Option<Layout> {
        let layout = Layout::with_tables(0, pool, slots, 0, page_shift, policy)?;
        Some(Layout { arena: layout.fixed.checked_add(pool)?, pool, ..layout })
    }

    /// Tables for `frames` frames, `slots` slots and `shared` pages of shared region.
    fn with_tables(arena: u32, frames: u32, slots: u32, shared: u32, page_shift: u32, policy: &dyn Policy) -> Option<Layout> {
        let nodes = frames as usize * size_of::<Frame>();
        let ghosts = policy.ghosts(frames);
        let remembered = (nodes + (frames as usize + ghosts as usize) * size_of::<Node>()).next_multiple_of(64);
        let free = (remembered + ghosts as usize * size_of::<Ghost>()).next_multiple_of(64);
        let retained = free + words_for(frames) * 8;
        let swap = retained + words_for(frames) * 8;
        let shared_words = swap + words_for(slots) * 8;
        // Two bits a granule, and a word behind the last: a block is measured up to its end.
        let end = shared_words + ((shared as usize) << page_shift) / 64 + 8;
        let fixed = u32::try_from(end.div_ceil(1 << page_shift)).ok()?;
        Some(Layout { page_shift, arena, fixed, pool: 0, slots, ghosts, nodes, remembered, free, retained, swap, shared_words })
    }

    fn with_at_least(self, least: u32) -> Option<Layout> {
        (self.pool >= least).then_some(self)
    }

    /// Bytes of the arena.
    pub fn len(&self) -> usize {
        (self.arena as usize) << self.page_shift
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.arena == 0
    }

    /// Pages of the shared region.
    pub fn shared(&self) -> u32 {
        self.arena - self.fixed - self.pool
    }

    /// The offset of a frame in the arena; `FrameIndex::new(pool)` is where the shared region begins.
    #[inline]
    pub fn offset(&self, frame: FrameIndex) -> usize {
        (self.fixed as usize + frame.at()) << self.page_shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::POLICIES;

    /// Arena, swap, shared region, log2 of the page.
    const SIZES: [(u64, u64, u64, u32); 4] = [
        (8 << 20, 16 << 20, 16 << 10, 12),
        (1 << 20, 0, 0, 12),
        (256 << 10, 64 << 20, 4096, 12),
        (8 << 30, 16 << 30, 1 << 20, 16),
    ];

    #[test]
    fn parts_fill_the_arena_and_tables_have_room() {
        for (policy, (arena, swap, shared, shift)) in POLICIES.into_iter().flat_map(|policy| SIZES.map(|sizes| (policy, sizes))) {
            let layout = Layout::new(arena, swap, shared, shift, policy, 1).unwrap();
            assert_eq!(layout.len() as u64, arena);
            assert_eq!(u64::from(layout.shared()) << shift, shared.next_multiple_of(1 << shift));
            assert!(layout.nodes >= layout.pool as usize * size_of::<Frame>());
            assert!(layout.free - layout.nodes >= layout.pool as usize * size_of::<Node>());
            assert!((layout.swap - layout.retained) * 8 >= layout.pool as usize);
            assert!(layout.shared_words + 8 <= layout.offset(FrameIndex::new(0)));
        }
    }

    #[test]
    fn an_exact_pool_has_as_many_frames_as_asked_for() {
        for pool in [1, 3, 4, 100, 70_000] {
            let layout = Layout::exact(pool, 10, 12, POLICIES[0]).unwrap();
            assert_eq!((layout.pool, layout.shared()), (pool, 0));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Layout::new(1 << 20, 16 << 40, 0, 12, POLICIES[0], 16).is_none());
        assert!(Layout::new(4096, 0, 8192, 12, POLICIES[0], 0).is_none());
    }
}
