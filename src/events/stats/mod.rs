//! What is counted, and the two ways to show it: JSON and a short table.
//!
//! One table, `counters!` below, makes the enum of counters, the JSON and the printed table; a new
//! counter is one line there. Each thread has its own [`Counters`] and is their only writer, so
//! counting is a load and a store; reports add them up. A few more [`Counters`], shared by all, take
//! what is counted without a thread at hand and what threads that ended have left.
//!
//! Nothing here allocates or locks: reports are written at exit, possibly by a dying program.
#![forbid(unsafe_code)]

mod report;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use report::{write_json, write_table, FrameGauges, Report, SwapGauges, ThreadReport};

/// Makes [`Counter`] and [`COUNTERS`] of the table.
macro_rules! counters {
    ($($group:ident { $($name:ident $key:ident $help:literal)* })*) => {
        /// Everything that is counted: an index into [`COUNTERS`], [`Counters`] and [`Totals`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Counter { $($(#[doc = $help] $name,)*)* }

        /// The counters in the order of [`Counter`].
        pub static COUNTERS: [CounterSpec; COUNTER_COUNT] = [$($(CounterSpec {
            counter: Counter::$name,
            group: stringify!($group),
            key: stringify!($key),
            help: $help,
        },)*)*];

        const COUNTER_COUNT: usize = [$($(Counter::$name,)*)*].len();
    };
}

/// One line of the table of counters.
pub struct CounterSpec {
    /// Which one this describes.
    pub counter: Counter,
    /// The JSON object that it is in.
    pub group: &'static str,
    /// Its key there, its name in the printed table and, for faults and evictions, in the trace.
    pub key: &'static str,
    /// What it counts.
    pub help: &'static str,
}

counters! {
    faults {
        FirstTouch first_touch "first access to a page: it got a frame of zeros"
        SwapIn swap_in "access to a page in swap: it was read back"
        Reference reference "access to a resident page whose protection was dropped to sample R"
        FirstWrite first_write "first write to a clean page: it is dirty now"
        Collision collision "access to a page that another thread was serving or had just served"
        Stray stray "access that is not ours: passed on to the program"
    }
    evictions {
        EvictedClean clean "evicted page whose copy in swap was still valid: no write"
        EvictedDirty dirty "evicted page that was written to swap"
        EvictedZero zero "evicted page of zeros only: no slot, no write"
    }
    swap {
        SwapReads reads "reads from the swap file"
        SwapWrites writes "writes to the swap file"
        SwapBytesRead bytes_read "bytes read from the swap file"
        SwapBytesWritten bytes_written "bytes written to the swap file"
        SwapErrors errors "reads and writes of the swap file that failed"
    }
    readahead {
        AheadPages pages "pages that came along with one that was needed"
        AheadWatched watched "those of them that stayed closed, so that their use was seen"
        AheadUsed used "watched pages that were used"
    }
    malloc {
        MallocCalls calls "blocks asked for, by any function of the malloc family"
        MallocFrees frees "blocks freed"
        MallocFailed failed "requests answered with NULL for want of memory"
        MallocBytes bytes_allocated "bytes asked for and given"
        MallocBytesFreed bytes_freed "bytes of the blocks freed"
    }
    forks {
        Forks calls "children that got a copy of the heap"
        ForksFailed failed "forks refused because there was no room for the copy"
        ForkFrames frames "frames copied for children"
        ForkSlots slots "slots of the swap file copied for children"
        ForkMicros microseconds "time that the copies took"
    }
}

/// What kind of fault an access was: for counters, trace and reports alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Demand zero: the page was never touched before.
    FirstTouch,
    /// Major: the page was read back from swap.
    SwapIn,
    /// The page is resident; its protection had been dropped to sample R.
    Reference,
    /// A clean page becomes dirty.
    FirstWrite,
    /// Another thread was serving this page, or had just served it.
    Collision,
    /// Not ours: passed on.
    Stray,
}

impl FaultKind {
    /// Every kind, in the order of the reports.
    pub const ALL: [FaultKind; 6] = [
        FaultKind::FirstTouch,
        FaultKind::SwapIn,
        FaultKind::Reference,
        FaultKind::FirstWrite,
        FaultKind::Collision,
        FaultKind::Stray,
    ];

    /// What counts it.
    pub const fn counter(self) -> Counter {
        match self {
            FaultKind::FirstTouch => Counter::FirstTouch,
            FaultKind::SwapIn => Counter::SwapIn,
            FaultKind::Reference => Counter::Reference,
            FaultKind::FirstWrite => Counter::FirstWrite,
            FaultKind::Collision => Counter::Collision,
            FaultKind::Stray => Counter::Stray,
        }
    }
}

