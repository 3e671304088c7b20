//! Does the pager decide as the oracles say? An engine of the exact regime is driven fault by fault, and every byte is
//! compared. On the soft ground, with page tables and slots in plain memory, under every policy; and for some live, with real
//! mappings and a real swap file, where a page that is not open where it should be kills the test.
//!
//! What `replay/` says in `tests/oracles.rs`, the pager must do.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may.

mod oracle;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::Mutex;

use oracle::course::{self, Fault};
use oracle::{number, read, rows, Traces};
use replay::trace::Reference;
use replay::Counts;
use vmcore::config::Config;
use vmcore::engine::{Engine, Hooks, Seams};
use vmcore::events::stats::Counter;
use vmcore::events::{Event, EventSink, Fault as Served, Who};
use vmcore::frames::Arena;
use vmcore::index::{FrameIndex, PageNumber};
use vmcore::mapper::{Closed, Mapper, Pages, Soft};
use vmcore::page::Access;
use vmcore::pager::{Outcome, Place};
use vmcore::policy::{by_name, POLICIES};
use vmcore::region::{Outlook, Store};
use vmcore::swap::SwapMemory;
use vmcore::sys::memory::Protection;
use vmcore::sys::Result;

const PAGE: usize = 4096;

/// What an engine stands on, and how a program on it gets at a page.
enum Ground {
    /// The process's own mappings: by its address.
    Live,
    /// Page tables and slots in plain memory: by its frame, if they say so.
    Soft(&'static Soft<'static>, &'static SwapMemory),
}

impl Ground {
    fn soft(pages: u64) -> Ground {
        let table: Vec<AtomicU64> = (0..pages).map(|_| AtomicU64::new(0)).collect();
        let swap: &SwapMemory = Box::leak(Box::new(SwapMemory::new(pages as usize * PAGE)));
        swap.open().unwrap();
        Ground::Soft(Box::leak(Box::new(Soft::new(Vec::leak(table)))), swap)
    }

    fn seams(&self) -> Seams {
        match *self {
            Ground::Live => Seams::LIVE,
            Ground::Soft(mapper, swap) => Seams { mapper, swap: Some(swap) },
        }
    }

    /// Where the program finds the page after an access to it, which is served if it faults.
    fn access(&self, place: &Place, page: u64, access: Access) -> *mut u64 {
        let number = PageNumber::new(page);
        match self {
            Ground::Live => {
                crate::access(place, page, access);
                place.page_address(number) as *mut u64
            }
            Ground::Soft(soft, _) => loop {
                match soft.translate(page, access) {
                    Ok(frame) => return place.engine.frames().arena().view(frame) as *mut u64,
                    Err(Closed) => assert_eq!(place.engine.touch(place, number, 0, access, false), Outcome::Resolved),
                }
            },
        }
    }
}

/// An engine with one region of `pages` pages and `frames` frames.
fn engine(policy: &str, frames: u32, pages: u64, swap_pages: u64) -> &'static Engine {
    engine_on(&Ground::Live, policy, frames, pages, swap_pages)
}

fn engine_on(ground: &Ground, policy: &str, frames: u32, pages: u64, swap_pages: u64) -> &'static Engine {
    let config = Config {
        arena: 0,
        swap: swap_pages * PAGE as u64,
        heap: pages * PAGE as u64,
        shared: 0,
        page: PAGE as u64,
        policy: by_name(policy.as_bytes()).unwrap(),
        swap_dir: env!("CARGO_TARGET_TMPDIR").as_bytes(),
        stats: None,
        trace: None,
    };
    let hooks = Hooks { arm: || {}, who: || Who { thread: 0, counters: None } };
    Box::leak(Box::new(Engine::exact(&config, hooks, ground.seams(), frames, 1).unwrap()))
}

/// What the processor does: an access that the entry does not allow is a fault.
fn access(place: &Place, page: u64, access: Access) {
    let page = PageNumber::new(page);
    while !place.entry(page).load().allows(access) {
        assert_eq!(place.engine.touch(place, page, place.page_address(page), access, false), Outcome::Resolved);
    }
}

