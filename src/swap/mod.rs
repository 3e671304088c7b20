//! Swap: which slots are in use, and the device in which their bytes lie.
//!
//! A slot is in use from the eviction that writes it until its page is freed, or changes so that the copy is
//! stale. Slots are handed out next-fit, so that pages evicted one after the other lie one after the other.
//!
//! Slots can be used once their space is reserved, which is done before they are promised ([`Swap::reserve_for`]): as many
//! as that takes and some more. So a program that could use much disk takes no more than it uses, and its children neither.
//!
//! Two locks, taken in this order: `growing`, for reserving, and `slots`, for the map. No lock is held during a transfer.
//!
//! The files stand in their order, each using only those above it.

mod device;
mod file;
mod memory;

pub use device::{Run, SwapDevice};
pub use file::{SwapFile, PATH_MAX};
pub use memory::SwapMemory;

use crate::bitmap::{Bitmap, BitmapState};
use crate::descriptor::Descriptor;
use crate::index::Slot;
use crate::report::say;
use crate::sync::{Guard, Lock};
use crate::sys::medium::{is_beyond_limit, is_forbidden, Medium};
use crate::sys::thread::Quiet;
use crate::sys::{Errno, Result};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Slots that are reserved beyond those needed at once, on a disk that is nearly full.
const LITTLE: u64 = 1024;

/// Which slots are in use.
struct Map {
    words: &'static mut [u64],
    state: BitmapState,
}

impl Map {
    fn map(&mut self) -> Bitmap<'_> {
        Bitmap::new(self.words, &mut self.state)
    }
}

/// The swap space of an engine.
pub struct Swap {
    /// The device that was handed in. Without one, slots lie in a file.
    given: Option<&'static dyn SwapDevice>,
    /// Here is a child process of the one that the device was handed to: it keeps its slots apart.
    has_left: AtomicBool,
    file: SwapFile,
    memory: SwapMemory,
    growing: Lock<()>,
    slots: Lock<Map>,
    /// Slots that may be used, so many from the first on; those that are free of them.
    reserved: AtomicU64,
    free: AtomicU32,
    /// There was no room for more slots than were needed at once.
    cramped: AtomicBool,
    /// All slots that there can be.
    len: u32,
    page_shift: u32,
    complaints: AtomicU32,
}

/// What is in use, and was at the most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotsInUse {
    /// Now.
    pub used: u32,
    /// At the most.
    pub peak: u32,
}

impl Swap {
    /// `len` slots on the device that is given, which is ready for them, or in a file that is made in `dir`. `words` are the map's.
    pub fn new(
        given: Option<&'static dyn SwapDevice>,
        dir: &[u8],
        len: u32,
        page_shift: u32,
        words: &'static mut [u64],
    ) -> core::result::Result<Swap, NoSwap> {
        let bytes = u64::from(len) << page_shift;
        let file = SwapFile::new(dir, bytes).ok_or(NoSwap::DirTooLong)?;
        if given.is_none() && len > 0 {
            file.open().map_err(NoSwap::Dir)?;
        }
        Ok(Swap {
            given,
            has_left: AtomicBool::new(false),
            file,
            memory: SwapMemory::new(bytes as usize),
            growing: Lock::new(()),
            slots: Lock::new(Map { words, state: BitmapState::new(0) }),
            reserved: AtomicU64::new(0),
            free: AtomicU32::new(0),
            cramped: AtomicBool::new(false),
            len,
            page_shift,
            complaints: AtomicU32::new(0),
        })
    }

    /// Our descriptors: the file and its directory.
    pub fn descriptors(&self) -> [&Descriptor; 2] {
        self.file.descriptors()
    }

    /// The device in use.
    fn device(&self) -> &dyn SwapDevice {
        match self.given {
            // Relaxed: changed while the child has one thread.
            Some(device) if !self.has_left.load(Ordering::Relaxed) => device,
            _ if self.memory.is_open() => &self.memory,
            _ => &self.file,
        }
    }

    /// Here is a child for which no device could be made at the fork.
    fn lacks_device(&self) -> bool {
        let left = self.given.is_none() || self.has_left.load(Ordering::Relaxed);
        left && !self.memory.is_open() && !self.file.is_open()
    }

