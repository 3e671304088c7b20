//! A region's page table: for each page its entry, and what the heap keeps in it.
//!
//! Pages stand in groups of 64 with a summary of their free space, so that a search for room skips
//! what is full. The table is one array of [`Group`]s in bookkeeping frames, backed from the front as
//! far as the heap has grown; what is not backed reads as zeros, which means `Void` and `Free`.
//!
//! Who may write: [`Page::entry`] as `entry.rs` says; [`Group::freed`] anybody; everything else only the
//! holder of the region's gate (plain values in atomics, relaxed).
#![forbid(unsafe_code)]

use super::entry::Entry;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Pages in a group.
pub const GROUP_PAGES: u64 = 64;

/// One page of a region.
#[repr(C)]
#[derive(Default)]
pub struct Page {
    /// The page table entry.
    pub entry: Entry,
    /// What the heap keeps here, a packed [`Usage`].
    usage: AtomicU64,
}

/// Free runs of one page: at its begin, its longest, and at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FreeRuns {
    /// Free granules from the first on.
    pub prefix: u64,
    /// The longest run anywhere.
    pub max: u64,
    /// Free granules up to the last.
    pub suffix: u64,
}

impl FreeRuns {
    /// `n` granules, all free.
    pub const fn all(n: u64) -> FreeRuns {
        FreeRuns { prefix: n, max: n, suffix: n }
    }

    /// What `self` of `len` granules followed by `next` of `next_len` granules is as a whole.
    pub fn join(self, len: u64, next: FreeRuns, next_len: u64) -> FreeRuns {
        FreeRuns {
            prefix: if self.prefix == len { len + next.prefix } else { self.prefix },
            max: self.max.max(next.max).max(self.suffix + next.prefix),
            suffix: if next.suffix == next_len { next_len + self.suffix } else { next.suffix },
        }
    }
}

/// What the heap keeps in a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usage {
    /// No block touches the page; its granules are all free.
    Free,
    /// Blocks that the granules describe. The free runs are `None` when they changed since they were
    /// last measured.
    Blocks(Option<FreeRuns>),
    /// A slab: blocks of one class of lengths, from the page's begin on, that the granules describe.
    Slab {
        /// The class.
        class: u8,
        /// How many blocks are live or parked.
        used: u64,
    },
    /// A block of `pages` whole pages begins here.
    Large {
        /// Its length in pages.
        pages: u64,
    },
    /// A large block that began `back` pages before continues here.
    Tail {
        /// Distance to its first page.
        back: u64,
    },
}

const FIELD: u32 = 17;
const FIELD_MASK: u64 = (1 << FIELD) - 1;

/// A page of blocks without a free run.
const FULL: u64 = Usage::Blocks(Some(FreeRuns { prefix: 0, max: 0, suffix: 0 })).pack();
/// The lowest three bits of a page that belongs to a large block; those of its tail and of slabs are higher.
const LARGE: u64 = 3;

impl Usage {
    const fn pack(self) -> u64 {
        match self {
            Usage::Free => 0,
            Usage::Blocks(None) => 1,
            Usage::Blocks(Some(runs)) => 2 | runs.prefix << 3 | runs.max << (3 + FIELD) | runs.suffix << (3 + 2 * FIELD),
            Usage::Large { pages } => LARGE | pages << 3,
            Usage::Tail { back } => 4 | back << 3,
            Usage::Slab { class, used } => 5 | (class as u64) << 3 | used << 11,
        }
    }

    const fn unpack(word: u64) -> Usage {
        let rest = word >> 3;
        match word & 7 {
            0 => Usage::Free,
            1 => Usage::Blocks(None),
            2 => Usage::Blocks(Some(FreeRuns {
                prefix: rest & FIELD_MASK,
                max: rest >> FIELD & FIELD_MASK,
                suffix: rest >> (2 * FIELD) & FIELD_MASK,
            })),
            LARGE => Usage::Large { pages: rest },
            4 => Usage::Tail { back: rest },
            _ => Usage::Slab { class: rest as u8, used: rest >> 8 },
        }
    }
}

impl Page {
    /// What the heap keeps here.
    #[inline]
    pub fn usage(&self) -> Usage {
        Usage::unpack(self.usage.load(Ordering::Relaxed))
    }

    /// Whether the page is known to have no free run that serves any length.
    #[inline]
    pub fn is_full(&self) -> bool {
        let word = self.usage.load(Ordering::Relaxed);
        word == FULL || word & 7 >= LARGE
    }

    /// Says what the heap keeps here.
    #[inline]
    pub fn set_usage(&self, usage: Usage) {
        self.usage.store(usage.pack(), Ordering::Relaxed);
    }
}

