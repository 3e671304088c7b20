//! Bookkeeping that grows with the heap: page table, granule words, words of freed blocks, shelves. It gets its frames from
//! the pool and keeps them, but for those of granule words and shelves of regions without blocks when memory is short; in an engine for who counts it lies in memory beside the arena. What has no frame yet is a
//! read-only mapping of nothing, which reads as zeros, and zeros mean `Void` and free.

use super::place::Place;
use crate::engine::Engine;
use crate::frames::User;
use crate::index::FrameIndex;
use crate::page::table::{Group, GROUP_PAGES};
use crate::region::RECORD;
use crate::sys::memory::{self, Protection};
use crate::sys::thread::{self, Quiet};

impl Place {
    /// See [`Ground::back`](crate::heap::Ground::back).
    pub(crate) fn back_groups(&self, page: u64, n: u64, with_granules: bool) -> bool {
        let (engine, region) = (self.engine, self.region);
        let groups = (page + n).div_ceil(GROUP_PAGES);
        if groups > region.groups() {
            let wanted = RECORD + groups as usize * size_of::<Group>();
            while region.table() < wanted {
                if !engine.map_bookkeeping(self.base + engine.span().heap + region.table()) {
                    return false;
                }
                region.set_table(region.table() + engine.page_size());
            }
            region.set_groups(groups);
        }
        if !with_granules {
            return true;
        }
        (page / GROUP_PAGES..groups).all(|number| {
            let group = self.group_at(number);
            let at = self.base + engine.span().granules + number as usize * engine.page_size();
            group.has(Group::BITS)
                || (engine.map_bookkeeping(at) && {
                    group.mark(Group::BITS);
                    true
                })
        })
    }

    /// Gives entry `number` of the shelves a frame: false when frames are not plentiful, which they are until the
    /// first page is absent.
    pub(crate) fn back_shelf_entry(&self, number: usize) -> bool {
        let (engine, region) = (self.engine, self.region);
        if engine.is_armed() {
            return false;
        }
        let page = (number * size_of::<u32>()) >> engine.page_shift();
        if !region.has_shelf(page) {
            if !engine.map_bookkeeping(self.base + engine.span().shelves + (page << engine.page_shift())) {
                return false;
            }
            region.set_shelf(page);
        }
        true
    }

    /// Makes room to note blocks that other threads free in the group of page `page`. The caller keeps
    /// all others out of the region.
    pub fn back_freed(&self, page: u64) -> bool {
        let pair = (page / GROUP_PAGES) & !1;
        let at = self.base + self.engine.span().freed + (pair / 2) as usize * self.engine.page_size();
        let done = self.group_at(pair).has(Group::FREED);
        if !done && !self.engine.map_bookkeeping(at) {
            return false;
        }
        self.group_at(pair).mark(Group::FREED);
        true
    }

    /// Whether blocks in the group of page `page` can be noted as freed.
    #[inline]
    pub fn can_note_freed(&self, page: u64) -> bool {
        self.group_at((page / GROUP_PAGES) & !1).has(Group::FREED)
    }
}

impl Place {
    /// Gives back the frames of granule words and shelves, which all say that there is nothing: no block lies in the region, live or
    /// parked. The caller keeps all others out.
    pub(crate) fn unback_blocks(&self) {
        let (engine, region) = (self.engine, self.region);
        let has_words = (0..region.groups()).any(|number| self.group_at(number).has(Group::BITS));
        if engine.is_exact() || !(has_words || region.has_shelves()) {
            return;
        }
        let (span, shift) = (engine.span(), engine.page_shift());
        let (granules, shelves) =
            (self.base + span.granules..self.base + span.freed, self.base + span.shelves..self.base + span.len);
        for frame in engine.frames().all_from(0) {
            match engine.frames().frame(frame).user() {
                User::Bookkeeping(at) if granules.contains(&at) => {
                    self.group_at(((at - granules.start) >> shift) as u64).forget_bits();
                    engine.unmap_bookkeeping(at, frame);
                }
                User::Bookkeeping(at) if shelves.contains(&at) => {
                    region.forget_shelf((at - shelves.start) >> shift);
                    engine.unmap_bookkeeping(at, frame);
                }
                _ => {}
            }
        }
    }
}

impl Engine {
    /// Takes the frame of the bookkeeping page at `at` back; the page reads as zeros, which it did before.
    fn unmap_bookkeeping(&'static self, at: usize, frame: FrameIndex) {
        let quiet = Quiet::begin();
        // SAFETY: bookkeeping space of a region of ours, whose bytes are all zero or say nothing.
        while unsafe { memory::unback(at, self.page_size(), Protection::Read) }.is_err() {
            // Close to the limit of mappings it may take a moment.
            thread::nap();
        }
        self.frames().forget_bookkeeping();
        self.frames().give(frame, 1, &quiet);
        self.charge().give(1);
    }

    /// Gives the bookkeeping page at `at` a frame.
    pub(crate) fn map_bookkeeping(&'static self, at: usize) -> bool {
        if self.is_exact() {
            // SAFETY: the address is bookkeeping space of a region of ours that nothing backs yet.
            return unsafe { memory::unback(at, self.page_size(), Protection::ReadWrite) }.is_ok();
        }
        let _stack = self.keep_stack();
        if !self.frames().has_room_for_bookkeeping() || !self.take_promises(1) {
            return false;
        }
        // Until the frame has its user: a handler of the program may fork, which waits for that.
        let quiet = Quiet::begin();
        let Some(frame) = self.obtain_frame(&quiet).map(|obtained| obtained.frame) else {
            self.charge().give(1);
            return false;
        };
        let arena = self.frames().arena();
        arena.clear(frame);
        // SAFETY: the address is bookkeeping space of a region of ours that has no frame yet.
        if unsafe { arena.map_frames(at, self.page_size(), Protection::ReadWrite, frame, false) }.is_err() {
            self.frames().give(frame, 1, &quiet);
            self.charge().give(1);
            return false;
        }
        self.frames().note_bookkeeping(frame, at);
        true
    }

    /// Promises `n` pages: takes them from the commit charge, with the slots reserved that they may need.
    pub(crate) fn take_promises(&self, n: u64) -> bool {
        let Some(promised) = self.charge().take(n) else {
            return false;
        };
        let slots = self.charge().slots_for(promised);
        if slots > 0 && !self.swap().reserve_for(slots, promised, self.frames().len(), self.is_exact()) {
            self.charge().give(n);
            return false;
        }
        true
    }
}