    fn run(&self, first: Slot, n: u32) -> Run {
        Run { first, n, page_shift: self.page_shift }
    }

    // Slots.

    /// Up to `most` free slots that are neighbours.
    pub fn take_run(&self, most: u32, quiet: &Quiet) -> Option<(Slot, u32)> {
        let (first, n) = self.slots.hold_in(quiet).map().take_run(most)?;
        self.free.fetch_sub(n, Ordering::Relaxed);
        Some((Slot::new(first), n))
    }

    /// A slot is free again.
    pub fn give(&self, slot: Slot) {
        self.give_run(slot, 1);
    }

    /// `n` slots from `first` on are free again.
    pub fn give_run(&self, first: Slot, n: u32) {
        // First, while the slots are nobody else's.
        self.device().discard(self.run(first, n));
        let given = self.slots.hold().map().give(first.get(), n);
        debug_assert!(given, "slots from {first} on were not in use");
        self.free.fetch_add(if given { n } else { 0 }, Ordering::Relaxed);
    }

    /// Slots that are free at this moment.
    pub fn free(&self) -> u32 {
        // Relaxed: a hint, which `take` settles.
        self.free.load(Ordering::Relaxed)
    }

    /// All slots that there can be.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is no swap space.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Slots in use.
    pub fn in_use(&self) -> SlotsInUse {
        let mut slots = self.slots.hold();
        let map = slots.map();
        SlotsInUse { used: map.state().used(), peak: map.state().peak() }
    }

    // Space.

    /// Whether slots have been reserved at all: whether a page may be in one.
    pub fn is_in_use(&self) -> bool {
        self.reserved() > 0
    }

    fn reserved(&self) -> u64 {
        // Acquire: pairs with the release in `reserve`.
        self.reserved.load(Ordering::Acquire)
    }

    /// Whether `least` slots are reserved, which is done here if they are not; for `pages` promised pages in all, with `frames`
    /// frames. With as many slots as there are pages, clean ones can keep theirs. With `all`, every slot is reserved at once.
    pub fn reserve_for(&self, least: u64, pages: u64, frames: u32, all: bool) -> bool {
        let most = u64::from(self.len);
        let wanted = if self.cramped.load(Ordering::Relaxed) { least } else { pages.min(most) };
        if self.reserved() >= wanted {
            return true;
        }
        // The double, if there is room for it.
        let plenty = if all { most } else { 2 * (least + u64::from(frames)) };
        let growing = self.growing.hold();
        let mut done = Ok(());
        for slots in [plenty, least + LITTLE, least] {
            done = self.reserve(slots.min(most));
            if done.is_ok() {
                break;
            }
            self.cramped.store(true, Ordering::Relaxed);
        }
        drop(growing);
        if let Err(error) = done {
            let had = (self.reserved() << self.page_shift) / 1024;
            self.complain(format_args!("cannot reserve more than {had}K"), error, ": no more memory");
        }
        done.is_ok()
    }

    /// Reserves the first `slots` slots, with `growing` held.
    fn reserve(&self, slots: u64) -> Result<()> {
        let had = self.reserved();
        if had >= slots {
            return Ok(());
        }
        let (from, to) = (had << self.page_shift, slots << self.page_shift);
        if self.lacks_device() {
            let own = self.make_another(to)?;
            self.continue_on(Some(own));
        } else {
            self.device().reserve(from, to)?;
        }
        // Release: pairs with `reserved`.
        self.reserved.store(slots, Ordering::Release);
        self.slots.hold().state.grow(slots as u32);
        self.free.fetch_add((slots - had) as u32, Ordering::Relaxed);
        Ok(())
    }

    // Bytes.

    /// Reads the slots from `first` on to these addresses.
    ///
    /// # Safety
    /// A page at each address is writable, and nobody else uses it.
    pub unsafe fn read(&self, first: Slot, pages: &[usize]) -> Result<()> {
        // SAFETY: the pages are the caller's alone, as it promises.
        unsafe { self.device().read(self.run(first, pages.len() as u32), pages) }
            .inspect_err(|error| self.complain(format_args!("cannot read slot {first}"), *error, ""))
    }

