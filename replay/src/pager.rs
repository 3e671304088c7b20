//! A single-threaded pager without memory: it runs the production policies over page references and
//! says what would have happened.

use crate::{Counts, Error, MOST_FRAMES};
use vmcore::events::stats::{Eviction, FaultKind};
use vmcore::index::{FrameIndex, Link};
use vmcore::page::Access;
use vmcore::policy::{Arrival, Bits, Departure, Ghost, Lists, ListsState, Node, PageId, Policy};

/// What the pager sees of the use of a page after the access that loaded it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sight {
    /// What a real pager sees: R is 1 at load, since the page is open, until the policy takes it.
    Live,
    /// Every access: R is 0 at load, and the page protected.
    Whole,
}

/// What one access did, if it faulted.
pub struct Fault {
    /// What kind of fault it was.
    pub kind: FaultKind,
    /// A page became dirty by it.
    pub dirtied: bool,
    /// The frame of the page.
    pub frame: u32,
    /// The page that had to leave.
    pub evicted: Option<(u32, Eviction)>,
}

/// The page in a frame, with its bits.
#[derive(Clone, Copy, Default)]
struct Resident {
    page: u32,
    referenced: bool,
    dirty: bool,
}

/// What is known of a page.
#[derive(Clone, Copy, Default)]
struct Page {
    frame: Link<FrameIndex>,
    was_here: bool,
    in_swap: bool,
}

/// The pager.
pub struct Pager {
    policy: &'static dyn Policy,
    sight: Sight,
    samples: bool,
    nodes: Vec<Node>,
    ghosts: Vec<Ghost>,
    lists: ListsState,
    frames: Vec<Resident>,
    used: u32,
    pages: Vec<Page>,
    counts: Counts,
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

/// For [`Sight::Whole`]: R of a newcomer was not set by its load, so it says something and is kept.
struct Untouched;

impl Bits for Untouched {
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

impl Pager {
    /// A pager with `frames` empty frames.
    pub fn new(policy: &'static dyn Policy, frames: u32, sight: Sight) -> Result<Self, Error> {
        if frames == 0 || frames > MOST_FRAMES {
            return Err(Error::Frames(frames.into()));
        }
        let ghosts = policy.ghosts(frames) as usize;
        Ok(Pager {
            policy,
            sight,
            samples: policy.samples_references(),
            nodes: vec![Node::default(); frames as usize + ghosts],
            ghosts: vec![Ghost::default(); ghosts],
            lists: ListsState::new(frames, 1),
            frames: vec![Resident::default(); frames as usize],
            used: 0,
            pages: Vec::new(),
            counts: Counts::default(),
        })
    }

    /// What happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// One access of the program to the page of that number.
    #[inline]
    pub fn access(&mut self, page: u32, access: Access) -> Option<Fault> {
        self.counts.refs += 1;
        match self.pages.get(page as usize).and_then(|page| page.frame.get()) {
            Some(frame) => self.touch(frame, access),
            None => Some(self.load(page, access)),
        }
    }

    /// A resident page. It is protected while R is reset, and against writes while M is.
    #[inline]
    fn touch(&mut self, frame: FrameIndex, access: Access) -> Option<Fault> {
        let resident = &mut self.frames[frame.get() as usize];
        let dirtied = access == Access::Write && !resident.dirty;
        let sampled = self.samples && !resident.referenced;
        if !dirtied && !sampled {
            return None;
        }
        resident.dirty |= dirtied;
        resident.referenced = true;
        let kind = if sampled {
            self.counts.ref_soft_faults += 1;
            let mut lists = Lists::new(&mut self.nodes, &mut self.ghosts, &mut self.lists);
            self.policy.referenced(&mut lists, frame, &mut FrameBits(&mut self.frames));
            FaultKind::Reference
        } else {
            self.counts.dirty_faults += 1;
            FaultKind::FirstWrite
        };
        Some(Fault { kind, dirtied, frame: frame.get(), evicted: None })
    }

    fn load(&mut self, number: u32, access: Access) -> Fault {
        if self.pages.len() <= number as usize {
            self.pages.resize(number as usize + 1, Page::default());
        }
        let id = PageId(number.into());
        let mut lists = Lists::new(&mut self.nodes, &mut self.ghosts, &mut self.lists);
        match self.sight {
            Sight::Live => self.policy.missed(&mut lists, id, &mut FrameBits(&mut self.frames)),
            Sight::Whole => self.policy.missed(&mut lists, id, &mut Untouched),
        }
        let (frame, evicted) = if (self.used as usize) < self.frames.len() {
            self.used += 1;
            (FrameIndex::new(self.used - 1), None)
        } else {
            let (frame, page, eviction) = self.evict();
            (frame, Some((page, eviction)))
        };
        let dirty = access == Access::Write;
        self.frames[frame.get() as usize] = Resident { page: number, referenced: self.sight == Sight::Live, dirty };
        let mut lists = Lists::new(&mut self.nodes, &mut self.ghosts, &mut self.lists);
        self.policy.inserted(&mut lists, frame, id, Arrival::Fault, &mut FrameBits(&mut self.frames));
        let page = &mut self.pages[number as usize];
        self.counts.misses += 1;
        self.counts.cold += u64::from(!page.was_here);
        self.counts.refaults += u64::from(page.was_here);
        self.counts.swapins += u64::from(page.in_swap);
        page.frame = Link::to(frame);
        page.was_here = true;
        let kind = if page.in_swap { FaultKind::SwapIn } else { FaultKind::FirstTouch };
        Fault { kind, dirtied: dirty, frame: frame.get(), evicted }
    }

    fn evict(&mut self) -> (FrameIndex, u32, Eviction) {
        let mut lists = Lists::new(&mut self.nodes, &mut self.ghosts, &mut self.lists);
        let victim = self.policy.victim(&mut lists, &mut FrameBits(&mut self.frames));
        // A policy of somebody's own may name none, or a frame that there is not: then some page has to leave.
        let frame = victim.filter(|frame| (frame.get() as usize) < self.frames.len()).unwrap_or(FrameIndex::new(0));
        let Resident { page: number, dirty, .. } = self.frames[frame.get() as usize];
        self.policy.removed(&mut lists, frame, PageId(number.into()), Departure::Evicted);
        let page = &mut self.pages[number as usize];
        page.frame = Link::NONE;
        self.counts.evictions += 1;
        self.counts.writebacks += u64::from(dirty);
        self.counts.clean_evictions += u64::from(!dirty);
        let eviction = match (dirty, page.in_swap) {
            (true, _) => Eviction::Dirty,
            (false, true) => Eviction::Clean,
            (false, false) => Eviction::Zero,
        };
        page.in_swap |= dirty;
        (frame, number, eviction)
    }
}
