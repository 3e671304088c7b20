//! The threads of the process as this library knows them.
//!
//! Each thread has a record in memory that is never paged and never unmapped: records of ended
//! threads are used again, so whoever walks the registry always looks at a record. A thread finds its
//! own through one word of initial-exec TLS (`current.rs`), which costs two loads and never allocates. Behind the
//! record lies the thread's alternate signal stack: the program's own stacks may lie in paged memory.

mod area;
mod current;

use super::{gauges, room};
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU8, Ordering};
use vmcore::engine::Engine;
use vmcore::events::stats::{Counter, Counters};
use vmcore::pager::Place;
use vmcore::region::Region;
use vmcore::sync::Lock;
use vmcore::sys::memory::{self, Protection};
use vmcore::sys::thread::{self as sys, Quiet};

pub use area::{Area, PerThread};
use current::set_current;
pub use current::{current, storage_offset};

/// Bytes of a record.
const RECORD: usize = 4096;

/// What this library keeps of one thread. A record whose bytes are all zero belongs to no thread.
#[repr(C)]
pub struct Thread {
    /// Syscall User Dispatch reads this byte at every system call: 0 lets it pass, 1 traps it.
    pub selector: AtomicU8,
    /// The thread's number: main is 0.
    pub number: AtomicU32,
    /// The kernel's number of the thread; 0 while the record is of no use.
    pub tid: AtomicU32,
    /// The thread's region, or null while it has none.
    pub region: AtomicPtr<Region>,
    /// The thread's region while `region` is null because nothing is to be taken from it.
    withheld: AtomicPtr<Region>,
    /// Why that is so.
    reason: Cell<Withheld>,
    /// What the thread counted.
    pub counters: Counters,
    /// What the floor `guard` keeps for this thread.
    pub(crate) guard_area: Area<2560>,
    /// What the floor `signals` keeps for this thread.
    pub(crate) signals_area: Area<512>,
    /// Bytes allocated minus freed that the process's gauge knows of.
    pub reported: Cell<i64>,
    /// Rounds of thread-specific destructors that this thread has seen.
    pub farewells: Cell<u32>,
    /// The thread has no region any more, and is about to end.
    pub left: AtomicBool,
    /// Nobody will say when this thread ends: whoever needs a record looks whether it is still there.
    pub unannounced: AtomicBool,
    /// The creator has not yet seen that this thread was born; the record is not to be used again.
    pub awaited: AtomicBool,
    next: AtomicPtr<Thread>,
}

const _: () = assert!(size_of::<Thread>() <= RECORD);

// SAFETY: only the thread itself uses what is not atomic, and so it is with what lies in the areas.
unsafe impl Sync for Thread {}

/// Why a thread's requests are not met from its own region.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Withheld {
    /// They are.
    #[default]
    No,
    /// What is asked for is the library's own, for a moment.
    ForLibrary,
    /// The thread's memory was full, and is to stay so.
    Full,
}

/// Every record that was ever made, newest first.
static REGISTRY: AtomicPtr<Thread> = AtomicPtr::new(core::ptr::null_mut());
/// Guards the search for a record that is of no use.
static ENTRANCE: Lock<u32> = Lock::new(0);

/// Threads may have a record without finding it in their thread-local storage, which another thread
/// uses as well.
static SHARED_STORAGE: AtomicBool = AtomicBool::new(false);

/// A thread may have no storage of its own.
pub fn storage_is_shared() {
    SHARED_STORAGE.store(true, Ordering::Relaxed);
}

/// The record of the running thread, in a handler: also of a thread that shares another's thread-local
/// storage. A child that borrows its parent's record (vfork) gets that.
pub fn running() -> Option<&'static Thread> {
    let own = current();
    if !SHARED_STORAGE.load(Ordering::Relaxed) {
        return own;
    }
    let tid = sys::id();
    if own.is_some_and(|own| own.tid.load(Ordering::Relaxed) == tid) {
        return own;
    }
    all().find(|record| record.tid.load(Ordering::Relaxed) == tid).or(own)
}

