//! How the program sees the pages of a region: as frames of the engine, or as files.

use vmcore::arena::Arena;
use vmcore::outlook::{Store, View};
use vmcore::swap_file::SwapFile;
use vmcore::sys::memory::{self, Protection};
use vmcore::sys::{file, Errno, Result};

/// Where the program sees pages.
#[derive(Clone, Copy)]
pub struct Site {
    /// The first byte.
    pub start: usize,
    /// Bytes of a page.
    pub page: usize,
    /// Whether what can be loaded can be executed.
    pub execute: bool,
}

impl Site {
    fn rights(&self, protection: Protection) -> Protection {
        if self.execute {
            protection.executable()
        } else {
            protection
        }
    }

    fn map(&self, page: u64, protection: Protection, fd: i32, offset: u64) -> Result<()> {
        let at = self.start + page as usize * self.page;
        // SAFETY: a page of the region's addresses, which are ours.
        unsafe { memory::map(Some(at), self.page, self.rights(protection), fd, offset).map(|_| ()) }
    }

    fn protect(&self, page: u64, protection: Protection) -> Result<()> {
        // SAFETY: as above.
        unsafe { memory::protect(self.start + page as usize * self.page, self.page, self.rights(protection)) }
    }

    fn close(&self, page: u64) -> Result<()> {
        // SAFETY: as above.
        unsafe { memory::unback(self.start + page as usize * self.page, self.page, Protection::None) }
    }
}

/// Frames of the engine.
pub struct Frames {
    /// Where.
    pub site: Site,
    /// The frames.
    pub arena: &'static Arena,
}

impl View for Frames {
    fn open(&self, page: u64, frame: u32, protection: Protection) -> Result<()> {
        let offset = self.arena.offset(self.arena.layout().first_pool + frame);
        self.arena.file().lend(|fd| self.site.map(page, protection, fd, offset))
    }

    fn protect(&self, page: u64, protection: Protection) -> Result<()> {
        self.site.protect(page, protection)
    }

    fn close(&self, page: u64) -> Result<()> {
        self.site.close(page)
    }
}

/// A file for each page.
pub struct Files {
    /// Where.
    pub site: Site,
    /// The files.
    pub descriptors: Descriptors,
}

impl View for Files {
    fn open(&self, page: u64, _frame: u32, protection: Protection) -> Result<()> {
        let fd = *self.descriptors.list.get(page as usize).ok_or(Errno(libc::EINVAL))?;
        self.site.map(page, protection, fd, 0)
    }

    fn protect(&self, page: u64, protection: Protection) -> Result<()> {
        self.site.protect(page, protection)
    }

    fn close(&self, page: u64) -> Result<()> {
        self.site.close(page)
    }
}

impl Store for Files {
    // The mapping is the file: what was stored is there, and before that it is all zero.
    fn clear(&self, _page: u64, _frame: u32) {}

    fn load(&self, _page: u64, _frame: u32) -> Result<()> {
        Ok(())
    }

    fn save(&self, _page: u64, _frame: u32) -> Result<()> {
        Ok(())
    }
}

/// Files of one page each, which are closed when this is dropped. The list lies in memory of its own.
pub struct Descriptors {
    list: &'static mut [i32],
}

impl Descriptors {
    /// `pages` files of a page each; with `execute`, such as can be executed.
    pub fn new(swap: &SwapFile, pages: usize, page: usize, execute: bool) -> Result<Descriptors> {
        let at = memory::reserve(pages * size_of::<i32>(), Protection::ReadWrite)?;
        // SAFETY: fresh zeros, large enough, that nobody else knows.
        let list = unsafe { core::slice::from_raw_parts_mut(at as *mut i32, pages) };
        list.fill(-1);
        file::size_limit_below(0);
        let files = Descriptors { list };
        let made = swap
            .open()
            .and_then(|()| files.list.iter_mut().try_for_each(|descriptor| swap.another(page as u64).map(|fd| *descriptor = fd)));
        swap.close();
        made?;
        if let (Some(fd), true) = (files.list.first(), execute) {
            // SAFETY: a mapping that the kernel places, gone at once.
            unsafe { memory::unmap(memory::map(None, page, Protection::ReadExecute, *fd, 0)?, page)? };
        }
        Ok(files)
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        self.list.iter().filter(|fd| **fd >= 0).for_each(|fd| file::close(*fd));
        // SAFETY: our own mapping, not used any more.
        let _ = unsafe { memory::unmap(self.list.as_ptr() as usize, size_of_val(self.list)) };
    }
}
