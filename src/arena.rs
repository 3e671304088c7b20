//! The arena: one memory file whose pages are the frames, and its layout.
//!
//! ```text
//! frame 0 ..            frame table, nodes and ghosts of the policy, allocation maps (static bookkeeping)
//! .. first_shared       the pool: frames for pages, and for bookkeeping that grows
//! last VMALLOC_SHARED   the shared region
//! ```
//!
//! The engine view maps all of it, writable, for the life of the process; the program sees a frame
//! only where a page is mapped to it. A forked child gets a file of its own at the same addresses; one in a
//! sandbox that forbids memory files gets memory without a name, with a third mapping that allows nothing as its
//! handle.

use crate::bitmap;
use crate::descriptor::Descriptor;
use crate::policy::{Ghost, Node, Policy};
use crate::sys::medium::Medium;
use crate::sys::memory::{self, Protection};
use crate::sys::{file, Result};
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// What is known of a frame.
#[repr(C)]
pub struct Frame {
    /// Where the program, or the heap, sees the frame, plus an [`Owner`] in the low bits; 0 if free.
    owner: AtomicU64,
    /// 1 + the swap slot that holds the same bytes, while the page is clean; 0 for none.
    pub slot: AtomicU32,
    /// The fault that brought the page in, for the rule that a page just loaded must not leave.
    pub stamp: AtomicU32,
}

/// Who uses a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Nobody.
    Nobody,
    /// The page at this address.
    Page(usize),
    /// Bookkeeping, mapped at this address.
    Bookkeeping(usize),
}

impl Frame {
    /// Who uses the frame.
    pub fn owner(&self) -> Owner {
        // Acquire: pairs with `set_owner`.
        let word = self.owner.load(Ordering::Acquire) as usize;
        match word & 3 {
            1 => Owner::Page(word & !3),
            2 => Owner::Bookkeeping(word & !3),
            _ => Owner::Nobody,
        }
    }

    /// Says who uses the frame from now on.
    pub fn set_owner(&self, owner: Owner) {
        let word = match owner {
            Owner::Nobody => 0,
            Owner::Page(at) => at | 1,
            Owner::Bookkeeping(at) => at | 2,
        };
        // Release: pairs with `owner`.
        self.owner.store(word as u64, Ordering::Release);
    }
}

/// Byte offsets of the static bookkeeping, and which frames are for what.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// log2 of the page size.
    pub page_shift: u32,
    /// Frames in the arena.
    pub frames: u32,
    /// Slots in the swap file.
    pub slots: u32,
    /// The first frame of the pool.
    pub first_pool: u32,
    /// The first frame of the shared region.
    pub first_shared: u32,
    ghosts: u32,
    nodes: usize,
    remembered: usize,
    free: usize,
    retained: usize,
    swap: usize,
    shared_words: usize,
}

impl Layout {
    /// Lays out an arena of `arena` bytes with pages of `1 << page_shift`, `swap` bytes of swap and
    /// `shared` bytes of shared region; `None` if fewer than `least` frames are left for the pool.
    pub fn new(arena: u64, swap: u64, shared: u64, page_shift: u32, policy: &dyn Policy, least: u32) -> Option<Layout> {
        let frames = u32::try_from(arena >> page_shift).ok()?;
        let slots = u32::try_from(swap >> page_shift).ok()?;
        let shared = u32::try_from(shared.div_ceil(1 << page_shift)).ok()?;
        let nodes = frames as usize * size_of::<Frame>();
        let ghosts = policy.ghosts(frames);
        let remembered = (nodes + (frames as usize + ghosts as usize) * size_of::<Node>()).next_multiple_of(64);
        let free = (remembered + ghosts as usize * size_of::<Ghost>()).next_multiple_of(64);
        let retained = free + bitmap::words_for(frames) * 8;
        let swap = retained + bitmap::words_for(frames) * 8;
        let shared_words = swap + bitmap::words_for(slots) * 8;
        // Two bits a granule, and a word behind the last: a block is measured up to its end.
        let end = shared_words + ((shared as usize) << page_shift) / 64 + 8;
        let first_pool = u32::try_from(end.div_ceil(1 << page_shift)).ok()?;
        let first_shared = frames.checked_sub(shared)?;
        (first_shared.checked_sub(first_pool)? >= least).then_some(Layout {
            page_shift,
            frames,
            slots,
            first_pool,
            first_shared,
            ghosts,
            nodes,
            remembered,
            free,
            retained,
            swap,
            shared_words,
        })
    }
}

