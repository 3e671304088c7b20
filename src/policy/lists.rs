//! The lists of pages that a policy keeps: circular, linked by numbers, all in one array of nodes.
//!
//! There is a node for each frame and, behind those, one for each ghost that the policy asked for
//! ([`ghosts`](super::ghosts)). A node is in one list at a time, and a list may hold both kinds. The arrays and
//! the few words of state belong to the caller, who lends them to [`Lists`] for one call; all zero
//! bytes are nodes in no list, so fresh memory needs no initialisation.
//!
//! Invariants, checked by the model test:
//! - the head of a list is none exactly if its length is zero;
//! - following `next` from the head visits as many nodes as the length says and comes back to the
//!   head, and following `prev` visits the same nodes backwards; each says that it is in this list;
//! - a node that says that it is in no list has no links.
//!
//! Every operation is O(1). A number that is out of range, or a node that is not where it should be,
//! makes an operation do nothing: a policy cannot break the pager by a wrong number.
#![forbid(unsafe_code)]

use super::ghosts::{Ghost, GhostsState};
use super::Bits;
use crate::index::{FrameIndex, Index, Link};

/// How many lists a policy may keep.
pub const LISTS: usize = 8;
/// How many words of its own it may keep.
pub const WORDS: usize = 8;

/// One of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List(pub u8);

/// A node: a frame's, or a ghost's if the highest bit is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(u32);

/// Marks the nodes of ghosts.
const GHOST: u32 = 1 << 31;

impl Index for At {
    fn from_number(number: u32) -> Self {
        At(number)
    }

    fn number(self) -> u32 {
        self.0
    }
}

impl At {
    /// The node of the ghost with that number, counted from the first one.
    pub(super) fn ghost(number: u32) -> At {
        At(GHOST | number)
    }

    /// The number of a ghost.
    pub(super) fn ghost_number(self) -> Option<u32> {
        (self.0 & GHOST != 0).then_some(self.0 & !GHOST)
    }
}

impl From<FrameIndex> for At {
    fn from(frame: FrameIndex) -> Self {
        // There are not so many frames: the number is wrong, and so must the node be.
        At(if frame.get() & GHOST == 0 { frame.get() } else { u32::MAX })
    }
}

/// One page's place in the lists. All zero: in none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    prev: Link<At>,
    next: Link<At>,
    /// One more than the number of the list; zero for none.
    list: u16,
    /// The policy's own note on the page; zero when it comes into a list.
    mark: u16,
}

/// The head and the length of a list.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    first: Link<At>,
    len: u32,
}

/// What is known of the lists beyond their nodes. All zero is empty lists, too.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListsState {
    heads: [Head; LISTS],
    capacity: u32,
    newcomer: Link<FrameIndex>,
    random: u64,
    words: [u64; WORDS],
    pub(super) ghosts: GhostsState,
}

impl ListsState {
    /// Empty lists for a pager that has `capacity` frames for pages; random numbers start from `seed`.
    pub const fn new(capacity: u32, seed: u64) -> Self {
        ListsState {
            heads: [Head { first: Link::NONE, len: 0 }; LISTS],
            capacity,
            newcomer: Link::NONE,
            random: seed,
            words: [0; WORDS],
            ghosts: GhostsState::new(),
        }
    }
}

/// The lists, borrowed for one call of a policy.
///
/// The head of a list is where a clock's hand points; the tail, just behind it, is the newest place.
/// When the head leaves and its frame is pushed back, the newcomer has taken the victim's place in the
/// circle and the hand has moved past it.
pub struct Lists<'a> {
    nodes: &'a mut [Node],
    pub(super) ghosts: &'a mut [Ghost],
    pub(super) state: &'a mut ListsState,
}

impl<'a> Lists<'a> {
    /// The lists kept in `nodes` (one for each frame, then one for each ghost), `ghosts` and `state`.
    pub fn new(nodes: &'a mut [Node], ghosts: &'a mut [Ghost], state: &'a mut ListsState) -> Self {
        Lists { nodes, ghosts, state }
    }

