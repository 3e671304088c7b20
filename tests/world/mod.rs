//! An engine of its own for a test, the threads that use it, and what must be true of it at rest.
//!
//! No SIGSEGV handler: memory is touched as system calls touch it, between `pin` and `unpin`.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use vmcore::config::Config;
use vmcore::engine::{Engine, Hooks};
use vmcore::events::line::Line;
use vmcore::events::stats::{Counter, Eviction, FaultKind};
use vmcore::events::Who;
use vmcore::frames::User;
use vmcore::heap::Heap;
use vmcore::page::{Access, Pte, State};
use vmcore::pager::Place;
use vmcore::policy::Policy;
use vmcore::region::Owner;

pub const PAGE: usize = 4096;
const FRAMES: u64 = 64;
const SHARED: u64 = 2;

/// An engine with 64 frames, its swap directory and its trace.
pub struct World {
    pub engine: &'static Engine,
    dir: PathBuf,
    trace: File,
    promises: u64,
}

impl World {
    pub fn new(policy: &'static dyn Policy, swap_pages: u64) -> World {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("pager-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let config = Config {
            arena: FRAMES * PAGE as u64,
            swap: swap_pages * PAGE as u64,
            heap: 512 * PAGE as u64,
            shared: SHARED * PAGE as u64,
            page: PAGE as u64,
            policy,
            swap_dir: dir.as_os_str().as_encoded_bytes(),
            stats: None,
            trace: None,
        };
        let hooks = Hooks { arm: || {}, who: || Who { thread: 0, counters: None } };
        let engine: &'static Engine = Box::leak(Box::new(Engine::new(&config, hooks).unwrap()));
        let name = CString::new("trace").unwrap();
        // SAFETY: the name is a C string, and the descriptor is the file's alone.
        let trace = unsafe { File::from_raw_fd(libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC)) };
        engine.events().trace.start(trace.try_clone().unwrap().into_raw_fd());
        let promises = engine.charge().available();
        World { engine, dir, trace, promises }
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.engine.events().counters.get(counter)
    }

    /// The engine's descriptor of the swap file, which has no name any more; the tests' own are lower.
    pub fn swap_fd(&self) -> i32 {
        let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let is_swap = |path: &PathBuf| fs::read_link(path).is_ok_and(|target| target.starts_with(&self.dir));
        let numbers = open.map(|entry| entry.path()).filter(is_swap);
        let number = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        numbers.map(number).max().expect("a swap file")
    }

    /// What is true whenever nobody is at work: every frame and every slot is accounted for.
    pub fn check_at_rest(&self) {
        let engine = self.engine;
        let frames = engine.frames();
        let (mut pages, mut bookkeeping, mut saved, mut stamped) = (0, 0, 0, 0);
        for number in frames.all_from(0) {
            let frame = frames.frame(number);
            match frame.user() {
                User::Nobody => continue,
                User::Bookkeeping(_) => bookkeeping += 1,
                User::Page(address) => {
                    let (place, page) = engine.find_page(address).expect("the page of a frame");
                    let pte = place.entry(page).load();
                    assert!(matches!(pte.state(), State::Resident | State::Retained), "{pte:?}");
                    assert_eq!(pte.frame(), number, "the frame of {address:#x} is another's");
                    assert!(frame.copy().is_none() || !pte.has(Pte::M), "a dirty page has a slot: {pte:?}");
                    saved += u32::from(frame.copy().is_some());
                    pages += 1;
                }
            }
            stamped += u32::from(frame.was_used());
        }
        let (mut present, mut swapped) = (0, 0);
        for place in engine.places() {
            for page in place.backed_pages() {
                let pte = place.entry(page).load();
                assert!(!pte.in_transit() && pte.pins() == 0 && !pte.has(Pte::WAITERS), "{pte:?}");
                present += u32::from(matches!(pte.state(), State::Resident | State::Retained));
                swapped += u32::from(pte.state() == State::Swapped);
            }
        }
        let layout = frames.arena().layout();
        let fixed = layout.arena - layout.pool;
        let in_use = engine.in_use();
        assert_eq!(pages, present, "frames of pages and pages with frames");
        assert_eq!(in_use.frames, fixed + pages + bookkeeping, "frames in use");
        assert_eq!(in_use.slots, swapped + saved, "slots in use");
        assert!(stamped >= pages, "a frame with a page has been used");
        assert_eq!((frames.bookkeeping(), frames.pinned()), (bookkeeping, 0));
        assert_eq!(engine.charge().promised() + engine.charge().available(), self.promises, "promises");
        self.check_counters();
    }

    /// The counters agree with each other and with the trace, line by line.
    fn check_counters(&self) {
        assert_eq!(self.count(Counter::SwapReads), self.count(Counter::SwapIn) + self.count(Counter::AheadPages));
        assert_eq!(self.count(Counter::SwapWrites), self.count(Counter::EvictedDirty));
        assert_eq!(self.count(Counter::SwapBytesRead), self.count(Counter::SwapReads) * PAGE as u64);
        assert_eq!(self.count(Counter::SwapBytesWritten), self.count(Counter::SwapWrites) * PAGE as u64);
        self.engine.events().trace.flush();
        let mut text = String::new();
        // The log has moved the offset that both descriptors share.
        File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&self.trace)))
            .and_then(|mut file| file.read_to_string(&mut text))
            .unwrap();
        let events: Vec<Line> = text.lines().filter_map(Line::parse).collect();
        assert_eq!(events.len() + 1, text.lines().count(), "a line of the trace that is no event");
        let kinds = FaultKind::ALL.map(FaultKind::counter).into_iter().chain(Eviction::ALL.map(Eviction::counter));
        for counter in kinds {
            let lines = events.iter().filter(|event| event.what.counter() == counter).count();
            assert_eq!(lines as u64, self.count(counter), "{counter:?}");
        }
    }

    /// Everything was freed: checks that nothing is left, and gives the address space back.
    pub fn end(self) {
        for place in self.engine.places() {
            let live = self.engine.with_closed(&place, false, |heap| {
                place.collect(heap);
                heap.flush(&place);
                heap.live()
            });
            assert_eq!(live, 0, "blocks are left");
        }
        self.check_at_rest();
        assert_eq!(self.engine.in_use().slots, 0, "slots are left");
        let kept = u64::from(self.engine.frames().bookkeeping());
        assert_eq!(self.engine.charge().promised(), kept, "promises are left");
        for place in self.engine.places() {
            // SAFETY: nobody uses the engine any more.
            unsafe { libc::munmap(place.base as *mut _, self.engine.span().len) };
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A block and what it should hold.
pub struct Block {
    pub address: usize,
    pub bytes: Vec<u8>,
}

/// A thread with a region.
pub struct Worker {
    pub place: Place,
}

impl Worker {
    pub fn new(world: &World, thread: u32) -> Worker {
        Worker { place: world.engine.acquire_region(Owner::Thread(thread), false).expect("a region") }
    }

    fn with_heap<T>(&self, work: impl FnOnce(&mut Heap) -> T) -> T {
        // SAFETY: only this worker's thread uses it, and it owns the region.
        work(&mut unsafe { self.place.region.gate().enter() }.expect("nobody is inside"))
    }

    /// A block of `len` bytes; its bytes are what it holds from now on.
    pub fn allocate(&self, len: usize) -> Option<Block> {
        let n = len.div_ceil(16) as u64;
        let block = self.with_heap(|heap| {
            self.place.collect(heap);
            heap.allocate(&self.place, n, 1, false).or_else(|_| {
                heap.flush(&self.place);
                heap.allocate(&self.place, n, 1, false)
            })
        });
        let block = block.ok()?;
        let address = self.place.address(block.start);
        let mut bytes = vec![0; len];
        assert_eq!(copy(self.place.engine, address, &mut bytes, Access::Read), len);
        assert!(!block.zero || bytes.iter().all(|byte| *byte == 0), "not zero");
        Some(Block { address, bytes })
    }

    /// Resizes the block in place, or moves its pages if it is large; as it was if that cannot be.
    pub fn resize(&self, block: &mut Block, len: usize) {
        let (old, new) = (block.bytes.len().div_ceil(16) as u64, len.div_ceil(16) as u64);
        let start = self.place.granule(block.address);
        let old = Heap::measure(&self.place, start).unwrap_or(old);
        if self.with_heap(|heap| heap.resize(&self.place, start, old, new)) {
            let kept = len.min(block.bytes.len());
            block.bytes.resize(len, 0);
            let rest = &mut block.bytes[kept..];
            assert_eq!(copy(self.place.engine, block.address + kept, rest, Access::Read), rest.len());
        } else if Heap::is_large(&self.place, old.min(new)) {
            let Some(mut target) = self.allocate(len) else { return };
            let page = |address| self.place.page_of(address);
            let pages = block.bytes.len().min(len) / PAGE;
            self.place.engine.move_pages(&self.place, page(block.address), &self.place, page(target.address), pages as u64);
            target.bytes[..pages * PAGE].copy_from_slice(&block.bytes[..pages * PAGE]);
            self.free(std::mem::replace(block, target));
        }
    }

    /// Frees a block, of its own region or of another's.
    pub fn free(&self, block: Block) {
        let engine = self.place.engine;
        let place = engine.find(block.address).expect("a region");
        let start = place.granule(block.address);
        let freed = if place.base == self.place.base {
            self.with_heap(|heap| heap.free(&place, start))
        } else if place.can_note_freed(start / (PAGE as u64 / 16))
            && !Heap::is_large(&place, Heap::measure(&place, start).unwrap())
        {
            place.note_freed(start)
        } else {
            engine.with_closed(&place, false, |heap| {
                place.back_freed(start / (PAGE as u64 / 16));
                heap.free(&place, start)
            })
        };
        assert!(freed.is_ok(), "{freed:?}");
    }
}

/// Copies between memory and `bytes`: how many bytes, fewer only if a page is lost.
pub fn copy(engine: &'static Engine, address: usize, bytes: &mut [u8], access: Access) -> usize {
    let mut done = 0;
    while done < bytes.len() {
        let at = address + done;
        let n = engine.pin(at, bytes.len() - done, access, false);
        if n == 0 {
            break;
        }
        let part = &mut bytes[done..done + n];
        // SAFETY: pinned memory of a block that is the caller's.
        unsafe {
            match access {
                Access::Read => std::ptr::copy_nonoverlapping(at as *const u8, part.as_mut_ptr(), n),
                Access::Write => std::ptr::copy_nonoverlapping(part.as_ptr(), at as *mut u8, n),
            }
        }
        engine.unpin(at, n);
        done += n;
    }
    done
}
