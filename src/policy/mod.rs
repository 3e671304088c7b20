//! Page replacement policies: which frame should give up its page?
//!
//! A policy only advises. It keeps [`Lists`] of pages (linked by numbers, no allocation, no pointers),
//! remembers pages that have left as ghosts, and names a victim; the pager checks every victim again
//! and may refuse it, so a wrong policy costs faults, never data. Policies run under the pager's lock, in
//! the fault handler: no allocation, no panic, bounded work.
//!
//! Adding a policy is one file with a `static` that implements [`Policy`], and its name in
//! [`POLICIES`]. `docs/POLICIES.md` tells what each does and where it comes from.
#![forbid(unsafe_code)]

mod car;
mod clock;
mod clockpro;
mod fifo;
mod ghosts;
mod lists;
mod random;
mod s3fifo;
mod segfifo;
#[cfg(test)]
mod tests;
mod third_chance;

pub use car::CAR;
pub use clockpro::CLOCK_PRO;
pub use ghosts::Ghost;
pub use lists::{At, List, Lists, ListsState, Node};
pub use s3fifo::{S3FIFO, S3FIFO_1E};
pub use segfifo::{SegFifo, LRU, SEGFIFO};

use crate::index::FrameIndex;

/// The name of a page, for as long as the program has it: no two pages of a program share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageId(pub u64);

/// How a page came into its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The program touched it.
    Fault,
    /// The pager gave it a frame before the program touched it.
    MappedAhead,
    /// It was a victim, and stays after all.
    Back,
}

/// How a page left its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The pager needed the frame; the program may come back to the page.
    Evicted,
    /// The program has no more use for it.
    Freed,
}

/// What a policy may ask about the page in a frame.
pub trait Bits {
    /// Reports the reference bit R and resets it. The pager drops the page's protection when it
    /// resets R, so that the next access sets it again: resetting costs a fault, asking does not.
    fn take_referenced(&mut self, frame: FrameIndex) -> bool;

    /// The modified bit M: would evicting this page need a write?
    fn is_dirty(&self, frame: FrameIndex) -> bool;

    /// Whether the page may leave at this moment: not pinned, not being served, not just loaded.
    fn is_evictable(&self, frame: FrameIndex) -> bool;
}

/// A replacement policy over the frames of one pager.
///
/// For a page that the program touches, the pager calls [`missed`](Policy::missed), then
/// [`victim`](Policy::victim) and [`removed`](Policy::removed) if it needs a frame, then
/// [`inserted`](Policy::inserted). The access that loads a page sets its R.
pub trait Policy: Sync {
    /// The word after `VMALLOC_POLICY=`.
    fn name(&self) -> &'static str;

    /// One line for `--help` and the docs.
    fn summary(&self) -> &'static str;

    /// Whether the policy looks at R at all; if not, the pager never drops a protection for it.
    fn samples_references(&self) -> bool;

    /// How many ghosts it needs for a pager of that many frames.
    fn ghosts(&self, _frames: u32) -> u32 {
        0
    }

    /// The program touches a page that is in no frame; the pager is about to look for one.
    fn missed(&self, _lists: &mut Lists<'_>, _page: PageId, _bits: &mut dyn Bits) {}

    /// A page has been loaded into `frame`.
    fn inserted(&self, lists: &mut Lists<'_>, frame: FrameIndex, _page: PageId, _arrival: Arrival, _bits: &mut dyn Bits) {
        lists.push_back(QUEUE, frame);
    }

    /// The page in `frame` has left.
    fn removed(&self, lists: &mut Lists<'_>, frame: FrameIndex, _page: PageId, _departure: Departure) {
        lists.remove(frame);
    }

    /// A fault showed that the page in `frame`, whose R had been reset, is in use again.
    fn referenced(&self, _lists: &mut Lists<'_>, _frame: FrameIndex, _bits: &mut dyn Bits) {}

    /// Names the frame whose page should leave, or `None` if no page is evictable.
    /// The page stays in its list: if the pager evicts it, it calls [`Policy::removed`].
    fn victim(&self, lists: &mut Lists<'_>, bits: &mut dyn Bits) -> Option<FrameIndex>;
}

/// The only list of a policy that needs no other.
const QUEUE: List = List(0);

impl core::fmt::Debug for dyn Policy {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(self.name())
    }
}

/// Every policy there is, in the order in which documents and comparisons list them.
pub static POLICIES: [&dyn Policy; 10] = [
    &fifo::FIFO,
    &clock::CLOCK,
    &third_chance::THIRD_CHANCE,
    &random::RANDOM,
    &SEGFIFO,
    &LRU,
    &S3FIFO,
    &S3FIFO_1E,
    &CAR,
    &CLOCK_PRO,
];

/// The policy of that name.
pub fn by_name(name: &[u8]) -> Option<&'static dyn Policy> {
    POLICIES.iter().copied().find(|policy| policy.name().as_bytes() == name)
}
