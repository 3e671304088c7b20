//! Lists and ghosts against vectors.

use super::*;
use std::collections::VecDeque;

const FRAMES: u32 = 6;
const GHOSTS: u32 = 4;
const LISTS: u8 = 3;

/// What stands in a list: a frame with its mark, or a page that has left.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Item {
    Frame(u32, u16),
    Ghost(u64),
}

#[derive(Clone, Debug)]
enum Step {
    PushBack(u8, u32),
    MoveTo(u8, u32),
    Before(u32, u32),
    Remove(u32),
    RemoveHead(u8),
    Rotate(u8),
    TurnTo(u32),
    SetMark(u32, u16),
    Remember(u8, u64),
    RememberBefore(u32, u64),
    Forget(u64),
    ForgetBeyond(u8, u32),
}

fn model_steps() -> impl Strategy<Value = Vec<Step>> {
    // Beyond the end, too, and where adding one overflows.
    let frame = || prop_oneof![10 => 0..FRAMES + 2, 1 => Just(u32::MAX)];
    let (list, page) = (|| prop_oneof![20 => 0..LISTS, 1 => Just(200u8)], || 0..8u64);
    let step = prop_oneof![
        4 => (list(), frame()).prop_map(|(list, frame)| Step::PushBack(list, frame)),
        2 => (list(), frame()).prop_map(|(list, frame)| Step::MoveTo(list, frame)),
        1 => (frame(), frame()).prop_map(|(next, frame)| Step::Before(next, frame)),
        1 => frame().prop_map(Step::Remove),
        1 => list().prop_map(Step::RemoveHead),
        1 => list().prop_map(Step::Rotate),
        1 => frame().prop_map(Step::TurnTo),
        1 => (frame(), any::<u16>()).prop_map(|(frame, mark)| Step::SetMark(frame, mark)),
        4 => (list(), page()).prop_map(|(list, page)| Step::Remember(list, page)),
        1 => (frame(), page()).prop_map(|(frame, page)| Step::RememberBefore(frame, page)),
        2 => page().prop_map(Step::Forget),
        1 => (list(), 0..3u32).prop_map(|(list, len)| Step::ForgetBeyond(list, len)),
    ];
    proptest::collection::vec(step, 0..120)
}

#[derive(Default)]
struct Model([VecDeque<Item>; LISTS as usize]);

impl Model {
    fn find(&self, is: impl Fn(&Item) -> bool) -> Option<(usize, usize)> {
        (0..self.0.len()).find_map(|list| Some((list, self.0[list].iter().position(&is)?)))
    }

    fn frame(&self, frame: u32) -> Option<(usize, usize)> {
        self.find(|item| matches!(item, Item::Frame(number, _) if *number == frame))
    }

    fn ghosts(&self) -> u32 {
        self.0.iter().flatten().filter(|item| matches!(item, Item::Ghost(_))).count() as u32
    }

    fn list(&mut self, list: u8) -> Option<&mut VecDeque<Item>> {
        self.0.get_mut(usize::from(list))
    }

    fn drop_frame(&mut self, frame: u32) {
        if let Some((list, place)) = self.frame(frame) {
            self.0[list].remove(place);
        }
    }

    fn drop_ghost(&mut self, page: u64) {
        if let Some((list, place)) = self.find(|item| *item == Item::Ghost(page)) {
            self.0[list].remove(place);
        }
    }

    /// Puts an item before a frame. Before the head is at the tail: the hand stays where it is.
    fn put_before(&mut self, next: u32, item: Item) {
        if let Some((list, place)) = self.frame(next) {
            self.0[list].insert(if place == 0 { self.0[list].len() } else { place }, item);
        }
    }

