//! How the program sees the pages of a region: as frames of the engine, or as files.

use vmcore::frames::Arena;
use vmcore::index::{FrameIndex, PageNumber};
use vmcore::mapper::{Mapper, Pages};
use vmcore::region::Store;
use vmcore::swap::SwapFile;
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

    fn address(&self, page: PageNumber) -> usize {
        self.start + page.get() as usize * self.page
    }

    fn map(&self, page: PageNumber, protection: Protection, fd: i32, offset: usize) -> Result<()> {
        // SAFETY: a page of the region's addresses, which are ours.
        unsafe { memory::map_over(self.address(page), self.page, self.rights(protection), fd, offset as u64, false) }
    }

    fn protect(&self, pages: &Pages, protection: Protection) -> Result<()> {
        // SAFETY: these pages are of the region's addresses, which are ours.
        unsafe { memory::protect(self.address(pages.first), pages.n as usize * self.page, self.rights(protection)) }
    }

    fn hide(&self, pages: &Pages) -> Result<()> {
        // SAFETY: these pages are of the region's addresses, which are ours; their bytes are in a frame or a slot.
        unsafe { memory::unback(self.address(pages.first), pages.n as usize * self.page, Protection::None) }
    }
}

/// Frames of the engine.
pub struct Frames {
    /// Where.
    pub site: Site,
}

impl Mapper for Frames {
    fn show(&self, arena: &Arena, pages: &Pages, frame: FrameIndex, protection: Protection) -> Result<()> {
        (0..).zip(pages.each()).try_for_each(|(i, page)| {
            let offset = arena.layout().offset(frame.plus(i));
            arena.file().lend(|fd| self.site.map(page.first, protection, fd, offset))
        })
    }

    fn protect(&self, pages: &Pages, protection: Protection) -> Result<()> {
        self.site.protect(pages, protection)
    }

    fn hide(&self, pages: &Pages) -> Result<()> {
        self.site.hide(pages)
    }
}

/// A file for each page.
pub struct Files {
    /// Where.
    pub site: Site,
    /// The files.
    pub descriptors: Descriptors,
}

impl Mapper for Files {
    fn show(&self, _arena: &Arena, pages: &Pages, _frame: FrameIndex, protection: Protection) -> Result<()> {
        pages.each().try_for_each(|page| {
            let fd = *self.descriptors.list.get(page.first.get() as usize).ok_or(Errno(libc::EINVAL))?;
            self.site.map(page.first, protection, fd, 0)
        })
    }

    fn protect(&self, pages: &Pages, protection: Protection) -> Result<()> {
        self.site.protect(pages, protection)
    }

    fn hide(&self, pages: &Pages) -> Result<()> {
        self.site.hide(pages)
    }
}

impl Store for Files {
    // The mapping is the file: what was stored is there, and before that it is all zero.
    fn clear(&self, _page: PageNumber, _frame: FrameIndex) {}

    fn load(&self, _page: PageNumber, _frame: FrameIndex) -> Result<()> {
        Ok(())
    }

    fn save(&self, _page: PageNumber, _frame: FrameIndex) -> Result<()> {
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
