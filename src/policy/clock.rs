//! Clock, also called second chance: first in, first out, but a page that was used since the hand
//! last came by is passed over once.
#![forbid(unsafe_code)]

use super::fifo::first_evictable;
use super::{Bits, Lists, Policy, QUEUE};
use crate::index::FrameIndex;

/// Clock (second chance).
pub static CLOCK: Clock = Clock;

/// The hand is the head of the queue. A page comes in behind the hand, with R set by the access that
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

    fn victim(&self, lists: &mut Lists<'_>, bits: &mut dyn Bits) -> Option<FrameIndex> {
        // The first round resets every R at most, so the second finds a victim, unless other threads
        // set R again meanwhile.
        for _ in 0..lists.len(QUEUE).saturating_mul(2) {
            let frame = lists.first_frame(QUEUE)?;
            if bits.is_evictable(frame) && !bits.take_referenced(frame) {
                return Some(frame);
            }
            lists.rotate(QUEUE);
        }
        first_evictable(lists, QUEUE, bits)
    }
}
