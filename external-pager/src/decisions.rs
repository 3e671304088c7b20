//! The pager's decisions: the document's seven functions, carried out by the engine.
//!
//! Every process is a region of one engine; the frames are the pool of that engine, which is of the exact
//! regime with the policy `clock`. What is left to be done here:
//! - `extend` promises one page more, after it has reserved the lowest free disk block for it;
//! - `fault` checks that the page is valid and hands the touch to the engine;
//! - `syslog` touches page after page as a load does, and copies while the page is there;
//! - `destroy` closes the region and frees the blocks.
//!
//! Invariants: the valid pages of a process are the first of its arena, and each has a block of its own;
//! a block is in use exactly if a valid page has it.

use std::collections::HashMap;

use vmcore::bitmap::{words_for, Bitmap, BitmapState};
use vmcore::config::Config;
use vmcore::engine::{Engine, Hooks, Seams, StartError};
use vmcore::events::Who;
use vmcore::index::PageNumber;
use vmcore::page::{Access, Pte, State};
use vmcore::pager::{Outcome, Place};
use vmcore::policy;
use vmcore::region::Outlook;

use crate::machine::Machine;
use crate::protocol::{Entry, ARENA_BASE, ARENA_PAGES, ARENA_SIZE, MOST_FRAMES, PAGE_SIZE};
use crate::space::Space;

/// Why an access or a message was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A byte is not in a valid page.
    Invalid,
    /// The page cannot be had: the disk failed.
    Lost,
}

/// Why there is no page more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoPage {
    /// Every disk block is reserved.
    DiskFull,
    /// Every page of the arena is valid.
    ArenaFull,
    /// The pager itself has no memory left for its tables.
    Memory,
}

/// A pager that cannot be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoStart {
    /// The number of physical pages is 0, or more than an entry can name.
    Pages(u32),
    /// The engine could not be made.
    Engine(StartError),
}

impl core::fmt::Display for NoStart {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            NoStart::Pages(pages) => write!(out, "{pages} pages of physical memory: 1 to {MOST_FRAMES} are possible"),
            NoStart::Engine(error) => write!(out, "no memory for the page tables: {error:?}"),
        }
    }
}

impl std::error::Error for NoStart {}

struct Process {
    place: Place,
    space: &'static Space,
    outlook: &'static Outlook,
    valid: u32,
}

/// Which disk blocks are reserved.
struct Blocks {
    words: Vec<u64>,
    state: BitmapState,
}

impl Blocks {
    fn map(&mut self) -> Bitmap<'_> {
        Bitmap::new(&mut self.words, &mut self.state)
    }
}

/// The pager.
pub struct Decisions {
    engine: &'static Engine,
    machine: &'static dyn Machine,
    blocks: Blocks,
    processes: HashMap<i32, Process>,
    spare: Vec<(&'static Space, &'static Outlook)>,
    current: Option<i32>,
}

impl Decisions {
    /// Processes at a time.
    pub const MOST_PROCESSES: u32 = 1024;

    /// `vm_init`: nothing is in use. Its frames and tables are given back when it is dropped.
    pub fn new(memory_pages: u32, disk_blocks: u32, machine: &'static dyn Machine) -> Result<Decisions, NoStart> {
        if !(1..=MOST_FRAMES).contains(&memory_pages) {
            return Err(NoStart::Pages(memory_pages));
        }
        let config = Config {
            arena: 0,
            swap: 0,
            heap: ARENA_SIZE as u64,
            shared: 0,
            page: PAGE_SIZE as u64,
            policy: policy::by_name(b"clock").unwrap_or(policy::POLICIES[0]),
            swap_dir: b"/",
            stats: None,
            trace: None,
        };
        let hooks = Hooks { arm: || {}, who: || Who { thread: 0, counters: None } };
        let engine =
            Engine::exact(&config, hooks, Seams::LIVE, memory_pages, Decisions::MOST_PROCESSES).map_err(NoStart::Engine)?;
        let blocks = Blocks { words: vec![0; words_for(disk_blocks)], state: BitmapState::new(disk_blocks) };
        Ok(Decisions {
            engine: Box::leak(Box::new(engine)),
            machine,
            blocks,
            processes: HashMap::new(),
            spare: Vec::new(),
            current: None,
        })
    }

