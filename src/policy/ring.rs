//! The order of the frames that a policy keeps: a circular list linked by frame numbers.
//!
//! The nodes are a plain array with one entry per frame, and the few words of state a `Copy` struct;
//! both belong to the caller, who lends them to a [`Ring`] for one call. Nodes of zero bytes are
//! frames that are not in the ring, so fresh memory needs no initialisation.
//!
//! Invariants, checked by the model test:
//! - `head` is no link exactly if `len` is zero;
//! - following `next` from the head visits `len` frames and comes back to the head, and following
//!   `prev` visits the same frames backwards;
//! - a frame is in the ring exactly if both its links are set.
//!
//! Every operation is O(1). A frame number that is out of range, or not in the ring where it should
//! be, makes an operation do nothing: a policy cannot break the pager by a wrong number.
#![forbid(unsafe_code)]

/// A frame number plus one; zero is "no frame". A link is never zero while its node is in the ring.
type Link = u32;

/// One frame's place in the ring. All zero: not in the ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    prev: Link,
    next: Link,
    /// The policy's own note on the page in this frame; zero when the page comes in.
    mark: u32,
}

/// What a ring knows beyond its nodes. All zero is an empty ring too, with the random seed 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingState {
    head: Link,
    len: u32,
    random: u64,
}

impl RingState {
    /// An empty ring whose random numbers start from `seed`.
    pub const fn new(seed: u64) -> Self {
        RingState { head: 0, len: 0, random: seed }
    }
}

/// A circular list of frames, borrowed for one operation of a policy.
///
/// The head is where the clock's hand points; the tail, just behind it, is the newest place. When
/// the head leaves and its frame is pushed back, the newcomer has taken the victim's place in the
/// circle and the hand has moved past it.
pub struct Ring<'a> {
    nodes: &'a mut [Node],
    state: &'a mut RingState,
}

impl<'a> Ring<'a> {
    /// The ring kept in `nodes` (one per frame) and `state`.
    pub fn new(nodes: &'a mut [Node], state: &'a mut RingState) -> Self {
        Ring { nodes, state }
    }

    /// How many frames are in the ring.
    pub fn len(&self) -> u32 {
        self.state.len
    }

    /// Whether no frame is in the ring.
    pub fn is_empty(&self) -> bool {
        self.state.len == 0
    }

    /// The frame under the hand: for a queue, the oldest.
    pub fn head(&self) -> Option<u32> {
        self.state.head.checked_sub(1)
    }

    /// The frame after `frame` in the circle; after the tail comes the head.
    pub fn next(&self, frame: u32) -> Option<u32> {
        self.node(frame)?.next.checked_sub(1)
    }

    /// Whether `frame` is in the ring.
    pub fn contains(&self, frame: u32) -> bool {
        self.node(frame).is_some_and(|node| node.next != 0)
    }

    /// Puts `frame` at the tail, unmarked. A frame that is in the ring stays where it is.
    pub fn push_back(&mut self, frame: u32) {
        let Some(link) = frame.checked_add(1) else {
            return;
        };
        if self.node(frame).is_none() || self.contains(frame) {
            return;
        }
        let (prev, next) = match self.head() {
            None => {
                self.state.head = link;
                (link, link)
            }
            Some(head) => {
                let tail = self.node(head).map_or(link, |node| node.prev);
                (tail, self.state.head)
            }
        };
        // For the first frame, these set its own links, and the last line sets them again.
        self.relink(prev, next, link);
        if let Some(node) = self.node_mut(frame) {
            *node = Node { prev, next, mark: 0 };
        }
        self.state.len = self.state.len.saturating_add(1);
    }

    /// Takes `frame` out. If it was the head, the next frame is the head now.
    pub fn remove(&mut self, frame: u32) {
        let Some(node) = self.node(frame).copied().filter(|node| node.next != 0) else {
            return;
        };
        if let Some(prev) = node.prev.checked_sub(1).and_then(|at| self.node_mut(at)) {
            prev.next = node.next;
        }
        if let Some(next) = node.next.checked_sub(1).and_then(|at| self.node_mut(at)) {
            next.prev = node.prev;
        }
        if self.head() == Some(frame) {
            self.state.head = if self.state.len == 1 { 0 } else { node.next };
        }
        if let Some(gone) = self.node_mut(frame) {
            *gone = Node::default();
        }
        self.state.len = self.state.len.saturating_sub(1);
    }

    /// Moves the head to the tail: the hand goes one frame on.
    pub fn rotate(&mut self) {
        if let Some(next) = self.head().and_then(|head| self.next(head)) {
            self.state.head = next.saturating_add(1);
        }
    }

    /// The policy's note on the page in `frame`; zero for a frame that is not in the ring.
    pub fn mark(&self, frame: u32) -> u32 {
        self.node(frame).map_or(0, |node| node.mark)
    }

    /// Changes the policy's note on the page in `frame`.
    pub fn set_mark(&mut self, frame: u32, mark: u32) {
        if let Some(node) = self.node_mut(frame).filter(|node| node.next != 0) {
            node.mark = mark;
        }
    }

    /// Draws one of all the frames there are, uniformly; `None` if it is not in the ring. Draws that
    /// hit are uniform over the ring, and nearly all hit when nearly all frames are in use, which is
    /// when victims are sought.
    pub fn draw(&mut self) -> Option<u32> {
        let drawn = self.next_random().checked_rem(self.nodes.len() as u64)?;
        u32::try_from(drawn).ok().filter(|frame| self.contains(*frame))
    }

