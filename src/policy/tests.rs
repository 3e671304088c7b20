//! Every policy against its naive reference, and against bits that do their worst.

use super::*;
use naive::Naive;
use proptest::prelude::*;

mod model;
mod naive;
mod naive_clockpro;

const FRAMES: u32 = 10;
const PAGES: u64 = 24;

/// A page in a frame.
#[derive(Clone, Debug, PartialEq)]
struct Page {
    frame: u32,
    id: u64,
    referenced: bool,
    dirty: bool,
    pinned: bool,
}

/// The pages in frames: the bits as a policy sees them.
#[derive(Clone, Debug, PartialEq, Default)]
struct Table(Vec<Page>);

impl Table {
    fn page(&self, frame: u32) -> &Page {
        self.0.iter().find(|page| page.frame == frame).unwrap()
    }

    fn take(&mut self, frame: u32) -> bool {
        let page = self.0.iter_mut().find(|page| page.frame == frame).unwrap();
        std::mem::take(&mut page.referenced)
    }
}

impl Bits for Table {
    fn take_referenced(&mut self, frame: FrameIndex) -> bool {
        self.take(frame.get())
    }

    fn is_dirty(&self, frame: FrameIndex) -> bool {
        self.page(frame.get()).dirty
    }

    fn is_evictable(&self, frame: FrameIndex) -> bool {
        !self.page(frame.get()).pinned
    }
}

/// The arrays and the state of a policy.
struct Kept {
    nodes: Vec<Node>,
    ghosts: Vec<Ghost>,
    state: ListsState,
}

impl Kept {
    fn new(policy: &dyn Policy, frames: u32) -> Kept {
        let ghosts = policy.ghosts(frames) as usize;
        Kept {
            nodes: vec![Node::default(); frames as usize + ghosts],
            ghosts: vec![Ghost::default(); ghosts],
            state: ListsState::new(frames, 1),
        }
    }

    fn lists(&mut self) -> Lists<'_> {
        Lists::new(&mut self.nodes, &mut self.ghosts, &mut self.state)
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// The program touches a page; if it is absent it comes into that frame, should it be free.
    Touch {
        id: u64,
        frame: u32,
        write: bool,
    },
    MapAhead {
        id: u64,
        frame: u32,
    },
    Pin(u32, bool),
    Free(u32),
    Evict,
    /// The pager asks for a victim and refuses it.
    Refuse,
    /// The pager takes the victim and finds that it has to stay.
    Keep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (frame, id) = (0..FRAMES, 0..PAGES);
    let step = prop_oneof![
        12 => (id.clone(), frame.clone(), any::<bool>()).prop_map(|(id, frame, write)| Step::Touch { id, frame, write }),
        1 => (id, frame.clone()).prop_map(|(id, frame)| Step::MapAhead { id, frame }),
        1 => (frame.clone(), any::<bool>()).prop_map(|(frame, pin)| Step::Pin(frame, pin)),
        1 => frame.prop_map(Step::Free),
        5 => Just(Step::Evict),
        1 => Just(Step::Refuse),
        1 => Just(Step::Keep),
    ];
    proptest::collection::vec(step, 0..400)
}

/// A policy and its reference, each with bits of its own.
struct Pair {
    policy: &'static dyn Policy,
    kept: Kept,
    table: Table,
    naive: Naive,
    naive_table: Table,
}

impl Pair {
    fn new(policy: &'static dyn Policy) -> Pair {
        let naive = Naive::new(policy.name(), FRAMES);
        Pair { policy, kept: Kept::new(policy, FRAMES), table: Table::default(), naive, naive_table: Table::default() }
    }

    fn tables(&mut self) -> [&mut Table; 2] {
        [&mut self.table, &mut self.naive_table]
    }

    fn insert(&mut self, page: &Page, arrival: Arrival) {
        self.tables().iter_mut().for_each(|table| table.0.push(page.clone()));
        let frame = FrameIndex::new(page.frame);
        self.policy.inserted(&mut self.kept.lists(), frame, PageId(page.id), arrival, &mut self.table);
        self.naive.inserted(page.frame, page.id, arrival, &mut self.naive_table);
    }

    fn remove(&mut self, frame: u32, departure: Departure) -> Page {
        let page = self.table.page(frame).clone();
        self.policy.removed(&mut self.kept.lists(), FrameIndex::new(frame), PageId(page.id), departure);
        self.naive.removed(frame, page.id, departure);
        self.tables().iter_mut().for_each(|table| table.0.retain(|page| page.frame != frame));
        page
    }

    fn touch(&mut self, id: u64, frame: u32, write: bool) {
        if let Some(page) = self.table.0.iter().find(|page| page.id == id).cloned() {
            for table in self.tables() {
                for page in table.0.iter_mut().filter(|page| page.id == id) {
                    page.referenced = true;
                    page.dirty |= write;
                }
            }
            if !page.referenced {
                self.policy.referenced(&mut self.kept.lists(), FrameIndex::new(page.frame), &mut self.table);
                self.naive.referenced(page.frame, &mut self.naive_table);
            }
        } else {
            self.policy.missed(&mut self.kept.lists(), PageId(id), &mut self.table);
            self.naive.missed(id, &mut self.naive_table);
            // If the frame is not free the fault fails.
            self.load(id, frame, write, Arrival::Fault);
        }
    }

