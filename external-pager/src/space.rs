//! An address space as the engine sees it: a region whose pages are seen through a process's page table and
//! kept in disk blocks that were reserved when the pages became valid.

use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::OnceLock;

use vmcore::outlook::{Outlook, Store, View};
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
        let outlook = Outlook { view: Some(space), store: Some(space), observer: None };
        (space, Box::leak(Box::new(outlook)))
    }

    /// Whose it is from now on.
    pub fn give_to(&self, process: i32) {
        self.process.store(process, Ordering::Relaxed);
    }

    /// The page is kept in this block from now on.
    pub fn keep_in(&self, page: u32, block: u32) {
        self.page(page.into()).block.store(block, Ordering::Relaxed);
    }

    /// The block where the page is kept.
    pub fn block(&self, page: u32) -> u32 {
        self.page(page.into()).block.load(Ordering::Relaxed)
    }

    fn page(&self, page: u64) -> &Page {
        static NONE: Page = Page { block: AtomicU32::new(0), frame: AtomicU32::new(0) };
        let (chunk, at) = (page / u64::from(CHUNK), page % u64::from(CHUNK));
        let make = || (0..CHUNK).map(|_| Page::default()).collect();
        // The engine names no page beyond the arena.
        let chunk = self.chunks.get(chunk as usize).map(|chunk| chunk.get_or_init(make));
        chunk.and_then(|chunk| chunk.get(at as usize)).unwrap_or(&NONE)
    }

    fn set(&self, page: u64, protection: Protection) {
        let read_enable = protection != Protection::None;
        let write_enable = matches!(protection, Protection::ReadWrite | Protection::ReadWriteExecute);
        let frame = self.page(page).frame.load(Ordering::Relaxed);
        let entry = Entry { frame, read_enable, write_enable };
        self.machine.set_entry(self.process.load(Ordering::Relaxed), page as u32, entry);
    }
}

impl View for Space {
    fn open(&self, page: u64, frame: u32, protection: Protection) -> Result<()> {
        self.page(page).frame.store(frame, Ordering::Relaxed);
        self.set(page, protection);
        Ok(())
    }

    fn protect(&self, page: u64, protection: Protection) -> Result<()> {
        self.set(page, protection);
        Ok(())
    }

    fn close(&self, page: u64) -> Result<()> {
        self.set(page, Protection::None);
        Ok(())
    }
}

impl Store for Space {
    fn clear(&self, _page: u64, frame: u32) {
        self.machine.clear(frame)
    }

    fn load(&self, page: u64, frame: u32) -> Result<()> {
        self.machine.read(self.block(page as u32), frame).map_err(errno)
    }

    fn save(&self, page: u64, frame: u32) -> Result<()> {
        self.machine.write(self.block(page as u32), frame).map_err(errno)
    }
}

fn errno(_: Failed) -> Errno {
    Errno(libc::EIO)
}