    /// How many frames the pager has for pages.
    pub fn capacity(&self) -> u32 {
        self.state.capacity
    }

    /// How many nodes are in a list.
    pub fn len(&self, list: List) -> u32 {
        self.head_of(list).map_or(0, |head| head.len)
    }

    /// Whether no node is in a list.
    pub fn is_empty(&self, list: List) -> bool {
        self.len(list) == 0
    }

    /// The node under the hand: for a queue, the oldest.
    pub fn head(&self, list: List) -> Option<At> {
        self.head_of(list)?.first.get()
    }

    /// The frame under the hand; none if a ghost is there.
    pub fn first_frame(&self, list: List) -> Option<FrameIndex> {
        self.frame(self.head(list)?)
    }

    /// The node after that one in its circle; after the tail comes the head.
    pub fn next(&self, at: At) -> Option<At> {
        self.node(at)?.next.get()
    }

    /// The node before that one in its circle; before the head comes the tail.
    pub fn prev(&self, at: At) -> Option<At> {
        self.node(at)?.prev.get()
    }

    /// The frame of a node; none if it is a ghost's.
    pub fn frame(&self, at: At) -> Option<FrameIndex> {
        at.ghost_number().is_none().then_some(FrameIndex::new(at.0))
    }

    /// The list that a node is in.
    pub fn list_of(&self, at: impl Into<At>) -> Option<List> {
        let list = self.node(at.into())?.list.checked_sub(1)?;
        u8::try_from(list).ok().map(List)
    }

    /// Puts a node at the tail of a list, unmarked. One that is in a list stays where it is.
    pub fn push_back(&mut self, list: List, at: impl Into<At>) {
        self.insert(list, at.into(), self.head(list));
    }

    /// Puts a node before another one in that one's list, unmarked. One that is in a list stays where it is.
    pub fn insert_before(&mut self, next: At, at: impl Into<At>) {
        if let Some(list) = self.list_of(next) {
            self.insert(list, at.into(), Some(next));
        }
    }

    /// Takes a node out of its list. If it was the head, the next one is the head now.
    pub fn remove(&mut self, at: impl Into<At>) {
        let at = at.into();
        let (Some(list), Some(node)) = (self.list_of(at), self.node(at).copied()) else {
            return;
        };
        if let Some(prev) = node.prev.get().and_then(|prev| self.node_mut(prev)) {
            prev.next = node.next;
        }
        if let Some(next) = node.next.get().and_then(|next| self.node_mut(next)) {
            next.prev = node.prev;
        }
        if let Some(gone) = self.node_mut(at) {
            *gone = Node::default();
        }
        if let Some(head) = self.head_mut(list) {
            head.len = head.len.saturating_sub(1);
            if head.len == 0 {
                head.first = Link::NONE;
            } else if head.first == Link::to(at) {
                head.first = node.next;
            }
        }
        if self.state.newcomer.get().map(At::from) == Some(at) {
            self.state.newcomer = Link::NONE;
        }
    }

    /// Takes a node out of its list and puts it at the tail of that one, unmarked.
    pub fn move_to(&mut self, list: List, at: impl Into<At>) {
        let at = at.into();
        let newcomer = self.state.newcomer;
        self.remove(at);
        self.push_back(list, at);
        self.state.newcomer = newcomer;
    }

    /// Moves the head of a list to its tail: the hand goes one node on.
    pub fn rotate(&mut self, list: List) {
        if let Some(next) = self.head(list).and_then(|head| self.next(head)) {
            if let Some(head) = self.head_mut(list) {
                head.first = Link::to(next);
            }
        }
    }

    /// Makes a node the head of its list: the hand goes there.
    pub fn turn_to(&mut self, at: At) {
        if let Some(head) = self.list_of(at).and_then(|list| self.head_mut(list)) {
            head.first = Link::to(at);
        }
    }

    /// The policy's note on a page; zero for one that is in no list.
    pub fn mark(&self, at: impl Into<At>) -> u16 {
        self.node(at.into()).map_or(0, |node| node.mark)
    }

