//! An address space as the engine sees it: a region whose pages are seen through a process's page table and
//! kept in disk blocks that were reserved when the pages became valid.

use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::OnceLock;

use vmcore::frames::Arena;
use vmcore::index::{FrameIndex, PageNumber};
use vmcore::mapper::{Mapper, Pages};
use vmcore::region::{Outlook, Store};
use vmcore::sys::memory::Protection;
use vmcore::sys::{Errno, Result};

use crate::machine::{Failed, Machine};
use crate::protocol::{Entry, ARENA_PAGES};

/// What is known of a page.
#[derive(Default)]
struct Page {
    /// The disk block that was reserved for it.
    block: AtomicU32,
    /// The frame that it was opened in last.
    frame: AtomicU32,
}

/// Pages whose places are made together, when the first of them becomes valid.
const CHUNK: u32 = 512;

/// A process's page table and disk blocks. Made once and used again for another process: the engine
/// wants what it refers to for ever. Only one thread changes it, so every ordering is relaxed.
pub struct Space {
    machine: &'static dyn Machine,
    process: AtomicI32,
    chunks: [OnceLock<Box<[Page]>>; (ARENA_PAGES / CHUNK) as usize],
}

impl Space {
    /// An address space that nobody uses, and how the engine sees it.
    pub fn make(machine: &'static dyn Machine) -> (&'static Space, &'static Outlook) {
        let chunks = [const { OnceLock::new() }; (ARENA_PAGES / CHUNK) as usize];
        let space: &'static Space = Box::leak(Box::new(Space { machine, process: AtomicI32::new(0), chunks }));
        let outlook = Outlook { mapper: Some(space), store: Some(space), sink: None };
        (space, Box::leak(Box::new(outlook)))
    }

    /// Whose it is from now on.
    pub fn give_to(&self, process: i32) {
        self.process.store(process, Ordering::Relaxed);
    }

    /// The page is kept in this block from now on.
    pub fn keep_in(&self, page: u32, block: u32) {
        self.page(page).block.store(block, Ordering::Relaxed);
    }

    /// The block where the page is kept.
    pub fn block(&self, page: u32) -> u32 {
        self.page(page).block.load(Ordering::Relaxed)
    }

    fn page(&self, page: u32) -> &Page {
        static NONE: Page = Page { block: AtomicU32::new(0), frame: AtomicU32::new(0) };
        let (chunk, at) = (page / CHUNK, page % CHUNK);
        let make = || (0..CHUNK).map(|_| Page::default()).collect();
        // The engine names no page beyond the arena.
        let chunk = self.chunks.get(chunk as usize).map(|chunk| chunk.get_or_init(make));
        chunk.and_then(|chunk| chunk.get(at as usize)).unwrap_or(&NONE)
    }

    fn set(&self, pages: &Pages, protection: Protection) {
        pages.each().for_each(|page| self.set_entry(number(page.first), protection));
    }

    fn set_entry(&self, page: u32, protection: Protection) {
        let read_enable = protection != Protection::None;
        let write_enable = matches!(protection, Protection::ReadWrite | Protection::ReadWriteExecute);
        let frame = self.page(page).frame.load(Ordering::Relaxed);
        let entry = Entry { frame, read_enable, write_enable };
        self.machine.set_entry(self.process.load(Ordering::Relaxed), page, entry);
    }
}

/// The engine names no page beyond the arena, whose pages have numbers of 32 bits.
fn number(page: PageNumber) -> u32 {
    page.get() as u32
}

impl Mapper for Space {
    fn show(&self, _arena: &Arena, pages: &Pages, frame: FrameIndex, protection: Protection) -> Result<()> {
        for (i, page) in (0..).zip(pages.each()) {
            self.page(number(page.first)).frame.store(frame.plus(i).get(), Ordering::Relaxed);
        }
        self.set(pages, protection);
        Ok(())
    }

    fn protect(&self, pages: &Pages, protection: Protection) -> Result<()> {
        self.set(pages, protection);
        Ok(())
    }

    fn hide(&self, pages: &Pages) -> Result<()> {
        self.set(pages, Protection::None);
        Ok(())
    }
}

impl Store for Space {
    fn clear(&self, _page: PageNumber, frame: FrameIndex) {
        self.machine.clear(frame.get())
    }

    fn load(&self, page: PageNumber, frame: FrameIndex) -> Result<()> {
        self.machine.read(self.block(number(page)), frame.get()).map_err(errno)
    }

    fn save(&self, page: PageNumber, frame: FrameIndex) -> Result<()> {
        self.machine.write(self.block(number(page)), frame.get()).map_err(errno)
    }
}

fn errno(_: Failed) -> Errno {
    Errno(libc::EIO)
}