/// Whether the running child borrows the record of its parent, which sleeps in vfork.
pub fn is_borrowed(record: &Thread) -> bool {
    record.tid.load(Ordering::Relaxed) != sys::id()
}

/// The number of the process that the records belong to.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// The process that the records belong to: not that of a child which shares our memory.
pub fn process() -> u32 {
    PROCESS.load(Ordering::Relaxed)
}

/// Whether the running process shares the memory of the one that the records belong to.
pub fn is_guest() -> bool {
    process() != sys::process_id()
}

/// Whether no other thread has a record.
pub fn is_alone() -> bool {
    all().count() <= 1
}

/// The records of all threads that run, in no order.
pub fn all() -> impl Iterator<Item = &'static Thread> {
    // Acquire: pairs with the release in `enter`.
    let mut at = REGISTRY.load(Ordering::Acquire);
    core::iter::from_fn(move || {
        // SAFETY: records live for ever.
        let record = unsafe { at.as_ref()? };
        at = record.next.load(Ordering::Acquire);
        Some(record)
    })
    .filter(|record| record.tid.load(Ordering::Acquire) != 0)
}

impl Thread {
    /// Whether the thread has said farewell: it goes on for a while in libc, which still frees, and may
    /// even allocate.
    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// The thread got a block of so many bytes.
    #[inline]
    pub fn note_allocated(&self, bytes: usize) {
        self.counters.count(Counter::MallocCalls);
        self.counters.add(Counter::MallocBytes, bytes as u64);
    }

    /// The thread freed a block of so many bytes.
    #[inline]
    pub fn note_freed(&self, bytes: usize) {
        self.counters.count(Counter::MallocFrees);
        self.counters.add(Counter::MallocBytesFreed, bytes as u64);
    }

    /// A block that the thread keeps has grown, or shrunk, by so many bytes.
    pub fn note_resized(&self, bytes: i64) {
        let counter = if bytes > 0 { Counter::MallocBytes } else { Counter::MallocBytesFreed };
        self.counters.add(counter, bytes.unsigned_abs());
    }

    /// Tells the process's gauge what the thread allocated and freed since the last time.
    pub fn report_bytes(&self) {
        let allocated = self.counters.get(Counter::MallocBytes);
        let net = allocated.wrapping_sub(self.counters.get(Counter::MallocBytesFreed)) as i64;
        gauges::note_bytes(net.wrapping_sub(self.reported.replace(net)));
    }

    /// The place of the thread's region, if it has one.
    #[inline(always)]
    pub fn place(&self, engine: &'static Engine) -> Option<Place> {
        // SAFETY: the engine never takes a region's record back.
        let region = unsafe { self.region.load(Ordering::Relaxed).as_ref()? };
        Some(engine.place_of(region))
    }

    /// Whether, and why, the thread is to be without its region from now on, so that all of its requests take the slow way, where
    /// the reason is looked at; what was so before.
    pub fn withhold(&self, reason: Withheld) -> Withheld {
        let before = self.reason.replace(reason);
        if (before == Withheld::No) != (reason == Withheld::No) {
            let (from, to) = if reason == Withheld::No { (&self.withheld, &self.region) } else { (&self.region, &self.withheld) };
            // Relaxed: only the thread itself uses either.
            to.store(from.swap(core::ptr::null_mut(), Ordering::Relaxed), Ordering::Relaxed);
        }
        before
    }

    /// Why the thread's requests are not met from its region.
    pub fn withheld(&self) -> Withheld {
        self.reason.get()
    }

    /// The region that belongs to the thread, whether it is used or withheld.
    pub fn own_region(&self) -> Option<&'static Region> {
        // SAFETY: the engine never takes a region's record back.
        unsafe { self.region.load(Ordering::Relaxed).as_ref().or(self.withheld.load(Ordering::Relaxed).as_ref()) }
    }

    /// The lower end of the alternate stack, whose parts `room.rs` measures.
    pub fn stack(&self) -> usize {
        core::ptr::from_ref(self) as usize + RECORD
    }
}

