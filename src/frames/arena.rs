//! The arena: one memory file whose pages are the frames, and the engine's view of it.
//!
//! The engine view maps all of it, writable, for the life of the process; the program sees a frame
//! only where a page is mapped to it. A forked child gets a file of its own at the same addresses; one in a
//! sandbox that forbids memory files gets memory without a name, with a third mapping that allows nothing as its
//! handle.

use super::frame::Frame;
use super::layout::Layout;
use crate::bitmap::words_for;
use crate::descriptor::Descriptor;
use crate::index::FrameIndex;
use crate::policy::{Ghost, Node};
use crate::sys::medium::Medium;
use crate::sys::memory::{self, Protection};
use crate::sys::{file, Result};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The parts of the static bookkeeping that only the pager's lock gives access to.
pub struct Tables {
    /// The policy's lists: a node for each frame and each ghost.
    pub nodes: &'static mut [Node],
    /// The pages that the policy remembers.
    pub ghosts: &'static mut [Ghost],
    /// Which frames are in use.
    pub free: &'static mut [u64],
}

/// The memory file and the engine view.
pub struct Arena {
    layout: Layout,
    file: Descriptor,
    /// Where memory without a name is mapped to be mapped again; 0 if there is a file.
    handle: AtomicUsize,
    view: usize,
}

impl Arena {
    /// Makes the memory file and maps the engine view; the words of the slots' map come along.
    pub fn new(layout: Layout) -> Result<(Arena, Tables, &'static mut [u64])> {
        let len = layout.len();
        let fd = file::memory_file(c"vmalloc-arena", len as u64)?;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let view = unsafe { memory::map(None, len, Protection::ReadWrite, fd, 0)? };
        let arena = Arena { layout, file: Descriptor::new(fd), handle: AtomicUsize::new(0), view };
        arena.keep_out_of_cores();
        let (frames, ghosts) = (layout.pool as usize, layout.ghosts as usize);
        // SAFETY: the layout keeps the four arrays apart and inside the static bookkeeping, which is
        // fresh zeros, valid for all four, mapped for ever; only this call makes references to them.
        let (tables, slots) = unsafe {
            let tables = Tables {
                nodes: core::slice::from_raw_parts_mut((view + layout.nodes) as *mut Node, frames + ghosts),
                ghosts: core::slice::from_raw_parts_mut((view + layout.remembered) as *mut Ghost, ghosts),
                free: core::slice::from_raw_parts_mut((view + layout.free) as *mut u64, words_for(layout.pool)),
            };
            let slots = core::slice::from_raw_parts_mut((view + layout.swap) as *mut u64, words_for(layout.slots));
            (tables, slots)
        };
        Ok((arena, tables, slots))
    }

    /// The layout.
    #[inline]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Bytes in a page.
    #[inline]
    pub fn page_size(&self) -> usize {
        1 << self.layout.page_shift
    }

    /// The memory file; none if the memory has no name.
    pub fn file(&self) -> &Descriptor {
        &self.file
    }

    /// Maps `len` bytes of frames, from `frame` on, at `at`. With `populate` the kernel's page tables are filled
    /// at once, for memory that is about to be used.
    ///
    /// # Safety
    /// Nobody but the caller decides what lies in the range `at .. at + len`.
    pub unsafe fn map_frames(
        &self,
        at: usize,
        len: usize,
        protection: Protection,
        frame: FrameIndex,
        populate: bool,
    ) -> Result<()> {
        let offset = self.layout.offset(frame);
        // Relaxed: stored before the process has a second thread.
        let handle = self.handle.load(Ordering::Relaxed);
        if handle != 0 {
            // SAFETY: the range is the caller's, as it promises.
            return unsafe { memory::map_again(handle + offset, at, len, protection) };
        }
        // SAFETY: the range is the caller's, as it promises.
        self.file.lend(|fd| unsafe { memory::map_over(at, len, protection, fd, offset as u64, populate) })
    }

    /// The address of a frame in the engine view.
    #[inline]
    pub fn view(&self, frame: FrameIndex) -> usize {
        self.view + self.layout.offset(frame)
    }

    /// What is known of a frame.
    #[inline]
    pub fn frame(&self, frame: FrameIndex) -> &Frame {
        let number = frame.at().min(self.layout.pool as usize - 1);
        // SAFETY: the frame table begins the view, has a line for each frame of the pool, and all its fields
        // are atomics for which zeros are valid.
        unsafe { &*(self.view as *const Frame).add(number) }
    }