    fn load(&mut self, id: u64, frame: u32, write: bool, arrival: Arrival) {
        if self.table.0.iter().all(|page| page.frame != frame && page.id != id) {
            self.insert(&Page { frame, id, referenced: true, dirty: write, pinned: false }, arrival);
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Touch { id, frame, write } => self.touch(id, frame, write),
            Step::MapAhead { id, frame } => self.load(id, frame, true, Arrival::MappedAhead),
            Step::Pin(frame, pinned) => {
                for table in self.tables() {
                    table.0.iter_mut().filter(|page| page.frame == frame).for_each(|page| page.pinned = pinned);
                }
            }
            Step::Free(frame) => {
                if self.table.0.iter().any(|page| page.frame == frame) {
                    self.remove(frame, Departure::Freed);
                }
            }
            Step::Evict | Step::Refuse | Step::Keep => {
                let victim = self.policy.victim(&mut self.kept.lists(), &mut self.table).map(FrameIndex::get);
                assert_eq!(victim, self.naive.victim(&mut self.naive_table), "{:?}", self.policy);
                assert!(victim.is_none_or(|frame| !self.table.page(frame).pinned));
                assert_eq!(victim.is_none(), self.table.0.iter().all(|page| page.pinned), "{:?}", self.policy);
                let Some(frame) = victim.filter(|_| !matches!(step, Step::Refuse)) else {
                    return;
                };
                let page = self.remove(frame, Departure::Evicted);
                if matches!(step, Step::Keep) {
                    self.insert(&page, Arrival::Back);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn policies_agree_with_their_references(steps in steps()) {
        for policy in POLICIES {
            let mut pair = Pair::new(policy);
            for step in &steps {
                pair.step(step);
                prop_assert_eq!(&pair.table, &pair.naive_table, "R of {:?}", policy);
            }
        }
    }
}

/// Every page is dirty and used again at once; one of them may leave. Counts the questions.
struct Busy {
    evictable: Option<u32>,
    asked: std::cell::Cell<u32>,
}

impl Busy {
    fn count(&self) {
        self.asked.set(self.asked.get() + 1);
    }
}

impl Bits for Busy {
    fn take_referenced(&mut self, _frame: FrameIndex) -> bool {
        self.count();
        true
    }

    fn is_dirty(&self, _frame: FrameIndex) -> bool {
        true
    }

    fn is_evictable(&self, frame: FrameIndex) -> bool {
        self.count();
        self.evictable == Some(frame.get())
    }
}

#[test]
fn the_search_ends_whatever_the_bits_say() {
    const MANY: u32 = 1000;
    for policy in POLICIES {
        for evictable in [None, Some(0), Some(MANY - 1)] {
            let mut kept = Kept::new(policy, MANY);
            let mut bits = Busy { evictable, asked: Default::default() };
            for frame in 0..MANY {
                // Half of them known from before, if the policy remembers.
                let (page, at) = (PageId(frame.into()), FrameIndex::new(frame));
                policy.inserted(&mut kept.lists(), at, page, Arrival::Fault, &mut bits);
                if frame % 2 == 0 {
                    policy.removed(&mut kept.lists(), at, page, Departure::Evicted);
                    policy.inserted(&mut kept.lists(), at, page, Arrival::Fault, &mut bits);
                }
            }
            bits.asked.set(0);
            let victim = policy.victim(&mut kept.lists(), &mut bits);
            assert_eq!(victim.map(FrameIndex::get), evictable, "{policy:?}");
            assert!(bits.asked.get() <= 8 * MANY, "{policy:?} asked {:?}", bits.asked);
        }
    }
}

#[test]
fn wrong_numbers_and_no_memory_do_nothing() {
    for policy in POLICIES {
        for (nodes, ghosts, capacity) in [(0, 0, 0), (0, 0, 9), (1, 0, 1), (2, 1, 5)] {
            let (mut nodes, mut ghosts) = (vec![Node::default(); nodes], vec![Ghost::default(); ghosts]);
            let mut state = ListsState::new(capacity, 1);
            let mut lists = Lists::new(&mut nodes, &mut ghosts, &mut state);
            let mut bits = Busy { evictable: None, asked: Default::default() };
            for frame in [7, u32::MAX, u32::MAX - 1].map(FrameIndex::new) {
                policy.missed(&mut lists, PageId(7), &mut bits);
                policy.inserted(&mut lists, frame, PageId(7), Arrival::Fault, &mut bits);
                policy.referenced(&mut lists, frame, &mut bits);
                policy.removed(&mut lists, frame, PageId(7), Departure::Evicted);
                assert_eq!(policy.victim(&mut lists, &mut bits), None, "{policy:?}");
            }
        }
    }
}

#[test]
fn policies_are_found_by_their_names() {
    for policy in POLICIES {
        assert_eq!(by_name(policy.name().as_bytes()).unwrap().name(), policy.name());
        assert!(!policy.summary().is_empty());
    }
    assert!(by_name(b"mru").is_none() && by_name(b"").is_none());
}
