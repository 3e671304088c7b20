//! Does an engine keep every byte on whatever it stands on? Every mapper is tried with every swap device: a program that
//! goes over its pages at random, with a frame for one in four, finds in each what it wrote last. And what a forked child
//! continues on has the bytes of its parent's slots.
//!
//! The mappers here open pages at their own addresses; the soft one, which does not, has `tests/exact.rs`.

#![allow(clippy::unwrap_used)] // A test may.

use vmcore::config::Config;
use vmcore::engine::{Engine, Hooks, Seams};
use vmcore::events::stats::Counter;
use vmcore::events::Who;
use vmcore::index::PageNumber;
use vmcore::mapper::{Mapper, SIGNAL};
use vmcore::page::Access;
use vmcore::pager::{Outcome, Place};
use vmcore::policy::by_name;
use vmcore::swap::{Swap, SwapDevice, SwapFile, SwapMemory};
use vmcore::sys::thread::Quiet;

const PAGE: usize = 4096;
const PAGES: usize = 64;
const FRAMES: u32 = 16;
const DIR: &str = env!("CARGO_TARGET_TMPDIR");

/// Makes a device with room for so many bytes.
type Device = fn(usize) -> &'static dyn SwapDevice;

/// Every device.
const DEVICES: [Device; 2] = [file, memory];

/// Every mapper that opens pages at their own addresses.
const MAPPERS: [&dyn Mapper; 1] = [&SIGNAL];

fn file(bytes: usize) -> &'static dyn SwapDevice {
    let file = SwapFile::new(DIR.as_bytes(), bytes as u64).unwrap();
    file.open().unwrap();
    Box::leak(Box::new(file))
}

fn memory(bytes: usize) -> &'static dyn SwapDevice {
    let memory = SwapMemory::new(bytes);
    memory.open().unwrap();
    Box::leak(Box::new(memory))
}

/// An engine on these seams.
fn engine(seams: Seams) -> &'static Engine {
    let config = Config {
        arena: 0,
        swap: (PAGES * PAGE) as u64,
        heap: (PAGES * PAGE) as u64,
        shared: 0,
        page: PAGE as u64,
        policy: by_name(b"clock").unwrap(),
        swap_dir: DIR.as_bytes(),
        stats: None,
        trace: None,
    };
    let hooks = Hooks { arm: || {}, who: || Who { thread: 0, counters: None } };
    Box::leak(Box::new(Engine::exact(&config, hooks, seams, FRAMES, 1).unwrap()))
}

/// What the processor does: an access that the entry does not allow is a fault.
fn access(place: &Place, page: usize, access: Access) -> *mut [u64; PAGE / 8] {
    let number = PageNumber::new(page as u64);
    let at = place.page_address(number);
    while !place.entry(number).load().allows(access) {
        assert_eq!(place.engine.touch(place, number, at, access, false), Outcome::Resolved);
    }
    at as *mut [u64; PAGE / 8]
}

/// The program. What it wrote last to a page fills the page.
fn walk(engine: &'static Engine) {
    let place = engine.open_region(None).unwrap();
    assert!(engine.extend_region(&place, PageNumber::new(0), PAGES as u64));
    let mut written = [0; PAGES];
    let mut random = 1_u64;
    for step in 1..4000 {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let page = (random >> 58) as usize;
        let kind = if random >> 40 & 1 == 1 { Access::Write } else { Access::Read };
        let words = access(&place, page, kind);
        // SAFETY: a page of the region that is in memory until the next fault, which this thread would make.
        unsafe {
            assert_eq!(words.read_volatile(), [written[page]; PAGE / 8], "page {page}");
            if kind == Access::Write {
                written[page] = step;
                words.write_volatile([step; PAGE / 8]);
            }
        }
    }
    engine.close_region(&place);
    let counters = &engine.events().counters;
    assert!(counters.get(Counter::SwapIn) > 100 && counters.get(Counter::EvictedDirty) > 100, "nothing was swapped");
}

#[test]
fn every_byte_survives_on_every_ground() {
    for mapper in MAPPERS {
        for device in DEVICES {
            let engine = engine(Seams { mapper, swap: Some(device(PAGES * PAGE)) });
            walk(engine);
            // SAFETY: its only region is closed.
            unsafe { engine.dissolve() };
        }
    }
}

#[test]
fn a_child_continues_with_its_parents_bytes() {
    for device in DEVICES {
        let words = Vec::leak(vec![0; PAGES.div_ceil(64)]);
        let swap = Swap::new(Some(device(PAGES * PAGE)), DIR.as_bytes(), PAGES as u32, PAGE.trailing_zeros(), words).unwrap();
        assert!(swap.reserve_for(4, 4, FRAMES, false));
        let (first, n) = swap.take_run(4, &Quiet::begin()).unwrap();
        assert_eq!(n, 4);
        let mut pages: Vec<[u8; PAGE]> = (1..5).map(|byte| [byte; PAGE]).collect();
        let addresses: Vec<usize> = pages.iter_mut().map(|page| page.as_mut_ptr() as usize).collect();
        // SAFETY: the pages are this test's.
        unsafe { swap.write(first, &addresses).unwrap() };
        let medium = swap.freeze(swap.hold_growing()).copy_for_child().unwrap();
        // What the parent writes from now on is not the child's.
        pages.iter_mut().for_each(|page| page.fill(9));
        // SAFETY: as before.
        unsafe { swap.write(first, &addresses).unwrap() };
        swap.continue_on(medium);
        // SAFETY: as before.
        unsafe { swap.read(first, &addresses).unwrap() };
        for (page, byte) in pages.iter().zip(1..) {
            assert!(*page == [byte; PAGE], "the page of {byte}");
        }
        swap.close();
    }
}
