//! S3-FIFO with one bit (Yang and others, "FIFO queues are all you need for cache eviction", SOSP
//! 2023): most pages are used once or for a short time, and a small queue shows which.
//!
//! | list  | holds                                      | its oldest page                                       |
//! |-------|--------------------------------------------|-------------------------------------------------------|
//! | small | newcomers, a tenth of the frames           | leaves; a ghost remains                               |
//! | main  | pages that came back while they were ghosts | leaves if R = 0; else R is reset and it goes behind  |
//! | ghost | the last 9/10 C pages that left small      | is forgotten                                          |
//!
//! Victims come from small while it holds a tenth of the pages, else from main. The paper looks at the use of
//! pages in small and moves those that were used to main. A pager learns of use only by a fault, and
//! most of those pages leave soon anyway: here small is not watched, so newcomers cost nothing but
//! their load, and a page that is used longer than it stays in small is loaded twice.
//!
//! With `watches_small` it is the paper's policy as far as a pager can see: R of a newcomer, set by the
//! load, is reset at the next miss.
#![forbid(unsafe_code)]

use super::fifo::first_evictable;
use super::{Arrival, Bits, Departure, List, Lists, PageId, Policy};
use crate::index::FrameIndex;

/// S3-FIFO that does not watch newcomers.
pub static S3FIFO: S3Fifo = S3Fifo {
    name: "s3fifo",
    summary: "S3-FIFO with one bit: newcomers pass through a small queue, pages that come back stay in the main one",
    watches_small: false,
};

/// S3-FIFO that watches newcomers from the next miss on.
pub static S3FIFO_1E: S3Fifo = S3Fifo {
    name: "s3fifo-1e",
    summary: "as s3fifo, but newcomers that are used again after the next miss need not come back to stay",
    watches_small: true,
};

const SMALL: List = List(0);
const MAIN: List = List(1);
const GHOST: List = List(2);

/// S3-FIFO.
pub struct S3Fifo {
    name: &'static str,
    summary: &'static str,
    watches_small: bool,
}

impl S3Fifo {
    fn small_victim(&self, lists: &mut Lists<'_>, bits: &mut dyn Bits) -> Option<FrameIndex> {
        for _ in 0..lists.len(SMALL) {
            let frame = lists.first_frame(SMALL)?;
            if !bits.is_evictable(frame) {
                lists.rotate(SMALL);
            } else if self.watches_small && bits.take_referenced(frame) {
                lists.move_to(MAIN, frame);
            } else {
                return Some(frame);
            }
        }
        None
    }
}

/// The page under the hand of main that was not used since the hand last came by.
fn main_victim(lists: &mut Lists<'_>, bits: &mut dyn Bits) -> Option<FrameIndex> {
    for _ in 0..lists.len(MAIN).saturating_mul(2) {
        let frame = lists.first_frame(MAIN)?;
        if bits.is_evictable(frame) && !bits.take_referenced(frame) {
            return Some(frame);
        }
        lists.rotate(MAIN);
    }
    None
}

/// How many ghosts there are at most while nothing is in transit.
fn remembered(frames: u32) -> u32 {
    (u64::from(frames) * 9 / 10) as u32
}

impl Policy for S3Fifo {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        self.summary
    }

    fn samples_references(&self) -> bool {
        true
    }

    /// One more than stay: the victim is remembered before the page that it made room for is recalled.
    fn ghosts(&self, frames: u32) -> u32 {
        remembered(frames).saturating_add(1)
    }

    fn missed(&self, lists: &mut Lists<'_>, _page: PageId, bits: &mut dyn Bits) {
        lists.arm_newcomer(bits);
    }

    fn inserted(&self, lists: &mut Lists<'_>, frame: FrameIndex, page: PageId, arrival: Arrival, _bits: &mut dyn Bits) {
        let ghost = lists.recall(page);
        ghost.into_iter().for_each(|at| lists.forget(at));
        // A victim that stays goes back to the list it came from.
        let known = ghost.is_some() != (arrival == Arrival::Back);
        lists.push_back(if known { MAIN } else { SMALL }, frame);
        lists.forget_beyond(GHOST, remembered(lists.capacity()));
        if self.watches_small && arrival == Arrival::Fault {
            lists.note_newcomer(frame);
        }
    }

    fn removed(&self, lists: &mut Lists<'_>, frame: FrameIndex, page: PageId, departure: Departure) {
        let was = lists.list_of(frame);
        lists.remove(frame);
        if was == Some(SMALL) && departure == Departure::Evicted {
            if lists.is_memory_full() {
                lists.forget_beyond(GHOST, lists.len(GHOST).saturating_sub(1));
            }
            lists.remember(GHOST, page);
        }
    }

    fn victim(&self, lists: &mut Lists<'_>, bits: &mut dyn Bits) -> Option<FrameIndex> {
        let pages = lists.len(SMALL).saturating_add(lists.len(MAIN));
        let mut victim = None;
        if lists.len(SMALL) >= (pages / 10).max(1) {
            victim = self.small_victim(lists, bits);
        }
        victim
            .or_else(|| main_victim(lists, bits))
            .or_else(|| first_evictable(lists, SMALL, bits))
            .or_else(|| first_evictable(lists, MAIN, bits))
    }
}