impl Layout {
    /// Lays out an arena whose pool has exactly `pool` frames, without a shared region; `None` if there
    /// cannot be so many.
    pub fn exact(pool: u32, slots: u32, page_shift: u32, policy: &dyn Policy) -> Option<Layout> {
        let page = 1u64 << page_shift;
        let swap = u64::from(slots) << page_shift;
        let mut frames = u64::from(pool) + 1;
        loop {
            let layout = Layout::new(frames * page, swap, 0, page_shift, policy, 0);
            match layout.map(|layout| layout.first_shared - layout.first_pool) {
                Some(got) if got == pool => return layout,
                // Each frame more adds less than one to the bookkeeping, so no number is passed over.
                Some(got) => frames += u64::from(pool - got),
                None => frames += 1,
            }
            u32::try_from(frames).ok()?;
        }
    }
}

/// The parts of the static bookkeeping that only the pager's lock gives access to.
pub struct Tables {
    /// The policy's lists: a node for each frame and each ghost.
    pub nodes: &'static mut [Node],
    /// The pages that the policy remembers.
    pub ghosts: &'static mut [Ghost],
    /// Which frames are in use.
    pub free: &'static mut [u64],
    /// Which slots are in use.
    pub swap: &'static mut [u64],
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
    /// Makes the memory file and maps the engine view.
    pub fn new(layout: Layout) -> Result<(Arena, Tables)> {
        let len = (layout.frames as usize) << layout.page_shift;
        let fd = file::memory_file(c"vmalloc-arena", len as u64)?;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let view = unsafe { memory::map(None, len, Protection::ReadWrite, fd, 0)? };
        let arena = Arena { layout, file: Descriptor::new(fd), handle: AtomicUsize::new(0), view };
        arena.keep_out_of_cores();
        // SAFETY: the layout keeps the four arrays apart and inside the static bookkeeping, which is
        // fresh zeros, valid for all four, mapped for ever; only this call makes references to them.
        let tables = unsafe {
            Tables {
                nodes: core::slice::from_raw_parts_mut(
                    (view + layout.nodes) as *mut Node,
                    layout.frames as usize + layout.ghosts as usize,
                ),
                ghosts: core::slice::from_raw_parts_mut((view + layout.remembered) as *mut Ghost, layout.ghosts as usize),
                free: core::slice::from_raw_parts_mut((view + layout.free) as *mut u64, bitmap::words_for(layout.frames)),
                swap: core::slice::from_raw_parts_mut((view + layout.swap) as *mut u64, bitmap::words_for(layout.slots)),
            }
        };
        Ok((arena, tables))
    }

    /// The layout.
    #[inline]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Bytes in a page.
    #[inline]
    pub fn page(&self) -> usize {
        1 << self.layout.page_shift
    }

    /// The memory file; none if the memory has no name.
    pub fn file(&self) -> &Descriptor {
        &self.file
    }

    /// Maps `len` bytes of frames, from `frame` on, to the program view at `at`.
    ///
    /// # Safety
    /// The range must be the caller's.
    pub unsafe fn show(&self, at: usize, len: usize, protection: Protection, frame: u32) -> Result<()> {
        let offset = self.offset(frame);
        if let Some(handle) = self.handle() {
            // SAFETY: the caller's promise.
            return unsafe { memory::map_again(handle + offset as usize, at, len, protection) };
        }
        // SAFETY: the caller's promise.
        self.file.lend(|fd| unsafe { memory::map(Some(at), len, protection, fd, offset) }).map(|_| ())
    }

    /// The same, with the page tables filled at once.
    ///
    /// # Safety
    /// As [`Arena::show`].
    pub unsafe fn show_populated(&self, at: usize, len: usize, frame: u32) -> Result<()> {
        let offset = self.offset(frame);
        if let Some(handle) = self.handle() {
            // SAFETY: the caller's promise.
            return unsafe { memory::map_again(handle + offset as usize, at, len, Protection::ReadWrite) };
        }
        // SAFETY: the caller's promise.
        self.file.lend(|fd| unsafe { memory::map_populated(at, len, fd, offset) }).map(|_| ())
    }

    fn handle(&self) -> Option<usize> {
        // Relaxed: stored before the process has a second thread.
        Some(self.handle.load(Ordering::Relaxed)).filter(|handle| *handle != 0)
    }

