//! Ghosts: pages that have left, of which only the name is remembered.
//!
//! A ghost is a node of the policy's lists like a resident page's, so a policy keeps ghosts in queues
//! of their own (S3-FIFO, CAR) or among the resident pages (CLOCK-Pro). A hash table finds the ghost of a
//! page: as many buckets as there are ghosts, chained through the ghosts themselves.
//!
//! A ghost is either unused, because its number is not below `fresh` or because it is in the chain of
//! `unused` ones; or it has a page, and is in that page's bucket and in one of the lists.
//!
//! A policy that remembers more pages than there are ghosts must forget others first; else
//! [`Lists::remember`] does nothing. All zero bytes: nothing is remembered.
#![forbid(unsafe_code)]

use super::lists::{At, List, Lists};
use super::PageId;
use crate::index::{Index, Link};

/// The number of a ghost, counted from the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number(u32);

impl Index for Number {
    fn from_number(number: u32) -> Self {
        Number(number)
    }

    fn number(self) -> u32 {
        self.0
    }
}

/// A page that has left, and a bucket of the hash table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ghost {
    page: u64,
    /// The next ghost in its bucket, or among the unused ones.
    chain: Link<Number>,
    /// The first ghost in the bucket that has this ghost's number.
    bucket: Link<Number>,
}

/// Which ghosts are unused. All zero: all.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GhostsState {
    unused: Link<Number>,
    fresh: u32,
}

impl GhostsState {
    pub(super) const fn new() -> Self {
        GhostsState { unused: Link::NONE, fresh: 0 }
    }
}

impl Lists<'_> {
    /// Remembers a page at the tail of a list. Does nothing if all ghosts are in use.
    pub fn remember(&mut self, list: List, page: PageId) -> Option<At> {
        self.recall(page).into_iter().for_each(|at| self.forget(at));
        let at = self.take_ghost(list, page)?;
        self.push_back(list, at);
        Some(at)
    }

    /// Remembers a page just before another one in that one's list. Does nothing if all ghosts are in use.
    pub fn remember_before(&mut self, next: At, page: PageId) -> Option<At> {
        self.recall(page).filter(|at| *at != next).into_iter().for_each(|at| self.forget(at));
        let at = self.take_ghost(self.list_of(next)?, page)?;
        self.insert_before(next, at);
        Some(at)
    }

    /// The ghost of a page.
    pub fn recall(&self, page: PageId) -> Option<At> {
        let mut link = self.ghosts.get(self.bucket_of(page.0)?)?.bucket;
        // No chain is longer than there are ghosts, whatever the words say.
        for _ in 0..self.ghosts.len() {
            let number = link.get()?;
            let ghost = self.ghosts.get(number.0 as usize)?;
            if ghost.page == page.0 {
                return Some(At::ghost(number.0));
            }
            link = ghost.chain;
        }
        None
    }

    /// The page of a ghost.
    pub fn page(&self, at: At) -> Option<PageId> {
        let number = self.number_of(at)?;
        self.list_of(at)?;
        self.ghosts.get(number.0 as usize).map(|ghost| PageId(ghost.page))
    }

    /// Forgets a ghost, which leaves its list.
    pub fn forget(&mut self, at: At) {
        let (Some(number), Some(page)) = (self.number_of(at), self.page(at)) else {
            return;
        };
        self.remove(at);
        self.unchain(page.0, number);
        let unused = self.state.ghosts.unused;
        if let Some(ghost) = self.ghosts.get_mut(number.0 as usize) {
            ghost.chain = unused;
            self.state.ghosts.unused = Link::to(number);
        }
    }

    /// Forgets the oldest of a list of ghosts until no more than `len` are left.
    pub fn forget_beyond(&mut self, list: List, len: u32) {
        while self.len(list) > len {
            let Some(at) = self.head(list).filter(|at| self.number_of(*at).is_some()) else {
                return;
            };
            self.forget(at);
        }
    }

    /// Whether every ghost is in use.
    pub fn is_memory_full(&self) -> bool {
        self.state.ghosts.unused.get().is_none() && self.state.ghosts.fresh as usize >= self.ghosts.len()
    }

    /// An unused ghost, which is the page's now, and in its bucket; it is to go into that list.
    fn take_ghost(&mut self, list: List, page: PageId) -> Option<At> {
        self.head_of(list)?;
        let bucket = self.bucket_of(page.0)?;
        let first = self.ghosts.get(bucket)?.bucket;
        let number = match self.state.ghosts.unused.get() {
            Some(number) => number,
            None => Number(self.state.ghosts.fresh),
        };
        let reused = self.state.ghosts.unused.get().is_some();
        let ghost = self.ghosts.get_mut(number.0 as usize)?;
        let next_unused = ghost.chain;
        ghost.page = page.0;
        ghost.chain = first;
        if reused {
            self.state.ghosts.unused = next_unused;
        } else {
            self.state.ghosts.fresh = self.state.ghosts.fresh.saturating_add(1);
        }
        self.ghosts.get_mut(bucket)?.bucket = Link::to(number);
        Some(At::ghost(number.0))
    }

    /// Takes a ghost out of its bucket.
    fn unchain(&mut self, page: u64, number: Number) {
        let Some(bucket) = self.bucket_of(page) else {
            return;
        };
        let next = self.ghosts.get(number.0 as usize).map_or(Link::NONE, |ghost| ghost.chain);
        let Some(head) = self.ghosts.get_mut(bucket) else {
            return;
        };
        if head.bucket == Link::to(number) {
            head.bucket = next;
            return;
        }
        let mut link = head.bucket;
        for _ in 0..self.ghosts.len() {
            let Some(ghost) = link.get().and_then(|before| self.ghosts.get_mut(before.0 as usize)) else {
                return;
            };
            if ghost.chain == Link::to(number) {
                ghost.chain = next;
                return;
            }
            link = ghost.chain;
        }
    }

    /// The bucket of a page: Fibonacci hashing, scaled to the number of buckets.
    fn bucket_of(&self, page: u64) -> Option<usize> {
        let hash = page.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let bucket = (hash * self.ghosts.len() as u64) >> 32;
        (!self.ghosts.is_empty()).then_some(bucket as usize)
    }

    fn number_of(&self, at: At) -> Option<Number> {
        at.ghost_number().filter(|number| (*number as usize) < self.ghosts.len()).map(Number)
    }
}
