//! The shared region: the last pages of the arena. Every thread sees them, they are never paged, and
//! only shalloc hands them out.
//!
//! Blocks are granules as in a heap, first fit, under one lock; the program uses the engine view's
//! own addresses.
#![forbid(unsafe_code)]

use crate::engine::Engine;
use crate::heap::granules::{self, Granule, Words, GRANULE};
use crate::heap::NotABlock;
use core::sync::atomic::AtomicU64;

struct SharedWords<'a>(&'a [AtomicU64]);

impl Words for SharedWords<'_> {
    fn word(&self, number: u64) -> &AtomicU64 {
        static NONE: AtomicU64 = AtomicU64::new(0);
        self.0.get(number as usize).unwrap_or(&NONE)
    }
}

impl Engine {
    fn shared_base(&self) -> usize {
        self.frames().arena().shared_base()
    }

    fn shared_len(&self) -> usize {
        self.frames().arena().shared_len()
    }

    /// Whether `address` lies in the shared region.
    pub fn is_shared(&self, address: usize) -> bool {
        address.wrapping_sub(self.shared_base()) < self.shared_len()
    }

    /// A block of `size` bytes in the shared region; `None` when it is full.
    pub fn shared_allocate(&self, size: usize) -> Option<usize> {
        let _held = self.hold_shared();
        let words = SharedWords(self.frames().arena().shared_words());
        let end = self.shared_len() as u64 / GRANULE;
        let n = (size.max(1) as u64).div_ceil(GRANULE);
        let mut at = 0;
        while at < end {
            let free = granules::free_from(&words, at, end);
            if free >= n {
                granules::fill(&words, at, n, Granule::Live);
                return Some(self.shared_base() + (at * GRANULE) as usize);
            }
            // What ended the run begins a block.
            at += free;
            if at < end {
                at += 1 + granules::inner_after(&words, at);
            }
        }
        None
    }

    /// The usable bytes of the shared block at `address`.
    pub fn shared_size(&self, address: usize) -> Result<usize, NotABlock> {
        let words = SharedWords(self.frames().arena().shared_words());
        let offset = (address - self.shared_base()) as u64;
        match granules::get(&words, offset / GRANULE) {
            _ if !offset.is_multiple_of(GRANULE) => Err(NotABlock::Middle),
            Granule::Live => Ok(((granules::inner_after(&words, offset / GRANULE) + 1) * GRANULE) as usize),
            Granule::Inner => Err(NotABlock::Middle),
            Granule::Free | Granule::Parked => Err(NotABlock::Freed),
        }
    }

    /// Frees the shared block at `address`.
    pub fn shared_free(&self, address: usize) -> Result<(), NotABlock> {
        let _held = self.hold_shared();
        let size = self.shared_size(address)?;
        let words = SharedWords(self.frames().arena().shared_words());
        granules::clear(&words, (address - self.shared_base()) as u64 / GRANULE, size as u64 / GRANULE);
        Ok(())
    }
}
