//! What the pager's decisions work on: simulated hardware, given from outside.

use crate::protocol::Entry;

/// A disk transfer, or physical memory, failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed;

/// Physical memory, a disk, and the page tables of the processes. Frames and blocks are counted from 0.
///
/// Called by the decisions only, and one call at a time.
pub trait Machine: Sync {
    /// Fills a frame with zeros, for the current process.
    fn clear(&self, frame: u32);

    /// Reads a disk block into a frame, for the current process.
    fn read(&self, block: u32, frame: u32) -> Result<(), Failed>;

    /// Writes a frame to a disk block.
    fn write(&self, block: u32, frame: u32) -> Result<(), Failed>;

    /// The page table entry of a process's page says this from now on.
    fn set_entry(&self, process: i32, page: u32, entry: Entry);
}
