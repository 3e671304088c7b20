//! CLOCK-Pro (Jiang, Chen and Zhang, USENIX 2005): pages that are soon used again are hot, others are
//! cold, and a cold page that left is remembered for a while in its place on the clock: if it comes back in
//! that time, it is used sooner than some hot page.
//!
//! One circle holds pages and ghosts. Three hands go round it; the hot one pushes the test one:
//!
//! | hand | stops at         | and                                      | moves                           |
//! |------|------------------|------------------------------------------|---------------------------------|
//! | cold | cold page, R = 1 | makes it hot and resets R                | when a victim is sought         |
//! | cold | cold page, R = 0 | takes it; its ghost stays in its place   |                                 |
//! | hot  | hot page, R = 1  | resets R                                 | while more are hot than may be  |
//! | hot  | hot page, R = 0  | makes it cold                            |                                 |
//! | test | ghost            | forgets it; one page more may be hot     | while there are more than C     |
//!
//! A ghost that comes back is hot, and one page less may be hot: at first none may, and never more than
//! C - 1. Newcomers are cold and enter just behind the hot hand, which is the head of the list. R of a
//! newcomer, set by its load, is reset at the next miss; in the paper R = 0 at load.
#![forbid(unsafe_code)]

use super::{Arrival, At, Bits, Departure, List, Lists, PageId, Policy};
use crate::index::{FrameIndex, Link};

/// CLOCK-Pro.
pub static CLOCK_PRO: ClockPro = ClockPro;

/// The circle; its head is the hot hand.
const RING: List = List(0);
/// Ghosts of pages that are on their way back; some of faults that failed are among them.
const AWAITED: List = List(1);
const MOST_AWAITED: u32 = 32;
/// The mark of a hot page.
const HOT: u16 = 1;

// The words of state.
const COLD_HAND: usize = 0;
const TEST_HAND: usize = 1;
/// How many pages are hot.
const HOT_PAGES: usize = 2;
/// How many pages may be hot.
const HOT_LIMIT: usize = 3;
/// How many ghosts are in the circle.
const GHOSTS: usize = 4;
/// 1 while the cold hand stands on the ghost of the page that it took last.
const TOOK: usize = 5;

/// The policy.
pub struct ClockPro;

impl Policy for ClockPro {
    fn name(&self) -> &'static str {
        "clockpro"
    }

    fn summary(&self) -> &'static str {
        "CLOCK-Pro: pages that come back soon after they left are hot and stay longer"
    }

    fn samples_references(&self) -> bool {
        true
    }

    /// One more than stay, since the oldest is forgotten after the next one came, and those awaited.
    fn ghosts(&self, frames: u32) -> u32 {
        frames.saturating_add(1 + MOST_AWAITED)
    }

    fn missed(&self, lists: &mut Lists<'_>, page: PageId, bits: &mut dyn Bits) {
        lists.arm_newcomer(bits);
        if let Some(ghost) = lists.recall(page).filter(|ghost| lists.list_of(*ghost) == Some(RING)) {
            let limit = lists.word(HOT_LIMIT).saturating_sub(1);
            lists.set_word(HOT_LIMIT, limit);
            step_off(lists, ghost);
            add(lists, GHOSTS, -1);
            lists.move_to(AWAITED, ghost);
            lists.forget_beyond(AWAITED, MOST_AWAITED);
        }
    }

    fn inserted(&self, lists: &mut Lists<'_>, frame: FrameIndex, page: PageId, arrival: Arrival, bits: &mut dyn Bits) {
        pass_taken(lists, bits);
        let ghost = lists.recall(page);
        if let Some(ghost) = ghost {
            if lists.list_of(ghost) == Some(RING) {
                step_off(lists, ghost);
                add(lists, GHOSTS, -1);
            }
            lists.forget(ghost);
        }
        lists.push_back(RING, frame);
        if hand(lists, COLD_HAND).is_none_or(|at| Some(at) == lists.head(RING)) {
            set_hand(lists, COLD_HAND, Some(frame.into()));
        }
        if hand(lists, TEST_HAND).is_none() {
            set_hand(lists, TEST_HAND, Some(frame.into()));
        }
        if ghost.is_some() && arrival != Arrival::Back {
            lists.set_mark(frame, HOT);
            add(lists, HOT_PAGES, 1);
        }
        if arrival == Arrival::Fault {
            lists.note_newcomer(frame);
        }
    }

    fn removed(&self, lists: &mut Lists<'_>, frame: FrameIndex, page: PageId, departure: Departure) {
        if lists.mark(frame) == HOT {
            add(lists, HOT_PAGES, -1);
        } else if departure == Departure::Evicted {
            if let Some(ghost) = lists.remember_before(frame.into(), page) {
                add(lists, GHOSTS, 1);
                let took = hand(lists, COLD_HAND) == Some(frame.into());
                lists.set_word(TOOK, lists.word(TOOK) | u64::from(took));
                move_hands(lists, frame.into(), ghost);
            }
        }
        step_off(lists, frame.into());
        lists.remove(frame);
    }

    fn victim(&self, lists: &mut Lists<'_>, bits: &mut dyn Bits) -> Option<FrameIndex> {
        // The first round makes pages hot, the second finds those that were made cold for them, and
        // R of these may be set for one round more.
        let mut steps = lists.len(RING).saturating_mul(4);
        for _ in 0..lists.len(RING).saturating_mul(3) {
            pass_taken(lists, bits);
            let at = hand(lists, COLD_HAND)?;
            if let Some(frame) = lists.frame(at).filter(|frame| lists.mark(*frame) != HOT && bits.is_evictable(*frame)) {
                if !bits.take_referenced(frame) {
                    return Some(frame);
                }
                lists.set_mark(frame, HOT);
                add(lists, HOT_PAGES, 1);
            }
            step(lists, COLD_HAND);
            run_hot_hand(lists, bits, &mut steps);
        }
        first_frame_evictable(lists, bits)
    }
}

