//! A window: one region, in an engine of its own, that the program touches at addresses of its own.
//!
//! The doors `mm` and `paged_region` are windows with different outlooks. The pages of the program may be
//! larger than the engine's, which are numbers only where contents lie elsewhere than in its frames.

use crate::faults::{self, Range, Refused, Touch, Touched};
use crate::kept::Kept;
use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use vmcore::config::Config;
use vmcore::engine::{Engine, Hooks, Seams, StartError};
use vmcore::events::Who;
use vmcore::index::PageNumber;
use vmcore::page::Access;
use vmcore::pager::{Outcome, Place};
use vmcore::policy::Policy;
use vmcore::region::Outlook;
use vmcore::report::say;
use vmcore::sys::{file, Errno};

/// What a window is to be.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// Who chooses the pages that leave.
    pub policy: &'static dyn Policy,
    /// Frames.
    pub frames: u32,
    /// The first byte that the program sees.
    pub start: usize,
    /// Pages.
    pub pages: u64,
    /// Bytes of a page of the program.
    pub page: usize,
    /// Bytes of a page of the engine: the same where its frames hold the contents.
    pub engine_page: usize,
    /// The directory of the engine's swap file, if pages go there.
    pub swap_dir: Option<&'a [u8]>,
    /// Whether the program may store.
    pub write: bool,
    /// Whether the program may execute.
    pub execute: bool,
}

/// Why there is no window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// The engine could not be made.
    Start(StartError),
    /// The kernel refused memory.
    Memory(Errno),
    /// Faults cannot be had.
    Faults(Refused),
}

impl Problem {
    /// The nearest error number.
    pub fn errno(self) -> i32 {
        match self {
            Problem::Start(StartError::SwapDir(error) | StartError::Memory(error)) | Problem::Memory(error) => error.0,
            Problem::Start(StartError::SwapDirTooLong) => libc::ENAMETOOLONG,
            Problem::Start(_) | Problem::Faults(Refused::TooMany | Refused::System) => libc::ENOMEM,
            Problem::Faults(Refused::Overlap) => libc::EEXIST,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Start(StartError::Crowded) => write!(out, "so many frames cannot be managed"),
            Problem::Start(StartError::HeapTooLarge) => write!(out, "so many pages do not fit into the address space"),
            Problem::Start(StartError::SwapDirTooLong) => write!(out, "the name of the swap directory is too long"),
            Problem::Start(StartError::SwapDir(error)) => write!(out, "no swap file can be made there (error {})", error.0),
            Problem::Start(StartError::Memory(error)) | Problem::Memory(error) => {
                write!(out, "the kernel refuses memory (error {})", error.0)
            }
            Problem::Faults(Refused::Overlap) => write!(out, "it overlaps another region"),
            Problem::Faults(Refused::TooMany) => write!(out, "there are {} regions already", faults::MOST),
            Problem::Faults(Refused::System) => write!(out, "the kernel refuses a handler of SIGSEGV"),
        }
    }
}

/// A region that the program touches.
pub struct Window {
    range: Kept<Range>,
    pane: Kept<Pane>,
    engine: Kept<Engine>,
    outlook: Kept<Outlook>,
}

/// What is made in an engine for a window.
type Parts = (Kept<Range>, Kept<Pane>, Kept<Outlook>);

/// What a fault needs to know of a window.
struct Pane {
    place: Place,
    start: usize,
    page: usize,
    write: bool,
    execute: bool,
    faults: AtomicU64,
    futile: AtomicU32,
    registers: AtomicU64,
    standstill: AtomicU32,
}

/// So many faults in a row that ask for nothing: the program has closed or removed the page itself.
const MOST_FUTILE: u32 = 1000;
/// So many faults in a row with all registers the same: one instruction needs more pages than there are frames.
const MOST_AT_A_STANDSTILL: u32 = 1000;

impl Pane {
    /// Whether the thread gets on. What several threads note here says that they do.
    fn gets_on(&self, touch: &Touch) -> bool {
        if self.registers.swap(touch.registers, Ordering::Relaxed) != touch.registers {
            self.standstill.store(0, Ordering::Relaxed);
            return true;
        }
        if self.standstill.fetch_add(1, Ordering::Relaxed) < MOST_AT_A_STANDSTILL {
            return true;
        }
        let frames = self.place.engine.frames().len();
        say(format_args!(
            "the instruction at {:#x} faults for ever: it needs more pages at once than may be resident, which is {frames}",
            touch.instruction
        ));
        false
    }
}

