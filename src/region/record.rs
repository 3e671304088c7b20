//! The record of a region: its gate and heap, who owns it, and how much of its bookkeeping has frames.
//!
//! The record lies in the region's first bookkeeping frame. A thread owns at most one region; when it
//! ends, the region is abandoned: its blocks stay valid, others free them, and when they are gone a
//! new thread takes the region over.

use super::outlook::Outlook;
use super::span::RECORD;
use crate::heap::Heap;
use crate::index::{AtomicLink, RegionNumber};
use crate::sync::Gate;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Who owns a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Nobody: the next thread may take it over.
    Nobody,
    /// This thread.
    Thread(u32),
    /// Everybody, with its gate closed or by a door's own rules; nobody takes it over.
    Everybody,
    /// The door itself, for what is no thread's; used as everybody's.
    Library,
}

impl Owner {
    const fn pack(self) -> u32 {
        match self {
            Owner::Nobody => 0,
            Owner::Thread(number) => number.wrapping_add(1),
            Owner::Everybody => u32::MAX,
            Owner::Library => u32::MAX - 1,
        }
    }

    const fn unpack(word: u32) -> Owner {
        const LIBRARY: u32 = u32::MAX - 1;
        match word {
            0 => Owner::Nobody,
            u32::MAX => Owner::Everybody,
            LIBRARY => Owner::Library,
            word => Owner::Thread(word - 1),
        }
    }
}

/// The record of a region. All zero: a region that nobody owns, with an empty heap.
///
/// What other threads write has a cache line of its own: the owner writes the gate all the time.
#[repr(C)]
pub struct Region {
    /// Blocks that other threads freed since the owner last collected them.
    freed_blocks: AtomicU64,
    /// In which groups (modulo 64) they lie.
    freed_groups: AtomicU64,
    /// An [`Owner`].
    owner: AtomicU32,
    /// The number of the region.
    number: AtomicU32,
    /// Groups of the page table that have frames.
    groups: AtomicU32,
    /// The next region without an owner, in the engine's list.
    next: AtomicLink<RegionNumber>,
    /// Whether the region is in that list.
    listed: AtomicU32,
    /// Whether the owner took the region over with blocks of an earlier one.
    inherited: AtomicU32,
    /// Which pages of the shelves have frames, a bit each.
    shelves: AtomicU32,
    /// Bytes of record and page table that have frames.
    table: AtomicUsize,
    /// How pages are seen and kept, if not as usual.
    outlook: AtomicPtr<Outlook>,
    own: Own,
}

/// What only the holder of the gate writes, and the gate.
#[repr(C, align(64))]
struct Own(Gate<Heap>);

const _: () = assert!(size_of::<Region>() <= RECORD);

impl Region {
    /// Who may touch the heap, and the heap.
    #[inline(always)]
    pub fn gate(&self) -> &Gate<Heap> {
        &self.own.0
    }

    /// The number of the region.
    pub fn number(&self) -> RegionNumber {
        // Relaxed: written before the region exists for anybody.
        RegionNumber::new(self.number.load(Ordering::Relaxed))
    }

    /// Who owns the region.
    pub fn owner(&self) -> Owner {
        // Acquire: pairs with the release in `set_owner`.
        Owner::unpack(self.owner.load(Ordering::Acquire))
    }

    /// Says who owns the region from now on.
    pub fn set_owner(&self, owner: Owner) {
        // Release: pairs with the acquire in `owner`.
        self.owner.store(owner.pack(), Ordering::Release);
    }

    /// Whether the owner took the region over with blocks of an earlier one.
    pub fn is_inherited(&self) -> bool {
        // Relaxed: the owner asks for itself.
        self.inherited.load(Ordering::Relaxed) != 0
    }

    /// Says whether it did.
    pub fn set_inherited(&self, inherited: bool) {
        self.inherited.store(u32::from(inherited), Ordering::Relaxed);
    }

