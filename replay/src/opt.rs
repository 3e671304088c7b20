//! Belady's optimum (Belady, IBM Systems Journal 1966): the victim is the page that is used again last. Of those
//! that are never used again a clean one leaves first, since it costs no write, then the one that came first.
//!
//! A heap holds the next use of each resident page. A use makes the page's entry old, and adds one for the use
//! after it. Old entries lie in the past, below all others, so they never come up; they are swept
//! out when they are too many.

use crate::spool::{Packed, NEVER};
use crate::trace::{Reference, TraceError};
use crate::{Counts, Error, Spool, MOST_FRAMES};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use vmcore::page::Access;

/// Replays a trace under the optimum, for each of these numbers of frames, in one pass over it and its future.
pub fn opt(frames: &[u32], references: impl IntoIterator<Item = Result<Reference, TraceError>>) -> Result<Vec<Counts>, Error> {
    optimum(&Spool::new(references)?, frames)
}

/// The same of a trace that is spooled.
pub(crate) fn optimum(spool: &Spool, frames: &[u32]) -> Result<Vec<Counts>, Error> {
    let mut pagers = frames.iter().map(|frames| Opt::new(*frames, spool.pages())).collect::<Result<Vec<_>, _>>()?;
    let mut at = 0;
    spool.each_with_next(|reference, next| {
        pagers.iter_mut().for_each(|pager| pager.access(at, reference, next));
        at += 1;
    })?;
    Ok(pagers.iter().map(Opt::counts).collect())
}

/// When a page is used again; if never, whether it is clean, and its number.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    next: u64,
    clean: bool,
    page: Reverse<u32>,
}

/// A pager that knows the future.
pub(crate) struct Opt {
    frames: u32,
    resident: u32,
    heap: BinaryHeap<Entry>,
    pages: Vec<u8>,
    counts: Counts,
}

// What is known of a page.
const RESIDENT: u8 = 1;
const DIRTY: u8 = 2;
const IN_SWAP: u8 = 4;
const WAS_HERE: u8 = 8;

impl Opt {
    pub(crate) fn new(frames: u32, pages: u32) -> Result<Opt, Error> {
        if frames == 0 || frames > MOST_FRAMES {
            return Err(Error::Frames(frames.into()));
        }
        Ok(Opt { frames, resident: 0, heap: BinaryHeap::new(), pages: vec![0; pages as usize], counts: Counts::default() })
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// The reference of that number, and the number of the next one to its page.
    pub(crate) fn access(&mut self, at: u64, reference: Packed, next: u64) {
        self.counts.refs += 1;
        let write = reference.access() == Access::Write;
        let number = reference.page();
        let page = self.pages[number as usize];
        if page & RESIDENT == 0 {
            self.counts.misses += 1;
            self.counts.cold += u64::from(page & WAS_HERE == 0);
            self.counts.refaults += u64::from(page & WAS_HERE != 0);
            self.counts.swapins += u64::from(page & IN_SWAP != 0);
            if self.resident == self.frames {
                self.evict();
            } else {
                self.resident += 1;
            }
            self.pages[number as usize] |= RESIDENT | WAS_HERE;
        } else if write && page & DIRTY == 0 {
            self.counts.dirty_faults += 1;
        }
        if write {
            self.pages[number as usize] |= DIRTY;
        }
        let clean = next == NEVER && self.pages[number as usize] & DIRTY == 0;
        self.heap.push(Entry { next, clean, page: Reverse(number) });
        if self.heap.len() > 4 * self.frames as usize + 64 {
            self.heap.retain(|entry| entry.next > at);
        }
    }

    fn evict(&mut self) {
        let Some(Entry { page: Reverse(number), .. }) = self.heap.pop() else {
            return;
        };
        let page = &mut self.pages[number as usize];
        let dirty = *page & DIRTY != 0;
        self.counts.evictions += 1;
        self.counts.writebacks += u64::from(dirty);
        self.counts.clean_evictions += u64::from(!dirty);
        *page = WAS_HERE | if dirty { IN_SWAP } else { *page & IN_SWAP };
    }
}
