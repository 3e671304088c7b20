//! First in, first out: the page that was loaded first leaves first, used or not.
#![forbid(unsafe_code)]

use super::{Bits, List, Lists, Policy, QUEUE};
use crate::index::FrameIndex;

/// First in, first out.
pub static FIFO: Fifo = Fifo;

/// Loads go to the tail of the queue, victims come from its head.
pub struct Fifo;

impl Policy for Fifo {
    fn name(&self) -> &'static str {
        "fifo"
    }

    fn summary(&self) -> &'static str {
        "first in, first out: the page loaded longest ago leaves"
    }

    fn samples_references(&self) -> bool {
        false
    }

    fn victim(&self, lists: &mut Lists<'_>, bits: &mut dyn Bits) -> Option<FrameIndex> {
        first_evictable(lists, QUEUE, bits)
    }
}

/// The first frame of a list, from the head on, that may leave; those passed over go to the tail, so that a
/// crowd of pinned pages is not walked again at each fault. One pass at most.
pub(super) fn first_evictable(lists: &mut Lists<'_>, list: List, bits: &mut dyn Bits) -> Option<FrameIndex> {
    for _ in 0..lists.len(list) {
        let frame = lists.first_frame(list)?;
        if bits.is_evictable(frame) {
            return Some(frame);
        }
        lists.rotate(list);
    }
    None
}