    /// How pages are seen and kept; `None`: as frames mapped at the page's address, and in the swap device.
    #[inline]
    pub fn outlook(&self) -> Option<&'static Outlook> {
        // Acquire: pairs with the release in `set_outlook`.
        let outlook = self.outlook.load(Ordering::Acquire);
        // SAFETY: null, or what `set_outlook` was given for ever.
        unsafe { outlook.as_ref() }
    }

    /// Says how pages are seen and kept. The region has no pages.
    pub fn set_outlook(&self, outlook: Option<&'static Outlook>) {
        let outlook = outlook.map_or(core::ptr::null_mut(), |outlook| core::ptr::from_ref(outlook).cast_mut());
        // Release: pairs with the acquire in `outlook`.
        self.outlook.store(outlook, Ordering::Release);
    }

    // What other threads freed.

    /// Another thread has noted a freed block in `group`: how many wait now.
    pub fn note_freed(&self, group: u64) -> u64 {
        let bit = 1u64 << (group % 64);
        // The load spares a shared cache line.
        if self.freed_groups.load(Ordering::Relaxed) & bit == 0 {
            // AcqRel: pairs with the swap in `take_freed_groups`.
            self.freed_groups.fetch_or(bit, Ordering::AcqRel);
        }
        // Relaxed: a number to decide by.
        self.freed_blocks.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether blocks wait to be collected.
    pub fn has_freed(&self) -> bool {
        self.freed_blocks.load(Ordering::Relaxed) > 0
    }

    /// In which groups (modulo 64) they lie; from now on in none.
    pub fn take_freed_groups(&self) -> u64 {
        // AcqRel: pairs with `note_freed`.
        self.freed_groups.swap(0, Ordering::AcqRel)
    }

    /// So many were collected.
    pub fn note_collected(&self, blocks: u64) {
        self.freed_blocks.fetch_sub(blocks, Ordering::Relaxed);
    }

    // The list of regions without owners; its lock is held.

    /// Enters the region in the list, before `next`; false if it is in it.
    pub fn enlist(&self, next: Option<RegionNumber>) -> bool {
        // Relaxed, here and below: the lock orders them.
        let new = self.listed.swap(1, Ordering::Relaxed) == 0;
        if new {
            self.next.store(next, Ordering::Relaxed);
        }
        new
    }

    /// Takes the region off the list; the one behind it.
    pub fn delist(&self) -> Option<RegionNumber> {
        self.listed.store(0, Ordering::Relaxed);
        self.next.swap(None, Ordering::Relaxed)
    }

    // Bookkeeping that has frames; the gate's holder writes.

    /// A new region whose record, of one page, has a frame.
    pub fn begin(&self, number: RegionNumber, page_size: usize) {
        // Relaxed: nobody knows the region yet.
        self.number.store(number.get(), Ordering::Relaxed);
        self.gate().reset();
        self.table.store(page_size, Ordering::Relaxed);
    }

    /// As [`Region::begin`], for one that was closed: everything that was known of pages and blocks is forgotten.
    pub fn begin_again(&self, page_size: usize) {
        // Relaxed: nobody uses the region.
        self.groups.store(0, Ordering::Relaxed);
        self.shelves.store(0, Ordering::Relaxed);
        self.table.store(page_size, Ordering::Relaxed);
    }

    /// Groups of the page table that have frames.
    #[inline]
    pub fn groups(&self) -> u64 {
        // Acquire: pairs with the release in `set_groups`.
        u64::from(self.groups.load(Ordering::Acquire))
    }

    /// So many have now.
    pub fn set_groups(&self, groups: u64) {
        // Release: pairs with `groups` of other threads.
        self.groups.store(groups as u32, Ordering::Release);
    }

    /// Bytes of record and page table that have frames.
    pub fn table(&self) -> usize {
        // Relaxed, here and in the three below: only the gate's holder asks and writes.
        self.table.load(Ordering::Relaxed)
    }

    /// So many have now.
    pub fn set_table(&self, bytes: usize) {
        self.table.store(bytes, Ordering::Relaxed);
    }

    /// Whether page `page` of the shelves has a frame.
    pub fn has_shelf(&self, page: usize) -> bool {
        self.shelves.load(Ordering::Relaxed) & 1 << page != 0
    }

    /// It has now.
    pub fn set_shelf(&self, page: usize) {
        self.shelves.fetch_or(1 << page, Ordering::Relaxed);
    }

    /// Whether any page of the shelves has a frame.
    pub fn has_shelves(&self) -> bool {
        self.shelves.load(Ordering::Relaxed) != 0
    }

    /// It has none any more.
    pub fn forget_shelf(&self, page: usize) {
        self.shelves.fetch_and(!(1 << page), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_survive_packing() {
        for owner in [Owner::Nobody, Owner::Thread(0), Owner::Thread(7), Owner::Everybody, Owner::Library] {
            assert_eq!(Owner::unpack(owner.pack()), owner);
        }
    }
}