impl Touched for Pane {
    fn touched(&self, touch: Touch) -> bool {
        if touch.access == Access::Write && !self.write || touch.fetch && !self.execute {
            return false;
        }
        self.faults.fetch_add(1, Ordering::Relaxed);
        let page = PageNumber::new((touch.address - self.start).checked_div(self.page).unwrap_or(0) as u64);
        if self.place.entry(page).load().allows(touch.access) {
            if self.futile.fetch_add(1, Ordering::Relaxed) > MOST_FUTILE {
                return false;
            }
        } else {
            self.futile.store(0, Ordering::Relaxed);
        }
        if !self.gets_on(&touch) {
            return false;
        }
        self.place.engine.touch(&self.place, page, touch.address, touch.access, true) == Outcome::Resolved
    }
}

impl Window {
    /// Opens a window. Its memory is the caller's, and allows nothing yet. What the outlook
    /// refers to lives until [`Window::close`].
    pub fn open(plan: &Plan<'_>, outlook: impl FnOnce() -> vmcore::sys::Result<Outlook>) -> Result<Window, Problem> {
        let page = plan.engine_page as u64;
        let config = Config {
            arena: 0,
            // One slot a page: they never run out.
            swap: if plan.swap_dir.is_some() { plan.pages * page } else { 0 },
            heap: plan.pages * page,
            shared: 0,
            page,
            policy: plan.policy,
            swap_dir: plan.swap_dir.unwrap_or(b"/tmp"),
            stats: None,
            trace: None,
        };
        file::size_limit_below(0);
        let hooks = Hooks { arm: || {}, who: || Who { thread: 0, counters: None } };
        let engine = Engine::exact(&config, hooks, Seams::LIVE, plan.frames, 1).map_err(Problem::Start)?;
        let engine = Kept::new(engine).map_err(Problem::Memory)?;
        // SAFETY: the window keeps the engine until it has closed the region and forgotten the range.
        match Window::open_in(unsafe { engine.forever() }, plan, outlook) {
            Ok((range, pane, outlook)) => Ok(Window { range, pane, engine, outlook }),
            Err(problem) => {
                // SAFETY: nobody has anything of it.
                unsafe { engine.dissolve() };
                Err(problem)
            }
        }
    }

    fn open_in(
        engine: &'static Engine,
        plan: &Plan<'_>,
        outlook: impl FnOnce() -> vmcore::sys::Result<Outlook>,
    ) -> Result<Parts, Problem> {
        let short = Problem::Memory(Errno(libc::ENOMEM));
        let outlook = outlook().and_then(Kept::new).map_err(Problem::Memory)?;
        // SAFETY: kept as long as the engine, and so are the next two.
        let place = engine.open_region(Some(unsafe { outlook.forever() })).ok_or(short)?;
        if !engine.extend_region(&place, PageNumber::new(0), plan.pages) {
            return Err(short);
        }
        let &Plan { start, page, write, execute, .. } = plan;
        let (faults, registers) = (AtomicU64::new(0), AtomicU64::new(0));
        let (futile, standstill) = (AtomicU32::new(0), AtomicU32::new(0));
        let pane = Pane { place, start, page, write, execute, faults, futile, registers, standstill };
        let pane = Kept::new(pane).map_err(Problem::Memory)?;
        let end = start + plan.pages as usize * page;
        // SAFETY: the pane is kept as long as the engine.
        let range = Range { start, end, door: unsafe { pane.forever() } };
        let range = Kept::new(range).map_err(Problem::Memory)?;
        // SAFETY: the range is kept as long as the engine.
        faults::watch(unsafe { range.forever() }).map_err(Problem::Faults)?;
        Ok((range, pane, outlook))
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// SIGSEGVs that were this window's.
    pub fn faults(&self) -> u64 {
        self.pane.faults.load(Ordering::Relaxed)
    }

    /// The first byte, and the one behind the last.
    pub fn bounds(&self) -> (usize, usize) {
        (self.range.start, self.range.end)
    }

    /// Closes every page and gives everything back but the addresses, which are the caller's.
    ///
    /// # Safety
    /// No thread touches the region from now on.
    pub unsafe fn close(self) {
        let Window { range, pane, engine, outlook } = self;
        // SAFETY: the range is kept until the end of this function; nobody touches the region.
        unsafe {
            faults::forget(range.forever());
            engine.forever().close_region(&pane.place);
            engine.dissolve();
        }
        drop((range, pane, outlook, engine));
    }
}