/// 64 pages and the summary of their free space.
#[repr(C, align(32))]
pub struct Group {
    prefix: AtomicU32,
    max: AtomicU32,
    suffix: AtomicU32,
    flags: AtomicU32,
    /// Which pages hold blocks that other threads freed: one bit a page.
    pub freed: AtomicU64,
    /// Which pages are slabs that have room for more blocks, as far as is known: one bit a page.
    roomy: AtomicU64,
    /// The pages.
    pub pages: [Page; GROUP_PAGES as usize],
}

impl Default for Group {
    fn default() -> Group {
        Group {
            prefix: AtomicU32::new(0),
            max: AtomicU32::new(0),
            suffix: AtomicU32::new(0),
            flags: AtomicU32::new(0),
            freed: AtomicU64::new(0),
            roomy: AtomicU64::new(0),
            pages: core::array::from_fn(|_| Page::default()),
        }
    }
}

impl Group {
    /// The granule words of the group have frames.
    pub const BITS: u32 = 1;
    /// The words in which other threads free have frames.
    pub const FREED: u32 = 2;
    const MEASURED: u32 = 4;
    /// No page of the group is free.
    pub const TAKEN: u32 = 8;

    /// Whether `flag` is set.
    #[inline]
    pub fn has(&self, flag: u32) -> bool {
        // Acquire: pairs with `mark`; who sees FREED may use the words.
        self.flags.load(Ordering::Acquire) & flag != 0
    }

    /// Sets `flag`.
    pub fn mark(&self, flag: u32) {
        self.flags.fetch_or(flag, Ordering::Release);
    }

    /// Takes the flag [`Group::BITS`] back; those who read the words without it read zeros, as before.
    pub fn forget_bits(&self) {
        self.flags.fetch_and(!Group::BITS, Ordering::Release);
    }

    /// The free runs, unless something changed since they were stored.
    #[inline]
    pub fn free_runs(&self) -> Option<FreeRuns> {
        self.has(Group::MEASURED).then(|| FreeRuns {
            prefix: u64::from(self.prefix.load(Ordering::Relaxed)),
            max: u64::from(self.max.load(Ordering::Relaxed)),
            suffix: u64::from(self.suffix.load(Ordering::Relaxed)),
        })
    }

    /// Stores the free runs.
    pub fn set_free_runs(&self, runs: FreeRuns) {
        self.prefix.store(runs.prefix as u32, Ordering::Relaxed);
        self.max.store(runs.max as u32, Ordering::Relaxed);
        self.suffix.store(runs.suffix as u32, Ordering::Relaxed);
        self.mark(Group::MEASURED);
    }

    /// From which page of the group on there is a slab that may have room, at `from` or behind.
    #[inline]
    pub fn roomy_from(&self, from: u64) -> Option<u64> {
        let roomy = self.roomy.load(Ordering::Relaxed) >> from;
        (roomy != 0).then(|| from + u64::from(roomy.trailing_zeros()))
    }

    /// Whether page `page` of the group is a slab that has room, as far as is known.
    #[inline]
    pub fn is_roomy(&self, page: u64) -> bool {
        self.roomy.load(Ordering::Relaxed) >> page & 1 != 0
    }

    /// Says whether page `page` of the group is a slab that has room.
    #[inline]
    pub fn set_roomy(&self, page: u64, roomy: bool) {
        let others = self.roomy.load(Ordering::Relaxed) & !(1 << page);
        self.roomy.store(others | u64::from(roomy) << page, Ordering::Relaxed);
    }

    /// No page of the group is one.
    pub fn forget_roomy(&self) {
        self.roomy.store(0, Ordering::Relaxed);
    }

    /// A page of the group has become free.
    pub fn note_free(&self) {
        if self.has(Group::TAKEN) {
            self.flags.fetch_and(!Group::TAKEN, Ordering::Relaxed);
        }
    }

    /// Forgets the free runs: something changed.
    #[inline]
    pub fn forget_free_runs(&self) {
        if self.has(Group::MEASURED) {
            self.flags.fetch_and(!Group::MEASURED, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_survives_packing() {
        let runs = FreeRuns { prefix: 65536, max: 65536, suffix: 65535 };
        for usage in [
            Usage::Free,
            Usage::Blocks(None),
            Usage::Blocks(Some(runs)),
            Usage::Large { pages: 1 << 40 },
            Usage::Tail { back: 12345 },
            Usage::Slab { class: 200, used: 65536 },
        ] {
            assert_eq!(Usage::unpack(usage.pack()), usage);
            let page = Page::default();
            page.set_usage(usage);
            assert_eq!(page.is_full(), matches!(usage, Usage::Large { .. } | Usage::Tail { .. } | Usage::Slab { .. }));
        }
        assert_eq!(Usage::unpack(0), Usage::Free);
    }

    #[test]
    fn the_layout_is_what_bookkeeping_is_sized_for() {
        assert_eq!(core::mem::size_of::<Group>(), 32 + 64 * 16);
    }
}
