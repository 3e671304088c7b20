//! Segmented FIFO (Turner and Levy, "Segmented FIFO page replacement", SIGMETRICS 1981; VMS and
//! Mach paged so): a queue that is open, and behind it one whose pages are watched.
//!
//! | list      | holds                             | a page leaves it                                          |
//! |-----------|-----------------------------------|-----------------------------------------------------------|
//! | primary   | the C - k pages used last, open   | for the tail of the secondary one, when there is no room  |
//! | secondary | up to k older ones, R reset       | when it is used, for the tail of the primary; as a victim |
//!
//! With k = 0 this is FIFO. The larger k is, the nearer it comes to LRU, and the more faults it costs
//! to see pages being used: one for each that comes back from the secondary list.
#![forbid(unsafe_code)]

use super::fifo::first_evictable;
use super::{Arrival, Bits, List, Lists, PageId, Policy};
use crate::index::FrameIndex;

/// Segmented FIFO that watches a quarter of the frames: of the tested shares, the one with the fewest
/// misses that costs no more than half a fault for each of them (`docs/POLICIES.md` has the counts).
pub static SEGFIFO: SegFifo =
    SegFifo::new("segfifo", "segmented FIFO: a used page of the older half goes back to the younger half", 25);

/// LRU, nearly: the order in which pages were used is known for three quarters of them.
pub static LRU: SegFifo =
    SegFifo::new("lru", "least recently used, approximately: segmented FIFO that watches three quarters of the pages", 75);

const PRIMARY: List = List(0);
const SECONDARY: List = List(1);

/// Segmented FIFO with a secondary list of so many hundredths of the frames.
pub struct SegFifo {
    name: &'static str,
    summary: &'static str,
    percent: u8,
}

impl SegFifo {
    /// A policy of that name that watches `percent` of the frames.
    pub const fn new(name: &'static str, summary: &'static str, percent: u8) -> Self {
        SegFifo { name, summary, percent }
    }

    /// Moves the oldest pages of the primary list behind the secondary one until it fits.
    fn sink(&self, lists: &mut Lists<'_>, bits: &mut dyn Bits) {
        let watched = u64::from(lists.capacity()) * u64::from(self.percent) / 100;
        let open = u64::from(lists.capacity()).saturating_sub(watched);
        while u64::from(lists.len(PRIMARY)) > open {
            let Some(frame) = lists.first_frame(PRIMARY) else {
                return;
            };
            lists.move_to(SECONDARY, frame);
            bits.take_referenced(frame);
        }
    }
}

impl Policy for SegFifo {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        self.summary
    }

    fn samples_references(&self) -> bool {
        true
    }

    fn inserted(&self, lists: &mut Lists<'_>, frame: FrameIndex, _page: PageId, _arrival: Arrival, bits: &mut dyn Bits) {
        lists.push_back(PRIMARY, frame);
        self.sink(lists, bits);
    }

    fn referenced(&self, lists: &mut Lists<'_>, frame: FrameIndex, bits: &mut dyn Bits) {
        if lists.list_of(frame) == Some(SECONDARY) {
            lists.move_to(PRIMARY, frame);
            self.sink(lists, bits);
        }
    }

    fn victim(&self, lists: &mut Lists<'_>, bits: &mut dyn Bits) -> Option<FrameIndex> {
        for _ in 0..lists.len(SECONDARY) {
            let frame = lists.first_frame(SECONDARY)?;
            if !bits.is_evictable(frame) {
                lists.rotate(SECONDARY);
            } else if bits.take_referenced(frame) {
                // It was pinned or in transit when it sank, so its use was not seen.
                lists.move_to(PRIMARY, frame);
                self.sink(lists, bits);
            } else {
                return Some(frame);
            }
        }
        first_evictable(lists, PRIMARY, bits).or_else(|| first_evictable(lists, SECONDARY, bits))
    }
}