    /// Which frames hold retained pages: one bit a frame, a hint only.
    pub(super) fn retained(&self) -> &[AtomicU64] {
        let at = (self.view + self.layout.retained) as *const AtomicU64;
        // SAFETY: the layout reserves these words for this map, and all access is atomic.
        unsafe { core::slice::from_raw_parts(at, words_for(self.layout.pool)) }
    }

    /// The granule words of the shared region, and one more.
    pub fn shared_words(&self) -> &[AtomicU64] {
        let at = (self.view + self.layout.shared_words) as *const AtomicU64;
        // SAFETY: the layout reserves these words for this, and all access is atomic.
        unsafe { core::slice::from_raw_parts(at, self.shared_len() / 512 + 1) }
    }

    /// Where the shared region begins in the engine view.
    pub fn shared_base(&self) -> usize {
        self.view(FrameIndex::new(self.layout.pool))
    }

    /// Bytes of the shared region.
    pub fn shared_len(&self) -> usize {
        (self.layout.shared() as usize) << self.layout.page_shift
    }

    /// Whether all bytes of a frame are zero.
    pub fn is_zero(&self, frame: FrameIndex) -> bool {
        let words = self.page_size() / 64;
        let at = self.view(frame) as *const [u64; 8];
        // SAFETY: a whole frame of the view; its page is mapped nowhere else while somebody asks.
        let chunks = unsafe { core::slice::from_raw_parts(at, words) };
        chunks.iter().all(|c| c.iter().fold(0, |a, b| a | b) == 0)
    }

    /// Makes all bytes of a frame zero.
    pub fn clear(&self, frame: FrameIndex) {
        self.clear_part(frame, 0, self.page_size());
    }

    /// Makes the bytes `at .. at + len` of a frame zero.
    pub fn clear_part(&self, frame: FrameIndex, at: usize, len: usize) {
        let page = self.page_size();
        if at < page && len <= page - at {
            // SAFETY: a part of a frame that the caller has obtained, or whose page's token it holds; nobody
            // else uses these bytes.
            unsafe { core::ptr::write_bytes((self.view(frame) + at) as *mut u8, 0, len) }
        }
    }

    /// Copies what lies before the pool and behind it, and the frames `used` of it, to the same places of `copy`.
    pub fn copy_to(&self, copy: Medium, used: impl Iterator<Item = (FrameIndex, u32)>) -> Result<()> {
        let layout = &self.layout;
        let (begin, end) = (layout.offset(FrameIndex::new(0)), layout.offset(FrameIndex::new(layout.pool)));
        let ranges = used.map(|(first, n)| (layout.offset(first), (n as usize) << layout.page_shift));
        for (offset, len) in [(0, begin), (end, layout.len() - end)].into_iter().chain(ranges) {
            // SAFETY: whole pages of the engine view, and the copy is known to nobody else.
            unsafe { copy.write(self.view + offset, len, offset as u64)? };
        }
        Ok(())
    }

    /// In a child process: continues on `copy`, with the engine view remapped.
    ///
    /// # Safety
    /// The copy must hold everything that is in use, and no other thread may run.
    pub unsafe fn continue_on(&self, copy: Medium) -> Result<()> {
        let len = self.layout.len();
        // SAFETY: the view is ours, and the copy says the same at every address. The handle is nobody else's.
        let (fd, handle) = unsafe {
            match copy {
                Medium::File(fd) => {
                    memory::map(Some(self.view), len, Protection::ReadWrite, fd, 0)?;
                    (fd, 0)
                }
                Medium::Memory { at, .. } => {
                    memory::protect(at, len, Protection::None)?;
                    memory::map_again(at, self.view, len, Protection::ReadWrite)?;
                    (-1, at)
                }
            }
        };
        self.keep_out_of_cores();
        self.file.replace(fd).into_iter().for_each(file::close);
        let parents = self.handle.swap(handle, Ordering::Relaxed);
        if parents != 0 {
            // SAFETY: the parent's memory, which this process uses no more.
            let _ = unsafe { memory::unmap(parents, len) };
        }
        Ok(())
    }

    /// A core dump has what the program sees; the same frames once more would double it.
    fn keep_out_of_cores(&self) {
        // SAFETY: the view is ours, and the advice changes no contents.
        let _ = unsafe { memory::advise(self.view, self.layout.len(), libc::MADV_DONTDUMP) };
    }

    /// Gives everything back to the system.
    ///
    /// # Safety
    /// Nobody uses a frame, the engine view or the tables any more.
    pub unsafe fn dissolve(&self) {
        // SAFETY: the view is used by nobody, as the caller promises.
        let _ = unsafe { memory::unmap(self.view, self.layout.len()) };
        self.file.replace(-1).into_iter().for_each(file::close);
    }
}