/// The cold hand goes on from the ghost of the page that it took.
fn pass_taken(lists: &mut Lists<'_>, bits: &mut dyn Bits) {
    if lists.word(TOOK) != 0 {
        lists.set_word(TOOK, 0);
        run_test_hand(lists);
        step(lists, COLD_HAND);
        // The first round resets every R, unless other threads set it again meanwhile.
        run_hot_hand(lists, bits, &mut lists.len(RING).saturating_mul(2));
    }
}

/// Forgets ghosts until there are no more than the pager has frames.
fn run_test_hand(lists: &mut Lists<'_>) {
    for _ in 0..lists.len(RING) {
        if lists.word(GHOSTS) <= u64::from(lists.capacity()) {
            return;
        }
        end_test(lists);
    }
}

/// Forgets the ghost under the test hand, if it is one, and moves the hand on.
fn end_test(lists: &mut Lists<'_>) {
    let Some(at) = hand(lists, TEST_HAND) else {
        return;
    };
    if lists.frame(at).is_none() {
        step_off(lists, at);
        lists.forget(at);
        add(lists, GHOSTS, -1);
        let limit = lists.word(HOT_LIMIT).saturating_add(1);
        lists.set_word(HOT_LIMIT, limit.min(u64::from(lists.capacity()).saturating_sub(1)));
    }
    step(lists, TEST_HAND);
}

/// Makes hot pages cold until no more are hot than may be, or `steps` are used up.
fn run_hot_hand(lists: &mut Lists<'_>, bits: &mut dyn Bits, steps: &mut u32) {
    while lists.word(HOT_PAGES) > lists.word(HOT_LIMIT) && *steps > 0 {
        *steps -= 1;
        if lists.head(RING) == hand(lists, TEST_HAND) {
            end_test(lists);
        }
        let Some(at) = lists.head(RING) else {
            return;
        };
        if let Some(frame) = lists.frame(at).filter(|frame| lists.mark(*frame) == HOT) {
            if !bits.take_referenced(frame) {
                lists.set_mark(frame, 0);
                add(lists, HOT_PAGES, -1);
            }
        }
        lists.rotate(RING);
    }
}

/// Any page that may leave, hot ones too, from the cold hand on.
fn first_frame_evictable(lists: &mut Lists<'_>, bits: &mut dyn Bits) -> Option<FrameIndex> {
    for _ in 0..lists.len(RING) {
        let at = hand(lists, COLD_HAND)?;
        if let Some(frame) = lists.frame(at).filter(|frame| bits.is_evictable(*frame)) {
            return Some(frame);
        }
        step(lists, COLD_HAND);
    }
    None
}

/// Before a node leaves the circle: hands that stand on it go back to the one before.
fn step_off(lists: &mut Lists<'_>, at: At) {
    match lists.prev(at).filter(|prev| *prev != at) {
        Some(prev) => move_hands(lists, at, prev),
        None => [COLD_HAND, TEST_HAND].iter().for_each(|word| set_hand(lists, *word, None)),
    }
}

/// Moves the hands that stand on a node to another one.
fn move_hands(lists: &mut Lists<'_>, at: At, to: At) {
    if lists.head(RING) == Some(at) {
        lists.turn_to(to);
    }
    for word in [COLD_HAND, TEST_HAND] {
        if hand(lists, word) == Some(at) {
            set_hand(lists, word, Some(to));
        }
    }
}

/// Moves a hand on by one.
fn step(lists: &mut Lists<'_>, word: usize) {
    let next = hand(lists, word).and_then(|at| lists.next(at));
    set_hand(lists, word, next);
}

fn hand(lists: &Lists<'_>, word: usize) -> Option<At> {
    Link::from_word(lists.word(word) as u32).get()
}

fn set_hand(lists: &mut Lists<'_>, word: usize, at: Option<At>) {
    lists.set_word(word, Link::from(at).word().into());
}

/// Counts.
fn add(lists: &mut Lists<'_>, word: usize, change: i64) {
    lists.set_word(word, lists.word(word).saturating_add_signed(change));
}