/// How a page left memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// Its copy in swap was still valid.
    Clean,
    /// It was written to swap.
    Dirty,
    /// It was all zeros, so it needs no slot.
    Zero,
}

impl Eviction {
    /// Every kind, in the order of the reports.
    pub const ALL: [Eviction; 3] = [Eviction::Clean, Eviction::Dirty, Eviction::Zero];

    /// What counts it.
    pub const fn counter(self) -> Counter {
        match self {
            Eviction::Clean => Counter::EvictedClean,
            Eviction::Dirty => Counter::EvictedDirty,
            Eviction::Zero => Counter::EvictedZero,
        }
    }
}

impl Counter {
    /// Its key in the JSON.
    pub fn key(self) -> &'static str {
        COUNTERS.get(self as usize).map_or("", |spec| spec.key)
    }
}

/// A set of all counters. Relaxed throughout: a counter orders nothing, it has no partner.
pub struct Counters([AtomicU64; COUNTER_COUNT]);

impl Counters {
    /// All zero.
    pub const fn new() -> Self {
        Counters([const { AtomicU64::new(0) }; COUNTER_COUNT])
    }

    /// Counts one, when the calling thread is the only writer of these counters.
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Adds `amount`, when the calling thread is the only writer of these counters. A signal handler
    /// of the same thread that counts between the load and the store may lose its count.
    pub fn add(&self, counter: Counter, amount: u64) {
        if let Some(value) = self.0.get(counter as usize) {
            value.store(value.load(Relaxed).wrapping_add(amount), Relaxed);
        }
    }

    /// Adds `amount` from any thread.
    pub fn add_shared(&self, counter: Counter, amount: u64) {
        if let Some(value) = self.0.get(counter as usize) {
            value.fetch_add(amount, Relaxed);
        }
    }

    /// The count so far.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).map_or(0, |value| value.load(Relaxed))
    }

    /// Takes over the counts of a thread that has ended, and sets those to zero for the next.
    pub fn absorb(&self, ended: &Counters) {
        for (total, value) in self.0.iter().zip(&ended.0) {
            total.fetch_add(value.swap(0, Relaxed), Relaxed);
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Counters::new()
    }
}

/// A sum of counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals([u64; COUNTER_COUNT]);

impl Totals {
    /// All zero.
    pub const fn new() -> Self {
        Totals([0; COUNTER_COUNT])
    }

    /// Adds what `counters` say now.
    pub fn add(&mut self, counters: &Counters) {
        for (total, value) in self.0.iter_mut().zip(&counters.0) {
            *total = total.wrapping_add(value.load(Relaxed));
        }
    }

    /// The counters of one group of the table with their values, in its order.
    pub fn group<'t>(&'t self, group: &'t str) -> impl Iterator<Item = (&'static str, u64)> + 't {
        COUNTERS.iter().filter(move |spec| spec.group == group).map(|spec| (spec.key, self.get(spec.counter)))
    }

    /// The sum of one counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, spec) in COUNTERS.iter().enumerate() {
            assert_eq!(spec.counter as usize, index);
        }
    }

    #[test]
    fn kinds_count_in_their_groups_in_order() {
        let keys = |group| -> Vec<_> { Totals::new().group(group).map(|(key, _)| key).collect() };
        let faults = FaultKind::ALL.map(|kind| kind.counter().key());
        let evictions = Eviction::ALL.map(|kind| kind.counter().key());
        assert_eq!(keys("faults"), faults);
        assert_eq!(keys("evictions"), evictions);
    }

    #[test]
    fn threads_add_up_and_leave_their_counts() {
        let (shared, thread) = (Counters::new(), Counters::new());
        thread.count(FaultKind::SwapIn.counter());
        thread.add(Counter::SwapBytesRead, 4096);
        shared.add_shared(Counter::SwapErrors, 1);
        let sum = || {
            let mut totals = Totals::new();
            totals.add(&shared);
            totals.add(&thread);
            totals
        };
        let before = sum();
        assert_eq!(before.get(Counter::SwapIn), 1);
        assert_eq!(before.get(Counter::SwapBytesRead), 4096);
        assert_eq!(before.get(Counter::SwapErrors), 1);
        shared.absorb(&thread);
        assert_eq!(thread.get(Counter::SwapIn), 0);
        assert_eq!(sum(), before);
    }
}
