//! Random: any page, each as likely as the others. It knows nothing, costs nothing, and is the
//! measure for those that claim to know something.
#![forbid(unsafe_code)]

use super::fifo::first_evictable;
use super::{Bits, Lists, Policy, QUEUE};
use crate::index::FrameIndex;

/// Random replacement.
pub static RANDOM: Random = Random;

/// Draws that miss (a frame not in use, or one that may not leave) are repeated this often.
const DRAWS: u32 = 32;

/// The numbers come from the lists' own generator, so a run can be repeated exactly.
pub struct Random;

impl Policy for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn summary(&self) -> &'static str {
        "any page, each as likely as the others"
    }

    fn samples_references(&self) -> bool {
        false
    }

    fn victim(&self, lists: &mut Lists<'_>, bits: &mut dyn Bits) -> Option<FrameIndex> {
        for _ in 0..DRAWS {
            if let Some(frame) = lists.draw() {
                if bits.is_evictable(frame) {
                    return Some(frame);
                }
            }
        }
        first_evictable(lists, QUEUE, bits)
    }
}
