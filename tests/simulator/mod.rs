//! A single-threaded pager without memory: it replays page references through the production
//! policies, lists, allocation maps and counters, and says what would have happened.

use std::collections::{HashMap, HashSet};

use vmcore::bitmap::{words_for, Bitmap, BitmapState};
use vmcore::events::stats::{Counters, Eviction, FaultKind};
use vmcore::index::FrameIndex;
use vmcore::page::Access;
use vmcore::policy::{Arrival, Bits, Departure, Ghost, Lists, ListsState, Node, PageId, Policy};

/// What the pager sees of the use of a page after the access that loaded it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sight {
    /// What a real pager sees: R is 1 at load, since the page is open, until the policy takes it.
    Live,
    /// Every access: R is 0 at load, and so is the protection.
    Whole,
}

/// The page in a frame, with its bits.
#[derive(Clone, Copy, Default)]
struct Resident {
    page: u32,
    referenced: bool,
    dirty: bool,
}

/// What one access did, if it faulted.
pub struct Fault {
    pub kind: FaultKind,
    /// A clean page became dirty by it.
    pub dirtied: bool,
    pub frame: u32,
    pub evicted: Option<(u32, Eviction)>,
}

/// The pager.
pub struct Simulator {
    policy: &'static dyn Policy,
    sight: Sight,
    nodes: Vec<Node>,
    ghosts: Vec<Ghost>,
    lists: ListsState,
    map_words: Vec<u64>,
    map: BitmapState,
    frames: Vec<Resident>,
    frame_of: HashMap<u32, u32>,
    in_swap: HashSet<u32>,
    /// What happened so far.
    pub counters: Counters,
}

struct FrameBits<'s>(&'s mut [Resident]);

impl Bits for FrameBits<'_> {
    fn take_referenced(&mut self, frame: FrameIndex) -> bool {
        std::mem::take(&mut self.0[frame.get() as usize].referenced)
    }

    fn is_dirty(&self, frame: FrameIndex) -> bool {
        self.0[frame.get() as usize].dirty
    }

    fn is_evictable(&self, _frame: FrameIndex) -> bool {
        true
    }
}

/// Bits that cannot be reset.
struct NoBits;

impl Bits for NoBits {
    fn take_referenced(&mut self, _frame: FrameIndex) -> bool {
        true
    }

    fn is_dirty(&self, _frame: FrameIndex) -> bool {
        false
    }

    fn is_evictable(&self, _frame: FrameIndex) -> bool {
        false
    }
}

impl Simulator {
    /// A pager with `frames` empty frames.
    pub fn new(policy: &'static dyn Policy, frames: u32, sight: Sight) -> Self {
        let ghosts = policy.ghosts(frames) as usize;
        Simulator {
            policy,
            sight,
            nodes: vec![Node::default(); frames as usize + ghosts],
            ghosts: vec![Ghost::default(); ghosts],
            lists: ListsState::new(frames, 1),
            map_words: vec![0; words_for(frames)],
            map: BitmapState::new(frames),
            frames: vec![Resident::default(); frames as usize],
            frame_of: HashMap::new(),
            in_swap: HashSet::new(),
            counters: Counters::new(),
        }
    }

    /// One access of the program.
    pub fn access(&mut self, page: u32, access: Access) -> Option<Fault> {
        let fault = match self.frame_of.get(&page) {
            Some(&frame) => self.touch(frame, access),
            None => Some(self.load(page, access)),
        };
        if let Some(fault) = &fault {
            self.counters.count(fault.kind.counter());
            if let Some((_, eviction)) = fault.evicted {
                self.counters.count(eviction.counter());
            }
        }
        fault
    }

    /// A resident page. It is protected while R is reset, and against writes while M is.
    fn touch(&mut self, frame: u32, access: Access) -> Option<Fault> {
        let kind = if self.policy.samples_references() && !self.frames[frame as usize].referenced {
            self.frames[frame as usize].referenced = true;
            let mut lists = Lists::new(&mut self.nodes, &mut self.ghosts, &mut self.lists);
            self.policy.referenced(&mut lists, FrameIndex::new(frame), &mut FrameBits(&mut self.frames));
            FaultKind::Reference
        } else if access == Access::Write && !self.frames[frame as usize].dirty {
            FaultKind::FirstWrite
        } else {
            return None;
        };
        let resident = &mut self.frames[frame as usize];
        let dirtied = access == Access::Write && !resident.dirty;
        resident.dirty |= dirtied;
        Some(Fault { kind, dirtied, frame, evicted: None })
    }

    fn load(&mut self, page: u32, access: Access) -> Fault {
        let id = PageId(page.into());
        let mut lists = Lists::new(&mut self.nodes, &mut self.ghosts, &mut self.lists);
        match self.sight {
            Sight::Live => self.policy.missed(&mut lists, id, &mut FrameBits(&mut self.frames)),
            // R of the newcomer was never set by its load, so it says something, and must not be reset.
            Sight::Whole => self.policy.missed(&mut lists, id, &mut NoBits),
        }
        let mut evicted = None;
        if self.map.free() == 0 {
            evicted = Some(self.evict());
        }
        let mut map = Bitmap::new(&mut self.map_words, &mut self.map);
        let frame = map.take().expect("a frame is free now");
        self.frames[frame as usize] = Resident { page, referenced: self.sight == Sight::Live, dirty: access == Access::Write };
        self.frame_of.insert(page, frame);
        let mut lists = Lists::new(&mut self.nodes, &mut self.ghosts, &mut self.lists);
        let mut bits = FrameBits(&mut self.frames);
        self.policy.inserted(&mut lists, FrameIndex::new(frame), id, Arrival::Fault, &mut bits);
        let kind = if self.in_swap.contains(&page) { FaultKind::SwapIn } else { FaultKind::FirstTouch };
        Fault { kind, dirtied: access == Access::Write, frame, evicted }
    }

    fn evict(&mut self) -> (u32, Eviction) {
        let mut lists = Lists::new(&mut self.nodes, &mut self.ghosts, &mut self.lists);
        let victim = self.policy.victim(&mut lists, &mut FrameBits(&mut self.frames)).expect("every page may leave");
        let frame = victim.get();
        let id = PageId(self.frames[frame as usize].page.into());
        self.policy.removed(&mut lists, victim, id, Departure::Evicted);
        let mut map = Bitmap::new(&mut self.map_words, &mut self.map);
        assert!(map.give(frame, 1), "the victim's frame was in use");

        let Resident { page, dirty, .. } = self.frames[frame as usize];
        assert_eq!(self.frame_of.remove(&page), Some(frame));
        let eviction = if dirty {
            self.in_swap.insert(page);
            Eviction::Dirty
        } else if self.in_swap.contains(&page) {
            Eviction::Clean
        } else {
            Eviction::Zero
        };
        (page, eviction)
    }
}
