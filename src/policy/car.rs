//! CAR, clock with adaptive replacement (Bansal and Modha, FAST 2004): two clocks, for pages seen once
//! and for pages seen again, and the memory of what left each of them moves the border.
//!
//! | list | holds                                        | the page under its hand                         |
//! |------|----------------------------------------------|-------------------------------------------------|
//! | T1   | pages seen once, lately; p of them at best   | R = 1: goes to T2, R is reset; else leaves for B1 |
//! | T2   | pages seen again                             | R = 1: goes behind, R is reset; else leaves for B2 |
//! | B1   | ghosts of T1: its return raises p            | is forgotten when T1 and B1 hold C              |
//! | B2   | ghosts of T2: its return lowers p            | is forgotten when all four hold 2 C             |
//!
//! In the paper R = 0 at load. Here R of a newcomer, set by the load, is reset at the next miss.
#![forbid(unsafe_code)]

use super::fifo::first_evictable;
use super::{Arrival, Bits, Departure, List, Lists, PageId, Policy};
use crate::index::FrameIndex;

/// Clock with adaptive replacement.
pub static CAR: Car = Car;

const T1: List = List(0);
const T2: List = List(1);
const B1: List = List(2);
const B2: List = List(3);
/// The word in which p is kept.
const TARGET: usize = 0;

/// The policy.
pub struct Car;

/// p: how many pages T1 should have.
fn target(lists: &Lists<'_>) -> f64 {
    f64::from_bits(lists.word(TARGET))
}

/// A page came back that had left T1 or T2: that list was too small, by more if its ghosts are few.
fn adapt(lists: &mut Lists<'_>, from: List) {
    let (seen_once, seen_again) = (f64::from(lists.len(B1)), f64::from(lists.len(B2)));
    let old = target(lists);
    let new = if from == B1 {
        (old + (seen_again / seen_once).max(1.0)).min(f64::from(lists.capacity()))
    } else {
        (old - (seen_once / seen_again).max(1.0)).max(0.0)
    };
    lists.set_word(TARGET, new.to_bits());
}

/// A page comes that is not remembered: there is room for one more ghost afterwards.
fn make_room_for_ghosts(lists: &mut Lists<'_>) {
    let capacity = lists.capacity();
    while !lists.is_empty(B1) && lists.len(T1).saturating_add(lists.len(B1)) >= capacity {
        lists.forget_beyond(B1, lists.len(B1).saturating_sub(1));
    }
    let all = |lists: &Lists<'_>| [T1, T2, B1, B2].iter().map(|list| u64::from(lists.len(*list))).sum::<u64>();
    while !lists.is_empty(B2) && all(lists) >= 2 * u64::from(capacity) {
        lists.forget_beyond(B2, lists.len(B2).saturating_sub(1));
    }
}

impl Policy for Car {
    fn name(&self) -> &'static str {
        "car"
    }

    fn summary(&self) -> &'static str {
        "clock with adaptive replacement: two clocks whose border follows what comes back"
    }

    fn samples_references(&self) -> bool {
        true
    }

    /// One more than stay: the victim is remembered before others are forgotten.
    fn ghosts(&self, frames: u32) -> u32 {
        frames.saturating_add(1)
    }

    fn missed(&self, lists: &mut Lists<'_>, _page: PageId, bits: &mut dyn Bits) {
        lists.arm_newcomer(bits);
    }

    fn inserted(&self, lists: &mut Lists<'_>, frame: FrameIndex, page: PageId, arrival: Arrival, _bits: &mut dyn Bits) {
        let ghost = lists.recall(page);
        let from = ghost.and_then(|at| lists.list_of(at));
        if arrival != Arrival::Back {
            match from {
                Some(from) => adapt(lists, from),
                None => make_room_for_ghosts(lists),
            }
        }
        ghost.into_iter().for_each(|at| lists.forget(at));
        // A victim that stays goes back to the list it came from.
        let again = if arrival == Arrival::Back { from == Some(B2) } else { from.is_some() };
        lists.push_back(if again { T2 } else { T1 }, frame);
        if arrival == Arrival::Fault {
            lists.note_newcomer(frame);
        }
    }

    fn removed(&self, lists: &mut Lists<'_>, frame: FrameIndex, page: PageId, departure: Departure) {
        let was = lists.list_of(frame);
        lists.remove(frame);
        if departure == Departure::Evicted {
            if lists.is_memory_full() {
                let longer = if lists.len(B1) > lists.len(B2) { B1 } else { B2 };
                lists.forget_beyond(longer, lists.len(longer).saturating_sub(1));
            }
            match was {
                Some(T1) => lists.remember(B1, page),
                Some(T2) => lists.remember(B2, page),
                _ => None,
            };
        }
    }

    fn victim(&self, lists: &mut Lists<'_>, bits: &mut dyn Bits) -> Option<FrameIndex> {
        let pages = lists.len(T1).saturating_add(lists.len(T2));
        // Each page is passed over once in T1 and once in T2 before a second look at it finds R reset.
        for _ in 0..pages.saturating_mul(3) {
            let first = f64::from(lists.len(T1)) >= target(lists).max(1.0) || lists.is_empty(T2);
            let list = if first { T1 } else { T2 };
            let frame = lists.first_frame(list)?;
            if !bits.is_evictable(frame) {
                lists.rotate(list);
            } else if bits.take_referenced(frame) {
                lists.move_to(T2, frame);
            } else {
                return Some(frame);
            }
        }
        first_evictable(lists, T1, bits).or_else(|| first_evictable(lists, T2, bits))
    }
}