/// Replays a trace on the pager, with a counter in each page that every write raises.
fn replay(live: bool, trace: &[(u32, Access)], policy: &str, frames: u32) -> &'static Engine {
    let pages = u64::from(trace.iter().map(|(page, _)| *page).max().unwrap()) + 1;
    let ground = if live { Ground::Live } else { Ground::soft(pages) };
    let engine = engine_on(&ground, policy, frames, pages, pages);
    let place = engine.open_region(None).unwrap();
    assert!(engine.extend_region(&place, PageNumber::new(0), pages));
    let mut written: HashMap<u32, u64> = HashMap::new();
    for &(page, kind) in trace {
        let at = ground.access(&place, page.into(), kind);
        let count = written.entry(page).or_default();
        // SAFETY: a page of the region that is in memory until the next fault.
        unsafe {
            assert_eq!(at.add(7).read_volatile(), *count, "page {page}");
            if kind == Access::Write {
                *count += 1;
                at.add(7).write_volatile(*count);
            }
        }
    }
    assert!(engine.frames().used() <= frames);
    engine.close_region(&place);
    assert_eq!((engine.frames().used(), engine.in_use().slots), (0, 0), "frames and slots are left");
    if let Ground::Soft(soft, _) = ground {
        assert_eq!((soft.mappings(), soft.counts().1), (1, 0), "pages are left open, or were shown against the protocol");
    }
    engine
}

#[test]
fn fifo_counts_what_the_oracles_count() {
    counts_as_the_oracles(false, "fifo", "fifo");
}

#[test]
fn clock_counts_what_the_oracles_count() {
    counts_as_the_oracles(false, "clock", "clock");
}

#[test]
fn third_chance_counts_what_the_oracles_count() {
    counts_as_the_oracles(true, "third-chance", "third");
}

#[test]
fn segmented_fifo_counts_what_the_oracles_count() {
    counts_as_the_oracles(false, "segfifo", "segfifo25");
}

/// As the row of a pager that sees nothing of a page between its load and the next miss.
#[test]
fn car_counts_what_the_oracles_count() {
    counts_as_the_oracles(false, "car", "car-e");
}

#[test]
fn s3_fifo_counts_what_the_oracles_count() {
    counts_as_the_oracles(false, "s3fifo-1e", "s3fifo-1e");
}

/// Policies that no table knows: the pager counts what `replay/` does.
#[test]
fn every_policy_counts_what_its_replay_counts() {
    let mut traces = Traces::default();
    let (scans, phases) = (traces.get("scanhot").to_vec(), traces.get("phases").to_vec());
    for policy in POLICIES.iter() {
        for (trace, frames) in [(&scans, 50), (&phases, 72)] {
            let references = trace.iter().map(|&(page, access)| Ok(Reference { page: page.into(), access }));
            let replayed = replay::run(*policy, frames, references).unwrap();
            let engine = replay(false, trace, policy.name(), frames);
            let count = |counter: Counter| engine.events().counters.get(counter);
            let found = Counts {
                refs: trace.len() as u64,
                misses: count(Counter::FirstTouch) + count(Counter::SwapIn),
                evictions: count(Counter::EvictedDirty) + count(Counter::EvictedClean) + count(Counter::EvictedZero),
                writebacks: count(Counter::EvictedDirty),
                clean_evictions: count(Counter::EvictedClean) + count(Counter::EvictedZero),
                swapins: count(Counter::SwapIn),
                ref_soft_faults: count(Counter::Reference),
                dirty_faults: count(Counter::FirstWrite),
                // The pager does not remember which pages it had.
                ..replayed
            };
            assert_eq!(found, replayed, "{policy:?}");
            // SAFETY: its only region is closed.
            unsafe { engine.dissolve() };
        }
    }
}

/// Every row of the known answers for a policy and its name in the table.
fn counts_as_the_oracles(live: bool, policy: &str, name: &str) {
    let table = read("expected.csv");
    let mut traces = Traces::default();
    let mut checked = 0;
    for row in rows(&table).iter().filter(|row| row["policy"] == name) {
        let engine = replay(live, traces.get(row["trace"]), policy, number(row, "frames") as u32);
        let count = |counter: Counter| engine.events().counters.get(counter);
        for (column, found) in [
            ("misses", count(Counter::FirstTouch) + count(Counter::SwapIn)),
            ("writebacks", count(Counter::EvictedDirty)),
            ("clean_evictions", count(Counter::EvictedClean) + count(Counter::EvictedZero)),
            ("swapins", count(Counter::SwapIn)),
            ("ref_soft_faults", count(Counter::Reference)),
            ("dirty_faults", count(Counter::FirstWrite)),
        ] {
            assert_eq!(found, number(row, column), "{column} of {row:?}");
        }
        assert_eq!(count(Counter::Collision), 0);
        // SAFETY: its only region is closed.
        unsafe { engine.dissolve() };
        checked += 1;
    }
    // Where the rows with one frame are missing, as for those that need two lists, there are 64.
    assert!([64, 67].contains(&checked), "{checked} rows");
}

/// A region that is never mapped and whose contents stay where they are, with a log of its faults.
#[derive(Default)]
struct Logged {
    open: Mutex<HashMap<PageNumber, (FrameIndex, Protection)>>,
    faults: Mutex<Vec<Served>>,
}