/// The running thread enters: it gets a record and a number. `None` when there is no memory for it.
pub fn enter() -> Option<&'static Thread> {
    if let Some(thread) = current() {
        return Some(thread);
    }
    if process() == 0 {
        PROCESS.store(sys::process_id(), Ordering::Relaxed);
    }
    // Whoever arms the guard may give it a record at any moment, and the thread finds that in a handler.
    let _quiet = Quiet::begin();
    let tid = sys::id();
    let given = current().or_else(|| all().find(|record| record.tid.load(Ordering::Acquire) == tid));
    let record = given.or_else(reserve)?;
    begin(record, true);
    Some(record)
}

/// What a record says of its thread before the thread exists.
const UNBORN: u32 = u32::MAX;

/// Whether a record waits for its thread to begin.
pub fn is_birth_under_way() -> bool {
    all().any(|record| record.tid.load(Ordering::Acquire) == UNBORN)
}

/// A record for a thread that will begin, with a number; `None` when there is no memory for it.
pub fn reserve() -> Option<&'static Thread> {
    let mut entered = ENTRANCE.hold();
    let mut at = REGISTRY.load(Ordering::Acquire);
    // SAFETY: records live for ever.
    while let Some(record) = unsafe { at.as_ref() } {
        // Acquire: pairs with `give_back`, and with the creator that has seen the last birth.
        if record.tid.load(Ordering::Acquire) == 0 && !record.awaited.load(Ordering::Acquire) {
            break;
        }
        at = record.next.load(Ordering::Acquire);
    }
    if at.is_null() {
        at = memory::reserve(RECORD + room::of_this_processor().whole(), Protection::ReadWrite).ok()? as *mut Thread;
        // SAFETY: fresh zeroed memory, large enough and valid as a record.
        let record = unsafe { &*at };
        record.next.store(REGISTRY.load(Ordering::Relaxed), Ordering::Relaxed);
        // Release: pairs with `all`.
        REGISTRY.store(at, Ordering::Release);
    }
    // SAFETY: as above.
    let record = unsafe { &*at };
    record.number.store(*entered, Ordering::Relaxed);
    *entered += 1;
    record.farewells.set(0);
    record.reported.set(0);
    record.left.store(false, Ordering::Relaxed);
    record.unannounced.store(false, Ordering::Relaxed);
    record.tid.store(UNBORN, Ordering::Release);
    Some(record)
}

/// The running thread is that of `record` from now on; it finds it in its thread-local storage if that
/// is its own.
pub fn begin(record: &'static Thread, own_storage: bool) {
    record.tid.store(sys::id(), Ordering::Release);
    if own_storage {
        set_current(record);
    } else {
        SHARED_STORAGE.store(true, Ordering::Relaxed);
    }
}

/// The record is free for another thread.
pub fn give_back(record: &Thread) {
    record.awaited.store(false, Ordering::Relaxed);
    // Release: pairs with `reserve` of the next user.
    record.tid.store(0, Ordering::Release);
}

/// The running thread's storage is new, and its record the old one.
pub fn keep_current(record: &'static Thread) {
    set_current(record);
}

/// In a child process: the calling thread, whose record is `own`, is the only one left.
///
/// # Safety
/// Called in a child before any other thread exists, by the copy of the thread that forked.
pub unsafe fn survive_fork(own: Option<&Thread>) {
    // SAFETY: no other thread exists in the child, as the caller promises, so nobody holds the lock.
    unsafe { ENTRANCE.reset() };
    PROCESS.store(sys::process_id(), Ordering::Relaxed);
    for record in all() {
        record.awaited.store(false, Ordering::Relaxed);
        if own.is_some_and(|own| core::ptr::eq(own, record)) {
            record.tid.store(sys::id(), Ordering::Relaxed);
        } else {
            record.tid.store(0, Ordering::Relaxed);
        }
    }
}