    fn push_back(&mut self, list: u8, frame: u32) {
        if frame < FRAMES && self.frame(frame).is_none() {
            self.list(list).into_iter().for_each(|list| list.push_back(Item::Frame(frame, 0)));
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::PushBack(list, frame) => self.push_back(list, frame),
            Step::MoveTo(list, frame) => {
                self.drop_frame(frame);
                self.push_back(list, frame);
            }
            Step::Before(next, frame) => {
                if frame < FRAMES && self.frame(frame).is_none() {
                    self.put_before(next, Item::Frame(frame, 0));
                }
            }
            Step::Remove(frame) => self.drop_frame(frame),
            Step::RemoveHead(list) => {
                if let Some(list) = self.list(list).filter(|list| matches!(list.front(), Some(Item::Frame(..)))) {
                    list.pop_front();
                }
            }
            Step::Rotate(list) => {
                self.list(list).into_iter().for_each(|list| list.rotate_left(usize::from(!list.is_empty())));
            }
            Step::TurnTo(frame) => {
                self.frame(frame).into_iter().for_each(|(list, place)| self.0[list].rotate_left(place));
            }
            Step::SetMark(frame, mark) => {
                self.frame(frame).into_iter().for_each(|(list, place)| self.0[list][place] = Item::Frame(frame, mark));
            }
            Step::Remember(list, page) => {
                self.drop_ghost(page);
                if self.ghosts() < GHOSTS {
                    self.list(list).into_iter().for_each(|list| list.push_back(Item::Ghost(page)));
                }
            }
            Step::RememberBefore(frame, page) => {
                self.drop_ghost(page);
                if self.ghosts() < GHOSTS {
                    self.put_before(frame, Item::Ghost(page));
                }
            }
            Step::Forget(page) => self.drop_ghost(page),
            Step::ForgetBeyond(list, len) => {
                self.list(list).into_iter().for_each(|list| {
                    while list.len() as u32 > len && matches!(list.front(), Some(Item::Ghost(_))) {
                        list.pop_front();
                    }
                });
            }
        }
    }
}

fn apply(lists: &mut Lists<'_>, step: &Step) {
    let at = |frame: u32| At::from(FrameIndex::new(frame));
    match *step {
        Step::PushBack(list, frame) => lists.push_back(List(list), at(frame)),
        Step::MoveTo(list, frame) => lists.move_to(List(list), at(frame)),
        Step::Before(next, frame) => lists.insert_before(at(next), at(frame)),
        Step::Remove(frame) => lists.remove(at(frame)),
        Step::RemoveHead(list) => lists.first_frame(List(list)).into_iter().for_each(|frame| lists.remove(frame)),
        Step::Rotate(list) => lists.rotate(List(list)),
        Step::TurnTo(frame) => lists.turn_to(at(frame)),
        Step::SetMark(frame, mark) => lists.set_mark(at(frame), mark),
        Step::Remember(list, page) => drop(lists.remember(List(list), PageId(page))),
        Step::RememberBefore(frame, page) => drop(lists.remember_before(at(frame), PageId(page))),
        Step::Forget(page) => lists.recall(PageId(page)).into_iter().for_each(|ghost| lists.forget(ghost)),
        Step::ForgetBeyond(list, len) => lists.forget_beyond(List(list), len),
    }
}

