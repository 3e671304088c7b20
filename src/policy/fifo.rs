//! First in, first out: the page that was loaded first leaves first, used or not.
#![forbid(unsafe_code)]

use super::{Bits, Policy, Ring};

/// First in, first out.
pub static FIFO: Fifo = Fifo;

/// The ring is the queue: loads go to the tail, victims come from the head.
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

    fn victim(&self, ring: &mut Ring<'_>, bits: &mut dyn Bits) -> Option<u32> {
        first_evictable(ring, bits)
    }
}

/// The first frame from the head on that may leave; those passed over go to the tail, so that a
/// crowd of pinned pages is not walked again at each fault. One pass at most.
pub(super) fn first_evictable(ring: &mut Ring<'_>, bits: &mut dyn Bits) -> Option<u32> {
    for _ in 0..ring.len() {
        let frame = ring.head()?;
        if bits.is_evictable(frame) {
            return Some(frame);
        }
        ring.rotate();
    }
    None
}
