//! A swap device: where the bytes of slots lie. Its unit is a run of neighbouring slots.
//!
//! Devices know nothing of which slots are in use. They are called in the fault handler, so the engine's rules hold: no
//! allocation, no panic, raw system calls; and with no lock held.

use crate::index::Slot;
use crate::sys::medium::Medium;
use crate::sys::Result;

/// Neighbouring slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// The first.
    pub first: Slot,
    /// How many.
    pub n: u32,
    /// log2 of the size of each.
    pub page_shift: u32,
}

impl Run {
    /// Where the first begins on the device.
    pub const fn offset(&self) -> u64 {
        (self.first.get() as u64) << self.page_shift
    }

    /// Bytes of all.
    pub const fn len(&self) -> usize {
        (self.n as usize) << self.page_shift
    }

    /// Bytes of each.
    pub const fn page_size(&self) -> usize {
        1 << self.page_shift
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.n == 0
    }
}

/// Where bytes of slots lie.
pub trait SwapDevice: Sync {
    /// Where it is, for messages.
    fn name(&self) -> &str;

    /// Sees to it that writing the bytes `from .. to` of the device will not fail for want of space. What lies before is reserved.
    fn reserve(&self, from: u64, to: u64) -> Result<()>;

    /// Writes the pages at these addresses, one for each slot of the run. After an error nothing is known of what the slots hold.
    ///
    /// # Safety
    /// Each page is readable, and nobody changes it meanwhile.
    unsafe fn write(&self, run: Run, pages: &[usize]) -> Result<()>;

    /// Reads the run's slots to these addresses, as they were written last.
    ///
    /// # Safety
    /// Each page is writable, and nobody else uses it.
    unsafe fn read(&self, run: Run, pages: &[usize]) -> Result<()>;

    /// The run's bytes are of no value any more. Costs no promise: the space stays reserved.
    fn discard(&self, run: Run);

    /// Copies the run's bytes, as they were written, to the same place of what a forked child continues on: a plain file or
    /// plain memory.
    fn copy_to(&self, child: Medium, run: Run) -> Result<()>;
}