impl Mapper for Logged {
    fn show(&self, _arena: &Arena, pages: &Pages, frame: FrameIndex, protection: Protection) -> Result<()> {
        assert_eq!(self.open.lock().unwrap().insert(pages.first, (frame, protection)), None);
        Ok(())
    }
    fn protect(&self, pages: &Pages, protection: Protection) -> Result<()> {
        self.open.lock().unwrap().get_mut(&pages.first).expect("an open page").1 = protection;
        Ok(())
    }
    fn hide(&self, pages: &Pages) -> Result<()> {
        assert!(self.open.lock().unwrap().remove(&pages.first).is_some());
        Ok(())
    }
}

impl Store for Logged {
    fn clear(&self, _page: PageNumber, _frame: FrameIndex) {}
    fn load(&self, _page: PageNumber, _frame: FrameIndex) -> Result<()> {
        Ok(())
    }
    fn save(&self, page: PageNumber, _frame: FrameIndex) -> Result<()> {
        assert!(!self.open.lock().unwrap().contains_key(&page), "saved while it can be changed");
        Ok(())
    }
}

impl EventSink for Logged {
    fn emit(&self, _who: &Who, event: &Event) {
        if let Event::Fault(fault) = event {
            self.faults.lock().unwrap().push(*fault);
        }
    }
}

/// The logs of a course project's memory manager: what a region's sink hears is what they say, in order.
#[test]
fn a_sink_hears_what_the_course_logs_say() {
    course::logs_agree(|policy, frames, references| {
        let engine = engine(policy, frames, 16, 0);
        let logged: &'static Logged = Box::leak(Box::default());
        let outlook = Box::leak(Box::new(Outlook { mapper: Some(logged), store: Some(logged), sink: Some(logged) }));
        let place = engine.open_region(Some(outlook)).unwrap();
        assert!(engine.extend_region(&place, PageNumber::new(0), 16));
        let log = references.iter().flat_map(|reference| heard(&place, logged, frames, reference)).collect();
        engine.close_region(&place);
        assert!(logged.open.lock().unwrap().is_empty(), "pages are left open");
        // SAFETY: its only region is closed.
        unsafe { engine.dissolve() };
        log
    });
}

/// Makes the access; the line of the fault that the sink heard of, if there was one.
fn heard(place: &Place, logged: &Logged, frames: u32, reference: &course::Reference) -> Option<String> {
    access(place, reference.page.into(), reference.access);
    let faults = std::mem::take(&mut *logged.faults.lock().unwrap());
    assert!(faults.len() <= 1, "one access, one fault: {faults:?}");
    let open = logged.open.lock().unwrap();
    assert!(open.len() <= frames as usize);
    let page = PageNumber::new(reference.page.into());
    let protection = open[&page].1;
    assert!(protection == Protection::ReadWrite || reference.access == Access::Read && protection == Protection::Read);
    faults.first().map(|fault| {
        assert_eq!((fault.page.unwrap().page, fault.access), (page, reference.access));
        let evicted = fault.evicted.map(|(name, eviction)| (name.page.get() as u32, eviction));
        Fault { kind: fault.kind, dirtied: fault.dirtied, frame: fault.frame.unwrap().get(), evicted }.line(reference)
    })
}

/// Released pages give their frames back at once, and the lowest is the next to be used; what is closed
/// can be opened again, as new.
#[test]
fn frames_are_handed_out_from_the_lowest() {
    let engine = engine("clock", 4, 64, 64);
    let place = engine.open_region(None).unwrap();
    assert!(engine.extend_region(&place, PageNumber::new(0), 64));
    for page in 0..4 {
        access(&place, page, Access::Write);
        assert_eq!(place.entry(PageNumber::new(page)).load().frame().get(), page as u32);
    }
    place.engine.close_region(&place);
    assert!(engine.open_region(None).is_some_and(|again| again.base == place.base));
    assert!(engine.open_region(None).is_none(), "there is one region only");
    assert!(!engine.extend_region(&place, PageNumber::new(60), 5), "beyond the end");
    assert!(engine.extend_region(&place, PageNumber::new(0), 64));
    assert!(!engine.extend_region(&place, PageNumber::new(0), 1), "no backing is left");
    for (page, frame) in [(9, 0), (8, 1), (7, 2)] {
        access(&place, page, Access::Read);
        let address = place.page_address(PageNumber::new(page));
        // SAFETY: a page that is in memory until the next fault.
        assert_eq!(unsafe { (address as *const u64).read_volatile() }, 0, "as new");
        assert_eq!(place.entry(PageNumber::new(page)).load().frame().get(), frame);
    }
    engine.close_region(&place);
    // SAFETY: its only region is closed.
    unsafe { engine.dissolve() };
}
