//! Events: what the pager did, said once, in one place for each kind, to whoever listens.
//!
//! The pager calls [`Events::emit`]; sinks are the counters of the running thread, the trace, and the sink
//! of the region that it happened in, if its door brought one. A sink is called in the fault handler, so
//! the engine's rules hold for it: no allocation, no panic, raw system calls.
//!
//! The files stand in their order, each using only those above it.

pub mod stats;

pub mod line;
mod trace;

pub use trace::TraceLog;

use crate::index::{FrameIndex, PageName, Slot};
use crate::page::Access;
use stats::{Counter, Counters, Eviction, FaultKind};

/// A thread as the engine knows it.
#[derive(Clone, Copy)]
pub struct Who {
    /// Its number.
    pub thread: u32,
    /// Its own counters; without them the engine's are used.
    pub counters: Option<&'static Counters>,
}

/// A fault that was served, or was not ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The kind of fault.
    pub kind: FaultKind,
    /// The access.
    pub access: Access,
    /// The address that was touched, as the door was given it.
    pub address: usize,
    /// The page; none if the address is in no region.
    pub page: Option<PageName>,
    /// The frame that the page is in.
    pub frame: Option<FrameIndex>,
    /// The slot that it was read from.
    pub slot: Option<Slot>,
    /// Whether a clean page, or one that just came in, became dirty by it.
    pub dirtied: bool,
    /// The page that left the frame for it, and how.
    pub evicted: Option<(PageName, Eviction)>,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// An access faulted. Told with no lock and no token held, before the access is repeated.
    Fault(Fault),
    /// A page left memory. Told while its token is held.
    Evicted {
        /// How.
        kind: Eviction,
        /// Which.
        page: PageName,
        /// The frame that it left.
        frame: FrameIndex,
        /// The slot that it lies in, if it lies in the swap device.
        slot: Option<Slot>,
    },
    /// So many bytes were read from where pages are kept.
    Loaded(u64),
    /// So many bytes were written there.
    Saved(u64),
    /// A transfer failed.
    TransferFailed,
    /// So many pages came along with one that was needed.
    ReadAhead {
        /// How many.
        pages: u64,
        /// Whether their use will be seen.
        watched: bool,
    },
    /// A page of those whose use is seen was used.
    AheadUsed,
    /// A child got a copy of everything in use.
    Forked {
        /// Frames copied.
        frames: u32,
        /// Slots copied.
        slots: u32,
        /// The time that it took, in microseconds.
        micros: u64,
    },
    /// A child could not be given a copy.
    ForkFailed {
        /// The time that it took to find out, in microseconds.
        micros: u64,
    },
}

/// Who listens.
pub trait EventSink: Sync {
    /// Something happened to the running thread, `who`.
    fn emit(&self, who: &Who, event: &Event);
}

/// The engine's sinks.
pub struct Events {
    /// What is counted without a thread at hand, and what threads that ended have left.
    pub counters: Counters,
    /// The trace, if one is written.
    pub trace: TraceLog,
}

impl Events {
    /// Nothing has happened, and no trace is written.
    pub const fn new() -> Events {
        Events { counters: Counters::new(), trace: TraceLog::new() }
    }

    /// Tells everybody, and the region's own sink if there is one.
    pub fn emit(&self, who: &Who, event: &Event, own: Option<&dyn EventSink>) {
        let counting: &dyn EventSink = match who.counters {
            Some(_) => &ThreadCounters,
            None => &self.counters,
        };
        counting.emit(who, event);
        if self.trace.is_on() {
            self.trace.emit(who, event);
        }
        if let Some(own) = own {
            own.emit(who, event);
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Events::new()
    }
}

/// The counters of the running thread, of which it is the only writer.
struct ThreadCounters;

impl EventSink for ThreadCounters {
    fn emit(&self, who: &Who, event: &Event) {
        if let Some(counters) = who.counters {
            count(event, |counter, amount| counters.add(counter, amount));
        }
    }
}

impl EventSink for Counters {
    fn emit(&self, _who: &Who, event: &Event) {
        count(event, |counter, amount| self.add_shared(counter, amount));
    }
}

/// What an event adds to which counters.
fn count(event: &Event, add: impl Fn(Counter, u64)) {
    match *event {
        Event::Fault(Fault { kind, .. }) => add(kind.counter(), 1),
        Event::Evicted { kind, .. } => add(kind.counter(), 1),
        Event::Loaded(bytes) => {
            add(Counter::SwapReads, 1);
            add(Counter::SwapBytesRead, bytes);
        }
        Event::Saved(bytes) => {
            add(Counter::SwapWrites, 1);
            add(Counter::SwapBytesWritten, bytes);
        }
        Event::TransferFailed => add(Counter::SwapErrors, 1),
        Event::ReadAhead { pages, watched } => {
            add(Counter::AheadPages, pages);
            add(Counter::AheadWatched, if watched { pages } else { 0 });
        }
        Event::AheadUsed => add(Counter::AheadUsed, 1),
        Event::Forked { frames, slots, micros } => {
            add(Counter::Forks, 1);
            add(Counter::ForkFrames, u64::from(frames));
            add(Counter::ForkSlots, u64::from(slots));
            add(Counter::ForkMicros, micros);
        }
        Event::ForkFailed { micros } => {
            add(Counter::ForksFailed, 1);
            add(Counter::ForkMicros, micros);
        }
    }
}