    /// Changes the policy's note on a page.
    pub fn set_mark(&mut self, at: impl Into<At>, mark: u16) {
        if let Some(node) = self.node_mut(at.into()).filter(|node| node.list != 0) {
            node.mark = mark;
        }
    }

    /// A word of the policy's own; zero at first.
    pub fn word(&self, number: usize) -> u64 {
        self.state.words.get(number).copied().unwrap_or(0)
    }

    /// Changes a word of the policy's own.
    pub fn set_word(&mut self, number: usize, value: u64) {
        if let Some(word) = self.state.words.get_mut(number) {
            *word = value;
        }
    }

    /// Notes the page that was loaded last: it is in use by the access that loaded it, and what comes
    /// after that cannot be seen before [`arm_newcomer`](Lists::arm_newcomer).
    pub fn note_newcomer(&mut self, frame: FrameIndex) {
        self.state.newcomer = if self.list_of(frame).is_some() { Link::to(frame) } else { Link::NONE };
    }

    /// Resets R of the page that was loaded last, which the load had set: from now on its use is seen.
    pub fn arm_newcomer(&mut self, bits: &mut dyn Bits) {
        if let Some(frame) = self.state.newcomer.get() {
            self.state.newcomer = Link::NONE;
            bits.take_referenced(frame);
        }
    }

    /// Draws one of all the frames there are, uniformly; none if it is in no list. Draws that hit are
    /// uniform over the pages, and nearly all hit when nearly all frames are in use, which is when
    /// victims are sought.
    pub fn draw(&mut self) -> Option<FrameIndex> {
        let drawn = self.next_random().checked_rem(self.frames() as u64)?;
        let frame = FrameIndex::new(u32::try_from(drawn).ok()?);
        self.list_of(frame).is_some().then_some(frame)
    }

    /// The next number of splitmix64.
    fn next_random(&mut self) -> u64 {
        self.state.random = self.state.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = self.state.random;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Puts `at` before `next` in a list, as the only node if there is none.
    fn insert(&mut self, list: List, at: At, next: Option<At>) {
        if self.head_of(list).is_none() || self.node(at).is_none_or(|node| node.list != 0) {
            return;
        }
        let next = next.unwrap_or(at);
        let prev = self.prev(next).unwrap_or(at);
        // For the only node, these set its own links, and the next line sets them again.
        self.relink(prev, next, at);
        if let Some(node) = self.node_mut(at) {
            *node = Node { prev: Link::to(prev), next: Link::to(next), list: u16::from(list.0) + 1, mark: 0 };
        }
        if let Some(head) = self.head_mut(list) {
            if head.len == 0 {
                head.first = Link::to(at);
            }
            head.len = head.len.saturating_add(1);
        }
    }

    /// Makes `at` the successor of `prev` and the predecessor of `next`.
    fn relink(&mut self, prev: At, next: At, at: At) {
        if let Some(node) = self.node_mut(prev) {
            node.next = Link::to(at);
        }
        if let Some(node) = self.node_mut(next) {
            node.prev = Link::to(at);
        }
    }

    /// How many frames have nodes; those of ghosts come after.
    fn frames(&self) -> usize {
        self.nodes.len().saturating_sub(self.ghosts.len())
    }

    fn place(&self, at: At) -> usize {
        match at.ghost_number() {
            Some(number) => self.frames().saturating_add(number as usize),
            None if (at.0 as usize) < self.frames() => at.0 as usize,
            None => usize::MAX,
        }
    }

    fn node(&self, at: At) -> Option<&Node> {
        self.nodes.get(self.place(at))
    }

    fn node_mut(&mut self, at: At) -> Option<&mut Node> {
        self.nodes.get_mut(self.place(at))
    }

    pub(super) fn head_of(&self, list: List) -> Option<&Head> {
        self.state.heads.get(usize::from(list.0))
    }

    fn head_mut(&mut self, list: List) -> Option<&mut Head> {
        self.state.heads.get_mut(usize::from(list.0))
    }
}
