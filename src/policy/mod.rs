//! Page replacement policies: which frame should give up its page?
//!
//! A policy only advises. It keeps an order of the frames in a [`Ring`] (index-linked, no
//! allocation, no pointers) and names a victim; the pager checks every victim again and may refuse
//! it, so a wrong policy costs faults, never data. Policies run under the pager's lock, in the fault
//! handler: no allocation, no panic, bounded work.
//!
//! Adding a policy is one file with a `static` that implements [`Policy`], and its name in
//! [`POLICIES`].
#![forbid(unsafe_code)]

mod clock;
mod fifo;
mod random;
mod ring;
#[cfg(test)]
mod tests;
mod third_chance;

pub use ring::{Node, Ring, RingState};

/// What a policy may ask about the page in a frame while it looks for a victim.
pub trait Bits {
    /// Reports the reference bit R and resets it. The pager drops the page's protection when it
    /// resets R, so that the next access sets it again: resetting costs a fault, asking does not.
    fn take_referenced(&mut self, frame: u32) -> bool;

    /// The modified bit M: would evicting this page need a write?
    fn is_dirty(&self, frame: u32) -> bool;

    /// Whether the page may leave at this moment: not pinned, not being served, not just loaded.
    fn is_evictable(&self, frame: u32) -> bool;
}

/// How a page came into its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// Its access faulted.
    Fault,
    /// It was mapped before anybody touched it.
    MappedAhead,
    /// It was a victim, and could not leave.
    Back,
}

/// How a page left its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departure {
    /// The policy had it leave.
    Evicted,
    /// The program gave it up.
    Freed,
}

/// A replacement policy over the frames of one ring.
pub trait Policy: Sync {
    /// The word after `VMALLOC_POLICY=`.
    fn name(&self) -> &'static str;

    /// One line for `--help` and the docs.
    fn summary(&self) -> &'static str;

    /// Whether the policy looks at R at all; if not, the pager never drops a protection for it.
    fn samples_references(&self) -> bool;

    /// A page has been loaded into `frame`.
    fn inserted(&self, ring: &mut Ring<'_>, frame: u32) {
        ring.push_back(frame);
    }

    /// The page in `frame` has left: evicted, or freed by the program.
    fn removed(&self, ring: &mut Ring<'_>, frame: u32) {
        ring.remove(frame);
    }

    /// A fault showed that the page in `frame`, whose R had been reset, is in use again.
    fn referenced(&self, _ring: &mut Ring<'_>, _frame: u32) {}

    /// Names the frame whose page should leave, or `None` if nothing in the ring is evictable.
    /// The frame stays in the ring: if the pager evicts it, it calls [`Policy::removed`].
    fn victim(&self, ring: &mut Ring<'_>, bits: &mut dyn Bits) -> Option<u32>;
}

impl core::fmt::Debug for dyn Policy {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(self.name())
    }
}

/// Every policy there is, in the order in which documents and comparisons list them.
pub static POLICIES: [&dyn Policy; 4] = [&fifo::FIFO, &clock::CLOCK, &third_chance::THIRD_CHANCE, &random::RANDOM];

/// The policy of that name.
pub fn by_name(name: &[u8]) -> Option<&'static dyn Policy> {
    POLICIES.iter().copied().find(|policy| policy.name().as_bytes() == name)
}
