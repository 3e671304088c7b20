//! Every policy against a naive reference, and against bits that do their worst.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

const FRAMES: u32 = 10;

/// A page in the reference's queue.
#[derive(Clone, Debug)]
struct Page {
    frame: u32,
    referenced: bool,
    dirty: bool,
    pinned: bool,
    marked: bool,
}

/// The bits as the policy under test sees them.
struct Table(Vec<Page>);

impl Table {
    fn page(&self, frame: u32) -> &Page {
        self.0.iter().find(|page| page.frame == frame).unwrap()
    }
}

impl Bits for Table {
    fn take_referenced(&mut self, frame: u32) -> bool {
        let page = self.0.iter_mut().find(|page| page.frame == frame).unwrap();
        std::mem::take(&mut page.referenced)
    }

    fn is_dirty(&self, frame: u32) -> bool {
        self.page(frame).dirty
    }

    fn is_evictable(&self, frame: u32) -> bool {
        !self.page(frame).pinned
    }
}

/// The rules, told as a story of a queue: the page at the front either leaves or goes to the back.
fn reference_victim(name: &str, queue: &mut VecDeque<Page>, random: &mut u64) -> Option<u32> {
    if name == "random" {
        for _ in 0..32 {
            let drawn = (splitmix64(random) % u64::from(FRAMES)) as u32;
            if queue.iter().any(|page| page.frame == drawn && !page.pinned) {
                return Some(drawn);
            }
        }
    }
    if queue.iter().all(|page| page.pinned) {
        return None;
    }
    loop {
        let mut page = queue.pop_front()?;
        let chance = match name {
            _ if page.pinned => true,
            "clock" | "third-chance" if page.referenced => {
                page.referenced = false;
                page.marked = false;
                true
            }
            "third-chance" if page.dirty && !page.marked => {
                page.marked = true;
                true
            }
            _ => false,
        };
        if !chance {
            let frame = page.frame;
            queue.push_front(page);
            return Some(frame);
        }
        queue.push_back(page);
    }
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E3779B97F4A7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D049BB133111EB);
    z ^ (z >> 31)
}

#[derive(Clone, Debug)]
enum Step {
    Load {
        frame: u32,
        write: bool,
    },
    Touch {
        frame: u32,
        write: bool,
    },
    Pin(u32, bool),
    Free(u32),
    Evict,
    /// The pager asks for a victim and refuses it.
    Refuse,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let frame = 0..FRAMES;
    let step = prop_oneof![
        4 => (frame.clone(), any::<bool>()).prop_map(|(frame, write)| Step::Load { frame, write }),
        4 => (frame.clone(), any::<bool>()).prop_map(|(frame, write)| Step::Touch { frame, write }),
        1 => (frame.clone(), any::<bool>()).prop_map(|(frame, pin)| Step::Pin(frame, pin)),
        1 => frame.prop_map(Step::Free),
        3 => Just(Step::Evict),
        1 => Just(Step::Refuse),
    ];
    proptest::collection::vec(step, 0..300)
}

proptest! {
    #[test]
    fn policies_agree_with_their_references(steps in steps()) {
        for policy in POLICIES {
            let mut nodes = [Node::default(); FRAMES as usize];
            let mut state = RingState::new(1);
            let mut table = Table(Vec::new());
            let (mut queue, mut random) = (VecDeque::<Page>::new(), 1);
            for step in &steps {
                let mut ring = Ring::new(&mut nodes, &mut state);
                let mut gone = None;
                match *step {
                    Step::Load { frame, write } if !ring.contains(frame) => {
                        policy.inserted(&mut ring, frame);
                        let page = Page { frame, referenced: true, dirty: write, pinned: false, marked: false };
                        table.0.push(page.clone());
                        queue.push_back(page);
                    }
                    Step::Load { frame, write } | Step::Touch { frame, write } => {
                        for page in table.0.iter_mut().chain(&mut queue).filter(|page| page.frame == frame) {
                            page.referenced = true;
                            page.dirty |= write;
                        }
                        policy.referenced(&mut ring, frame);
                    }
                    Step::Pin(frame, pinned) => {
                        for page in table.0.iter_mut().chain(&mut queue).filter(|page| page.frame == frame) {
                            page.pinned = pinned;
                        }
                    }
                    Step::Free(frame) => gone = Some(frame),
                    Step::Evict | Step::Refuse => {
                        let victim = policy.victim(&mut ring, &mut table);
                        prop_assert_eq!(victim, reference_victim(policy.name(), &mut queue, &mut random), "{:?}", policy);
                        gone = victim.filter(|_| matches!(step, Step::Evict));
                    }
                }
                if let Some(frame) = gone {
                    policy.removed(&mut ring, frame);
                    table.0.retain(|page| page.frame != frame);
                    queue.retain(|page| page.frame != frame);
                }
                prop_assert_eq!(ring.len() as usize, queue.len());
            }
        }
    }
}

/// Every page is dirty and used again at once; `evictable` of them may leave. Counts the questions.
struct Busy {
    evictable: Option<u32>,
    asked: std::cell::Cell<u32>,
}

impl Bits for Busy {
    fn take_referenced(&mut self, _frame: u32) -> bool {
        true
    }

    fn is_dirty(&self, _frame: u32) -> bool {
        true
    }

    fn is_evictable(&self, frame: u32) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.evictable == Some(frame)
    }
}

#[test]
fn the_search_ends_whatever_the_bits_say() {
    const MANY: u32 = 1000;
    for policy in POLICIES {
        for evictable in [None, Some(0), Some(MANY - 1)] {
            let mut nodes = [Node::default(); MANY as usize];
            let mut state = RingState::new(1);
            let mut ring = Ring::new(&mut nodes, &mut state);
            for frame in 0..MANY {
                policy.inserted(&mut ring, frame);
            }
            let mut bits = Busy { evictable, asked: Default::default() };
            assert_eq!(policy.victim(&mut ring, &mut bits), evictable, "{policy:?}");
            assert!(bits.asked.get() <= 4 * MANY, "{policy:?}");
            assert_eq!(ring.len(), MANY, "a victim stays until it is removed");
        }
    }
}

#[test]
fn an_empty_ring_has_no_victim() {
    for policy in POLICIES {
        let mut state = RingState::new(1);
        let mut ring = Ring::new(&mut [], &mut state);
        policy.inserted(&mut ring, 7);
        policy.removed(&mut ring, 7);
        assert_eq!(policy.victim(&mut ring, &mut Table(Vec::new())), None);
    }
}

#[test]
fn policies_are_found_by_their_names() {
    for policy in POLICIES {
        assert_eq!(by_name(policy.name().as_bytes()).unwrap().name(), policy.name());
        assert!(!policy.summary().is_empty());
    }
    assert!(by_name(b"lru").is_none() && by_name(b"").is_none());
}
