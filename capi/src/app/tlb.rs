//! What the application sees of its arena. Its mappings are to the page table, which the pager has, what a
//! processor's TLB is: they may be dropped at any time, and come back one by one as they are missed.

use external_pager::protocol::{Answer, Change, ARENA_BASE, ARENA_SIZE, PAGE_SIZE};
use vmcore::sys::memory::{self, Protection};
use vmcore::sys::{file, Result};

/// The mappings, all of one frame file.
#[derive(Clone, Copy)]
pub struct Tlb {
    frames: i32,
}

impl Tlb {
    /// Reserves the arena's addresses; fails if something lies there.
    pub fn reserve() -> Result<()> {
        memory::reserve_at(ARENA_BASE, ARENA_SIZE, Protection::None).map(|_| ())
    }

    /// Nothing is mapped yet; frames lie in this file, which the pager sent.
    pub fn new(frames: i32) -> Tlb {
        Tlb { frames }
    }

    /// Gives the arena's addresses back, in a forked child, with its parent's mappings.
    pub fn release() {
        // SAFETY: the arena is ours; the parent keeps its own.
        let _ = unsafe { memory::unmap(ARENA_BASE, ARENA_SIZE) };
    }

    /// Drops every mapping.
    pub fn flush() -> Result<()> {
        // SAFETY: the arena is ours, and what was mapped there lives on in the frame file.
        unsafe { memory::unback(ARENA_BASE, ARENA_SIZE, Protection::None) }
    }

    /// Does what an answer says.
    pub fn apply(self, answer: &Answer) -> Result<()> {
        if answer.flush {
            Tlb::flush()?;
        }
        for change in answer.changes() {
            // So many mappings that the kernel refuses another: they come back one by one.
            self.map(change).or_else(|_| Tlb::flush().and_then(|()| self.map(change)))?;
        }
        Ok(())
    }

    fn map(self, change: &Change) -> Result<()> {
        let at = ARENA_BASE + change.page as usize * PAGE_SIZE;
        let protection = match (change.entry.read_enable, change.entry.write_enable) {
            (_, true) => Protection::ReadWrite,
            (true, false) => Protection::Read,
            // SAFETY: the page is one of the arena, whose addresses are ours: `Answer::decode` refuses others.
            (false, false) => return unsafe { memory::unback(at, PAGE_SIZE, Protection::None) },
        };
        let offset = u64::from(change.entry.frame) * PAGE_SIZE as u64;
        // SAFETY: a page of the arena, which is ours: `Answer::decode` refuses others.
        unsafe { memory::map(Some(at), PAGE_SIZE, protection, self.frames, offset).map(|_| ()) }
    }

    /// Gives the frame file up; what is mapped stays.
    pub fn close(self) {
        file::close(self.frames);
    }
}