    /// Writes the pages at these addresses to the slots from `first` on.
    ///
    /// # Safety
    /// A page at each address is readable, and nobody changes it meanwhile.
    pub unsafe fn write(&self, first: Slot, pages: &[usize]) -> Result<()> {
        // SAFETY: the pages are at rest, as the caller promises.
        unsafe { self.device().write(self.run(first, pages.len() as u32), pages) }
            .inspect_err(|error| self.complain(format_args!("cannot write slot {first}"), *error, ""))
    }

    /// Says that something failed: the first time, and then ever more seldom.
    fn complain(&self, what: core::fmt::Arguments<'_>, error: Errno, so: &str) {
        if (self.complaints.fetch_add(1, Ordering::Relaxed) + 1).is_power_of_two() {
            say(format_args!("{what} of the swap file in {}: error {}{so}", self.device().name(), error.0));
        }
    }

    // fork.

    /// Nobody reserves slots while this is held.
    pub fn hold_growing(&self) -> Growing<'_> {
        Growing(self.growing.hold())
    }

    /// Holds the other lock too: nobody takes or gives slots.
    pub fn freeze<'s>(&'s self, growing: Growing<'s>) -> FrozenSlots<'s> {
        FrozenSlots { swap: self, slots: self.slots.hold(), _growing: growing }
    }

    fn make_another(&self, bytes: u64) -> Result<Medium> {
        if self.given.is_some() {
            return Medium::nameless(u64::from(self.len) << self.page_shift);
        }
        match self.file.another(bytes) {
            Ok(fd) => Ok(Medium::File(fd)),
            Err(error) if is_forbidden(error) => {
                say(format_args!(
                    "no swap file may be made in {} (error {}): a child's swap is memory",
                    self.file.name(),
                    error.0
                ));
                Medium::nameless(u64::from(self.len) << self.page_shift)
            }
            // As natively, where all of the child's memory is memory.
            Err(error) if is_beyond_limit(error) => Medium::nameless(u64::from(self.len) << self.page_shift),
            Err(error) => Err(error),
        }
    }

    /// In a child process: continues on `own`, or on none until slots are reserved.
    pub fn continue_on(&self, own: Option<Medium>) {
        let (fd, at) = match own {
            Some(Medium::File(fd)) => (fd, 0),
            Some(Medium::Memory { at, .. }) => (-1, at),
            None => (-1, 0),
        };
        self.has_left.store(true, Ordering::Relaxed);
        self.file.continue_on(fd);
        self.memory.continue_on(at);
    }

    /// Closes everything; what was made beside stays, and a device that was handed in is whose it was.
    pub fn close(&self) {
        self.file.close();
        self.memory.continue_on(0);
    }
}

/// Why there is no swap space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoSwap {
    /// The directory's name is too long.
    DirTooLong,
    /// The directory cannot hold the file.
    Dir(Errno),
}

/// The right to reserve slots.
pub struct Growing<'s>(#[allow(dead_code)] Guard<'s, ()>);

/// The swap space, at rest for a fork.
pub struct FrozenSlots<'s> {
    swap: &'s Swap,
    slots: Guard<'s, Map>,
    _growing: Growing<'s>,
}

impl FrozenSlots<'_> {
    /// Slots in use.
    pub fn used(&mut self) -> u32 {
        self.slots.map().state().used()
    }

    /// What a child continues on: a device of its own with a copy of the slots in use. That none can be made is an error
    /// only if this one is in use.
    pub fn copy_for_child(&mut self) -> Result<Option<Medium>> {
        let reserved = self.swap.reserved() << self.swap.page_shift;
        if reserved == 0 {
            return Ok(self.swap.file.create().ok().map(Medium::File));
        }
        let to = self.swap.make_another(reserved)?;
        match self.copy(to) {
            Ok(()) => Ok(Some(to)),
            Err(error) => {
                to.close();
                Err(error)
            }
        }
    }

    fn copy(&mut self, to: Medium) -> Result<()> {
        const MOST: u32 = 4096;
        let mut next = 0;
        let map = self.slots.map();
        while let Some(first) = map.next_used(next) {
            let mut n = 1;
            while n < MOST && map.next_used(first + n) == Some(first + n) {
                n += 1;
            }
            self.swap.device().copy_to(to, self.swap.run(Slot::new(first), n))?;
            next = first + n;
        }
        Ok(())
    }
}
