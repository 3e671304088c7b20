//! Clock, also called second chance: first in, first out, but a page that was used since the hand
//! last came by is passed over once.
#![forbid(unsafe_code)]

use super::fifo::first_evictable;
use super::{Bits, Policy, Ring};

/// Clock (second chance).
pub static CLOCK: Clock = Clock;

/// The hand is the ring's head. A page comes in behind the hand, with R set by the access that
/// loaded it.
pub struct Clock;

impl Policy for Clock {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn summary(&self) -> &'static str {
        "second chance: as fifo, but a page used since the last round stays for another"
    }

    fn samples_references(&self) -> bool {
        true
    }

    fn victim(&self, ring: &mut Ring<'_>, bits: &mut dyn Bits) -> Option<u32> {
        // The first round resets every R at most, so the second finds a victim, unless other threads
        // set R again meanwhile.
        for _ in 0..ring.len().saturating_mul(2) {
            let frame = ring.head()?;
            if bits.is_evictable(frame) && !bits.take_referenced(frame) {
                return Some(frame);
            }
            ring.rotate();
        }
        first_evictable(ring, bits)
    }
}