    /// The address of a frame in the engine view.
    #[inline]
    pub fn view(&self, frame: u32) -> usize {
        self.view + ((frame as usize) << self.layout.page_shift)
    }

    /// What doors call a frame: its place in the pool, from 0 on.
    #[inline]
    pub fn number(&self, frame: u32) -> u32 {
        frame - self.layout.first_pool
    }

    /// The offset of a frame in the memory file.
    #[inline]
    pub fn offset(&self, frame: u32) -> u64 {
        u64::from(frame) << self.layout.page_shift
    }

    /// What is known of a frame.
    #[inline]
    pub fn frame(&self, number: u32) -> &Frame {
        let number = number.min(self.layout.frames - 1) as usize;
        // SAFETY: the frame table begins the view, has an entry for each frame, and all its fields
        // are atomics for which zeros are valid.
        unsafe { &*(self.view as *const Frame).add(number) }
    }

    /// Which frames hold retained pages: one bit a frame, a hint only.
    pub fn retained(&self) -> &[AtomicU64] {
        let at = (self.view + self.layout.retained) as *const AtomicU64;
        // SAFETY: the layout reserves these words for this map, and all access is atomic.
        unsafe { core::slice::from_raw_parts(at, bitmap::words_for(self.layout.frames)) }
    }

    /// The granule words of the shared region, and one more.
    pub fn shared_words(&self) -> &[AtomicU64] {
        let at = (self.view + self.layout.shared_words) as *const AtomicU64;
        // SAFETY: the layout reserves these words for this, and all access is atomic.
        unsafe { core::slice::from_raw_parts(at, self.shared_len() / 512 + 1) }
    }

    /// Bytes of the shared region, which begins at the frame `first_shared`.
    pub fn shared_len(&self) -> usize {
        ((self.layout.frames - self.layout.first_shared) as usize) << self.layout.page_shift
    }

    /// Whether all bytes of a frame are zero.
    pub fn is_zero(&self, frame: u32) -> bool {
        let words = self.page() / 64;
        let at = self.view(frame) as *const [u64; 8];
        // SAFETY: a whole frame of the view; its page is mapped nowhere else while somebody asks.
        let chunks = unsafe { core::slice::from_raw_parts(at, words) };
        chunks.iter().all(|c| c.iter().fold(0, |a, b| a | b) == 0)
    }

    /// Makes all bytes of `n` frames zero.
    pub fn clear(&self, frame: u32, n: u32) {
        let len = (n as usize) << self.layout.page_shift;
        // SAFETY: whole frames of the view that the caller has taken and nobody else uses.
        unsafe { core::ptr::write_bytes(self.view(frame) as *mut u8, 0, len) }
    }

    /// Makes the bytes `at .. at + len` of a frame zero.
    pub fn clear_part(&self, frame: u32, at: usize, len: usize) {
        let page = 1usize << self.layout.page_shift;
        if at < page && len <= page - at {
            // SAFETY: a part of a frame whose token the caller holds; nobody uses these bytes.
            unsafe { core::ptr::write_bytes((self.view(frame) + at) as *mut u8, 0, len) }
        }
    }

    /// In a child process: continues on `copy`, with the engine view remapped.
    ///
    /// # Safety
    /// The copy must hold everything that is in use, and no other thread may run.
    pub unsafe fn continue_on(&self, copy: Medium) -> Result<()> {
        let len = (self.layout.frames as usize) << self.layout.page_shift;
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
        let len = (self.layout.frames as usize) << self.layout.page_shift;
        // SAFETY: the view is ours, and the advice changes no contents.
        let _ = unsafe { memory::advise(self.view, len, libc::MADV_DONTDUMP) };
    }

    /// Gives everything back to the system.
    ///
    /// # Safety
    /// Nobody uses a frame, the engine view or the tables any more.
    pub unsafe fn dissolve(&self) {
        let len = (self.layout.frames as usize) << self.layout.page_shift;
        // SAFETY: the caller's promise.
        let _ = unsafe { memory::unmap(self.view, len) };
        self.file.replace(-1).into_iter().for_each(file::close);
    }

    /// All bytes of `n` frames, for a snapshot.
    pub fn bytes(&self, frame: u32, n: u32) -> (usize, usize) {
        (self.view(frame), (n as usize) << self.layout.page_shift)
    }
}
