//! Third chance: as clock, but a dirty page, which costs a write, gets one more round than a clean
//! one.
//!
//! | R | M | mark | the hand                         |
//! |---|---|------|----------------------------------|
//! | 1 | . | .    | resets R and the mark, passes on |
//! | 0 | 1 | 0    | marks the page, passes on        |
//! | 0 | 1 | 1    | takes it                         |
//! | 0 | 0 | .    | takes it                         |
#![forbid(unsafe_code)]

use super::fifo::first_evictable;
use super::{Bits, Lists, Policy, QUEUE};
use crate::index::FrameIndex;

/// Third chance.
pub static THIRD_CHANCE: ThirdChance = ThirdChance;

/// Clock whose marks are 1 for a dirty page that has had its extra round, else 0.
pub struct ThirdChance;

impl Policy for ThirdChance {
    fn name(&self) -> &'static str {
        "third-chance"
    }

    fn summary(&self) -> &'static str {
        "as clock, but a dirty page gets one more round than a clean one"
    }

    fn samples_references(&self) -> bool {
        true
    }

    fn victim(&self, lists: &mut Lists<'_>, bits: &mut dyn Bits) -> Option<FrameIndex> {
        // One round for R, one for the marks, and the third finds a victim, unless other threads set
        // R again meanwhile.
        for _ in 0..lists.len(QUEUE).saturating_mul(3) {
            let frame = lists.first_frame(QUEUE)?;
            if bits.is_evictable(frame) {
                if bits.take_referenced(frame) {
                    lists.set_mark(frame, 0);
                } else if bits.is_dirty(frame) && lists.mark(frame) == 0 {
                    lists.set_mark(frame, 1);
                } else {
                    return Some(frame);
                }
            }
            lists.rotate(QUEUE);
        }
        first_evictable(lists, QUEUE, bits)
    }
}