    /// The next number of splitmix64.
    fn next_random(&mut self) -> u64 {
        self.state.random = self.state.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = self.state.random;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Makes `link` the successor of `prev` and the predecessor of `next`.
    fn relink(&mut self, prev: Link, next: Link, link: Link) {
        if let Some(node) = prev.checked_sub(1).and_then(|at| self.node_mut(at)) {
            node.next = link;
        }
        if let Some(node) = next.checked_sub(1).and_then(|at| self.node_mut(at)) {
            node.prev = link;
        }
    }

    fn node(&self, frame: u32) -> Option<&Node> {
        self.nodes.get(frame as usize)
    }

    fn node_mut(&mut self, frame: u32) -> Option<&mut Node> {
        self.nodes.get_mut(frame as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const FRAMES: u32 = 8;

    #[derive(Clone, Debug)]
    enum Step {
        PushBack(u32),
        Remove(u32),
        RemoveHead,
        Rotate,
        SetMark(u32, u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Beyond the end, too, and where adding one overflows.
        let frame = prop_oneof![10 => 0..FRAMES + 2, 1 => Just(u32::MAX)];
        let step = prop_oneof![
            3 => frame.clone().prop_map(Step::PushBack),
            1 => frame.clone().prop_map(Step::Remove),
            1 => Just(Step::RemoveHead),
            1 => Just(Step::Rotate),
            1 => (frame, any::<u32>()).prop_map(|(frame, mark)| Step::SetMark(frame, mark)),
        ];
        proptest::collection::vec(step, 0..100)
    }

    /// The frames from the head on, checked to be the same backwards.
    fn listed(ring: &Ring<'_>) -> Vec<u32> {
        let mut forward: Vec<u32> = Vec::new();
        let mut backward: VecDeque<u32> = VecDeque::new();
        let (mut next, mut prev) = (ring.head(), ring.head());
        for _ in 0..ring.len() {
            forward.push(next.unwrap());
            next = ring.next(next.unwrap());
            prev = ring.node(prev.unwrap()).unwrap().prev.checked_sub(1);
            backward.push_front(prev.unwrap());
        }
        assert_eq!((next, prev), (ring.head(), ring.head()), "not a circle");
        assert!(backward.iter().eq(&forward), "{forward:?} {backward:?}");
        forward
    }

    proptest! {
        #[test]
        fn agrees_with_a_queue(steps in steps()) {
            let mut nodes = [Node::default(); FRAMES as usize];
            let mut state = RingState::new(1);
            let mut model: VecDeque<(u32, u32)> = VecDeque::new();
            for step in steps {
                let mut ring = Ring::new(&mut nodes, &mut state);
                match step {
                    Step::PushBack(frame) => {
                        ring.push_back(frame);
                        if frame < FRAMES && model.iter().all(|(other, _)| *other != frame) {
                            model.push_back((frame, 0));
                        }
                    }
                    Step::Remove(frame) => {
                        ring.remove(frame);
                        model.retain(|(other, _)| *other != frame);
                    }
                    Step::RemoveHead => {
                        let head = ring.head();
                        prop_assert_eq!(head, model.pop_front().map(|(frame, _)| frame));
                        if let Some(head) = head {
                            ring.remove(head);
                        }
                    }
                    Step::Rotate => {
                        ring.rotate();
                        model.rotate_left(usize::from(!model.is_empty()));
                    }
                    Step::SetMark(frame, mark) => {
                        ring.set_mark(frame, mark);
                        for entry in model.iter_mut().filter(|entry| entry.0 == frame) {
                            entry.1 = mark;
                        }
                    }
                }
                prop_assert_eq!(ring.len() as usize, model.len());
                prop_assert_eq!(ring.is_empty(), model.is_empty());
                prop_assert!(listed(&ring).into_iter().eq(model.iter().map(|(frame, _)| *frame)));
                for frame in (0..FRAMES + 2).chain([u32::MAX]) {
                    let entry = model.iter().find(|entry| entry.0 == frame);
                    prop_assert_eq!(ring.contains(frame), entry.is_some());
                    prop_assert_eq!(ring.mark(frame), entry.map_or(0, |entry| entry.1));
                }
            }
        }
    }

    #[test]
    fn a_newcomer_takes_the_victims_place_behind_the_hand() {
        let mut nodes = [Node::default(); 4];
        let mut state = RingState::new(1);
        let mut ring = Ring::new(&mut nodes, &mut state);
        for frame in 0..4 {
            ring.push_back(frame);
        }
        ring.rotate();
        ring.remove(1);
        ring.push_back(1);
        assert_eq!(listed(&ring), [2, 3, 0, 1]);
    }

    #[test]
    fn draws_are_splitmix64() {
        let mut nodes = [Node::default(); 16];
        let mut state = RingState::new(1);
        let mut ring = Ring::new(&mut nodes, &mut state);
        assert_eq!(ring.draw(), None, "an empty ring");
        assert_eq!(Ring::new(&mut [], &mut RingState::new(1)).draw(), None);
        let mut ring = Ring::new(&mut nodes, &mut state);
        for frame in 0..16 {
            ring.push_back(frame);
        }
        *ring.state = RingState { random: 1234567, ..*ring.state };
        // The published first outputs of splitmix64 for this seed.
        for number in [6457827717110365317u64, 3203168211198807973, 9817491932198370423] {
            assert_eq!(ring.draw().map(u64::from), Some(number % 16));
        }
    }
}
