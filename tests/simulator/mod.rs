//! A single-threaded pager without memory: it replays page references through the production
//! policies, rings, allocation maps and counters, and says what would have happened.

use std::collections::{HashMap, HashSet};

use vmcore::bitmap::{words_for, Bitmap, BitmapState};
use vmcore::policy::{Bits, Node, Policy, Ring, RingState};
use vmcore::events::stats::{Counters, Eviction, FaultKind};
use vmcore::page::Access;

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
    nodes: Vec<Node>,
    ring: RingState,
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
    fn take_referenced(&mut self, frame: u32) -> bool {
        std::mem::take(&mut self.0[frame as usize].referenced)
    }

    fn is_dirty(&self, frame: u32) -> bool {
        self.0[frame as usize].dirty
    }

    fn is_evictable(&self, _frame: u32) -> bool {
        true
    }
}

impl Simulator {
    /// A pager with `frames` empty frames.
    pub fn new(policy: &'static dyn Policy, frames: u32) -> Self {
        Simulator {
            policy,
            nodes: vec![Node::default(); frames as usize],
            ring: RingState::new(1),
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
        let resident = &mut self.frames[frame as usize];
        let kind = if self.policy.samples_references() && !resident.referenced {
            resident.referenced = true;
            let mut ring = Ring::new(&mut self.nodes, &mut self.ring);
            self.policy.referenced(&mut ring, frame);
            FaultKind::Reference
        } else if access == Access::Write && !resident.dirty {
            FaultKind::FirstWrite
        } else {
            return None;
        };
        let dirtied = access == Access::Write && !resident.dirty;
        resident.dirty |= dirtied;
        Some(Fault { kind, dirtied, frame, evicted: None })
    }

    fn load(&mut self, page: u32, access: Access) -> Fault {
        let mut evicted = None;
        if self.map.free() == 0 {
            evicted = Some(self.evict());
        }
        let mut map = Bitmap::new(&mut self.map_words, &mut self.map);
        let frame = map.take().expect("a frame is free now");
        self.frames[frame as usize] = Resident { page, referenced: true, dirty: access == Access::Write };
        self.frame_of.insert(page, frame);
        let mut ring = Ring::new(&mut self.nodes, &mut self.ring);
        self.policy.inserted(&mut ring, frame);
        let kind = if self.in_swap.contains(&page) { FaultKind::SwapIn } else { FaultKind::FirstTouch };
        Fault { kind, dirtied: access == Access::Write, frame, evicted }
    }

    fn evict(&mut self) -> (u32, Eviction) {
        let mut ring = Ring::new(&mut self.nodes, &mut self.ring);
        let victim = self.policy.victim(&mut ring, &mut FrameBits(&mut self.frames));
        let frame = victim.expect("every page may leave");
        self.policy.removed(&mut ring, frame);
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
