//! Where a system call's buffers are pinned: [`Pins`] remembers the ranges of a call, [`claims`] pins what the walk
//! over its arguments finds, [`slots`] keeps what there is of a trapped call until it is finished, and [`holds`] the
//! few ranges of a direct call.

pub mod claims;
pub mod holds;
pub mod slots;

use crate::shared::engine;
use vmcore::sys::memory::{self, Protection};

/// A pinned range: address and length.
pub type Range = (usize, usize);

const FEW: usize = 8;
/// Bytes of the memory for more ranges than a few.
const MORE: usize = 1 << 20;
const MOST: usize = MORE / size_of::<Range>();

/// The pins of a call.
#[repr(C)]
pub struct Pins {
    count: usize,
    first: [Range; FEW],
    more: usize,
}

impl Pins {
    /// No pins.
    pub const NONE: Pins = Pins { count: 0, first: [(0, 0); FEW], more: 0 };

    /// Whether nothing is pinned.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Remembers a range; false if there is no room.
    pub fn remember(&mut self, range: Range) -> bool {
        // Neighbours are one range: texts and vectors are claimed bit by bit.
        if let Some(place) = self.first.get_mut(self.count) {
            *place = range;
            self.count += 1;
            return true;
        }
        if self.more == 0 {
            let Ok(more) = memory::reserve(MORE, Protection::ReadWrite) else {
                return false;
            };
            self.more = more;
        }
        let i = self.count - FEW;
        if i >= MOST {
            return false;
        }
        // SAFETY: within the memory for more.
        unsafe { *(self.more as *mut Range).add(i) = range };
        self.count += 1;
        true
    }

    /// Takes all pins back.
    pub fn release(&mut self) {
        if let Some(engine) = engine::get() {
            for (i, (address, len)) in self.first.iter().enumerate() {
                if i < self.count {
                    engine.unpin(*address, *len);
                }
            }
            for i in 0..self.count.saturating_sub(FEW) {
                // SAFETY: written by `remember`.
                let (address, len) = unsafe { *(self.more as *const Range).add(i) };
                engine.unpin(address, len);
            }
        }
        self.count = 0;
        if self.more != 0 {
            // SAFETY: ours, made by `remember`.
            let _ = unsafe { memory::unmap(self.more, MORE) };
            self.more = 0;
        }
    }
}