/// A list from its head on, checked to be the same backwards.
fn listed(lists: &Lists<'_>, list: List) -> Vec<Item> {
    let item = |at: At| match lists.frame(at) {
        Some(frame) => Item::Frame(frame.get(), lists.mark(at)),
        None => Item::Ghost(lists.page(at).unwrap().0),
    };
    let (mut forward, mut backward) = (Vec::new(), VecDeque::new());
    let (mut next, mut prev) = (lists.head(list), lists.head(list));
    for _ in 0..lists.len(list) {
        forward.push(item(next.unwrap()));
        assert_eq!(lists.list_of(next.unwrap()), Some(list));
        next = lists.next(next.unwrap());
        prev = lists.prev(prev.unwrap());
        backward.push_front(item(prev.unwrap()));
    }
    assert_eq!((next, prev), (lists.head(list), lists.head(list)), "not a circle");
    assert!(backward.iter().eq(&forward), "{forward:?} {backward:?}");
    forward
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn lists_and_ghosts_agree_with_vectors(steps in model_steps()) {
        let mut nodes = [Node::default(); (FRAMES + GHOSTS) as usize];
        let mut ghosts = [Ghost::default(); GHOSTS as usize];
        let mut state = ListsState::new(FRAMES, 1);
        let mut model = Model::default();
        for step in steps {
            let mut lists = Lists::new(&mut nodes, &mut ghosts, &mut state);
            apply(&mut lists, &step);
            model.apply(&step);
            for list in 0..LISTS {
                prop_assert_eq!(VecDeque::from(listed(&lists, List(list))), model.0[usize::from(list)].clone(), "after {:?}", step);
                prop_assert_eq!(lists.is_empty(List(list)), model.0[usize::from(list)].is_empty());
            }
            for page in 0..8 {
                let ghost = lists.recall(PageId(page));
                prop_assert_eq!(ghost.and_then(|at| lists.page(at)), model.find(|item| *item == Item::Ghost(page)).map(|_| PageId(page)));
            }
            for frame in (0..FRAMES + 2).chain([u32::MAX]) {
                prop_assert_eq!(lists.list_of(FrameIndex::new(frame)).map(|list| usize::from(list.0)), model.frame(frame).map(|(list, _)| list));
            }
            prop_assert_eq!(lists.is_memory_full(), model.ghosts() == GHOSTS);
        }
    }
}

#[test]
fn a_newcomer_takes_the_victims_place_behind_the_hand() {
    let mut nodes = [Node::default(); 4];
    let mut state = ListsState::new(4, 1);
    let mut lists = Lists::new(&mut nodes, &mut [], &mut state);
    (0..4).map(FrameIndex::new).for_each(|frame| lists.push_back(QUEUE, frame));
    lists.rotate(QUEUE);
    lists.remove(FrameIndex::new(1));
    lists.push_back(QUEUE, FrameIndex::new(1));
    assert_eq!(listed(&lists, QUEUE), [2, 3, 0, 1].map(|frame| Item::Frame(frame, 0)));
}

#[test]
fn a_newcomer_that_left_is_not_armed() {
    let mut kept = Kept::new(&CAR, FRAMES);
    let mut table = Table(vec![Page { frame: 0, id: 0, referenced: true, dirty: false, pinned: false }]);
    let (frame, mut lists) = (FrameIndex::new(0), kept.lists());
    lists.note_newcomer(frame);
    lists.arm_newcomer(&mut table);
    assert!(table.page(0).referenced, "it is in no list");
    lists.push_back(QUEUE, frame);
    lists.note_newcomer(frame);
    lists.remove(frame);
    lists.arm_newcomer(&mut table);
    assert!(table.page(0).referenced, "it has left");
    lists.push_back(QUEUE, frame);
    lists.note_newcomer(frame);
    lists.move_to(List(1), frame);
    lists.arm_newcomer(&mut table);
    assert!(!table.page(0).referenced);
}

#[test]
fn draws_are_splitmix64() {
    let mut nodes = [Node::default(); 16];
    // The published first outputs of splitmix64 for this seed.
    let mut state = ListsState::new(16, 1234567);
    assert_eq!(Lists::new(&mut [], &mut [], &mut ListsState::new(0, 1)).draw(), None);
    assert_eq!(Lists::new(&mut nodes, &mut [], &mut ListsState::new(16, 1)).draw(), None, "empty lists");
    let mut lists = Lists::new(&mut nodes, &mut [], &mut state);
    (0..16).map(FrameIndex::new).for_each(|frame| lists.push_back(QUEUE, frame));
    for number in [6457827717110365317u64, 3203168211198807973, 9817491932198370423] {
        assert_eq!(lists.draw().map(|frame| u64::from(frame.get())), Some(number % 16));
    }
}