    /// `vm_create`; false if there is such a process already, or no room for another.
    pub fn create(&mut self, process: i32) -> bool {
        if self.processes.contains_key(&process) {
            return false;
        }
        let (space, outlook) = self.spare.pop().unwrap_or_else(|| Space::make(self.machine));
        let Some(place) = self.engine.open_region(Some(outlook)) else {
            self.spare.push((space, outlook));
            return false;
        };
        space.give_to(process);
        self.processes.insert(process, Process { place, space, outlook, valid: 0 });
        true
    }

    /// `vm_switch`; false if there is no such process.
    pub fn switch(&mut self, process: i32) -> bool {
        let exists = self.processes.contains_key(&process);
        if exists {
            self.current = Some(process);
        }
        exists
    }

    /// The current process.
    pub fn current(&self) -> Option<i32> {
        self.current
    }

    /// What the page table of the current process says about the page of an address.
    pub fn entry(&self, address: usize) -> Entry {
        let Some((process, page)) = self.page_of(address) else {
            return Entry::default();
        };
        let pte = process.place.entry(PageNumber::new(page.into())).load();
        if pte.state() != State::Resident || !pte.has(Pte::READ) {
            return Entry::default();
        }
        Entry { frame: pte.frame().get(), read_enable: true, write_enable: pte.has(Pte::WRITE) }
    }

    /// `vm_fault`.
    pub fn fault(&mut self, address: usize, write: bool) -> Result<(), Fault> {
        let (process, page) = self.page_of(address).ok_or(Fault::Invalid)?;
        let access = if write { Access::Write } else { Access::Read };
        match self.engine.fault(process.place.page_address(PageNumber::new(page.into())), access, false) {
            Outcome::Resolved => Ok(()),
            Outcome::Stray => Err(Fault::Invalid),
            Outcome::Lost => Err(Fault::Lost),
        }
    }

    /// `vm_extend`: the address of the page that is valid from now on.
    pub fn extend(&mut self) -> Result<usize, NoPage> {
        let process = self.current.and_then(|current| self.processes.get_mut(&current)).ok_or(NoPage::ArenaFull)?;
        let page = process.valid;
        if page >= ARENA_PAGES {
            return Err(NoPage::ArenaFull);
        }
        let block = self.blocks.map().take_lowest().ok_or(NoPage::DiskFull)?;
        if !self.engine.extend_region(&process.place, PageNumber::new(page.into()), 1) {
            let given = self.blocks.map().give(block, 1);
            debug_assert!(given, "block {block} was just taken");
            return Err(NoPage::Memory);
        }
        process.space.keep_in(page, block);
        process.valid = page + 1;
        Ok(ARENA_BASE + page as usize * PAGE_SIZE)
    }

    /// `vm_syslog`: hands the bytes over in pieces `(frame, offset in it, length)`, each of which lies in its
    /// frame only as long as the call for it. Nothing is handed over if a byte is invalid.
    pub fn syslog(&mut self, address: usize, len: u32, mut take: impl FnMut(u32, usize, usize)) -> Result<(), Fault> {
        let last = (len as usize).checked_sub(1).and_then(|more| address.checked_add(more)).ok_or(Fault::Invalid)?;
        // Valid pages are the first of the arena, so all are valid if the two ends are.
        if self.page_of(address).is_none() || self.page_of(last).is_none() {
            return Err(Fault::Invalid);
        }
        let mut at = address;
        while at <= last {
            if !self.entry(at).allows(false) {
                self.fault(at, false)?;
            }
            let offset = at % PAGE_SIZE;
            let n = (PAGE_SIZE - offset).min(last - at + 1);
            take(self.entry(at).frame, offset, n);
            at += n;
        }
        Ok(())
    }

    /// `vm_destroy`: the current process has ended. Then there is no current process.
    pub fn destroy(&mut self) {
        let Some(process) = self.current.take().and_then(|current| self.processes.remove(&current)) else {
            return;
        };
        self.engine.close_region(&process.place);
        for page in 0..process.valid {
            let given = self.blocks.map().give(process.space.block(page), 1);
            debug_assert!(given, "a valid page has a block");
        }
        self.spare.push((process.space, process.outlook));
    }

    /// The current process and the valid page of its that contains the address.
    fn page_of(&self, address: usize) -> Option<(&Process, u32)> {
        let process = self.processes.get(&self.current?)?;
        let page = u32::try_from(address.checked_sub(ARENA_BASE)? / PAGE_SIZE).ok()?;
        (page < process.valid).then_some((process, page))
    }
}

impl Drop for Decisions {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: made by `Engine::exact`; it and its places are known to this pager only, which ends here.
        unsafe { self.engine.dissolve() };
    }
}
