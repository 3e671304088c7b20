//! Reclaim: where a frame comes from when somebody needs one.
//!
//! 1. A free frame.
//! 2. A retained one: its page holds no block, so nothing is lost.
//! 3. If every slot is in use, a page that is in one already, since any other would need one more.
//! 4. The policy's victim. A policy only advises: the token is taken by compare-and-swap, so a wrong one costs faults, never data.
#![forbid(unsafe_code)]

use super::bits::{can_leave, LiveBits};
use super::evict::{Batch, Obtained, Victim, BATCH};
use super::place::Place;
use crate::engine::Engine;
use crate::index::PageNumber;
use crate::page::{Pte, State};
use crate::policy::Bits;
use crate::sys::thread::{self, Quiet};
use crate::sys::torture;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Victims that are tried before the search gives the processor away.
const TRIES: u32 = 32;
/// Rounds of that before the search ends: some ten seconds in which nothing could leave memory.
const ROUNDS: u32 = 11_000;
/// Rounds in which the search yields; then it sleeps.
const YIELDS: u32 = 1000;
/// Pages that stand alone and are evicted at once, when the kernel refuses another mapping.
const LONELY: u32 = 64;

impl Engine {
    /// A frame; `None` when nothing can leave memory.
    pub(crate) fn obtain_frame(&'static self, quiet: &Quiet) -> Option<Obtained> {
        let who = self.who();
        let mut stayed = 0;
        for round in 0..ROUNDS {
            for _ in 0..TRIES {
                if let Some(frame) = self.frames().take(quiet) {
                    return Some(Obtained { frame, evicted: None });
                }
                let retained = |pte: Pte| pte.state() == State::Retained && pte.pins() == 0;
                let retained = self.frames().claim_retained(quiet, |frame| self.claim(frame, retained));
                if retained.is_none() && !self.is_armed() {
                    // The first page of a block is about to leave: system calls first.
                    self.arm();
                    continue;
                }
                // If only young pages are left, somebody has to give way after all.
                let batch = retained.map_or_else(|| self.choose_victims(round == 0, quiet), Batch::of);
                if batch.is_empty() {
                    break;
                }
                if let Some(obtained) = batch.evict(quiet, &who) {
                    return Some(obtained);
                }
                // Perhaps no mapping could be cut in two: one that stands alone need not be.
                if let Some(obtained) = self.obtain_lonely(quiet) {
                    return Some(obtained);
                }
                stayed += 1;
                // Every page was tried once. An exact engine lets the fault fail then: its thread may serve other processes,
                // and they must not wait for a disk that has failed.
                if self.is_exact() && stayed >= self.frames().len() {
                    return None;
                }
            }
            // Everything is pinned or in transit: others have to get on first.
            if round < YIELDS {
                thread::yield_now();
            } else {
                thread::nap();
            }
        }
        None
    }

    /// Pages with contents that are to leave; young ones only in need.
    fn choose_victims(&'static self, spare_young: bool, quiet: &Quiet) -> Batch {
        if !self.is_exact() && self.swap().free() == 0 {
            if let Some(saved) = self.claim_saved(spare_young, quiet) {
                return Batch::of(saved);
            }
            if !spare_young {
                self.free_slot_of_pinned();
            }
        }
        let n = if spare_young { self.batch_len() } else { 1 };
        self.claim_chosen(n, spare_young, quiet)
    }

    /// How many pages leave together: ahead of need, but no large part of what is there; and one by one for who counts.
    fn batch_len(&self) -> u32 {
        if self.is_exact() {
            return 1;
        }
        (self.frames().len() / 64).min(BATCH as u32).min(self.swap().free()).max(1)
    }

    /// Up to `n` pages that the policy would have leave.
    fn claim_chosen(&'static self, n: u32, spare_young: bool, quiet: &Quiet) -> Batch {
        let mut bits = LiveBits::new(self, spare_young);
        let mut batch = Batch::new();
        self.frames().choose(n, &mut bits, quiet, |frame| {
            let victim = self.claim(frame, can_leave);
            let claimed = victim.is_some();
            victim.into_iter().for_each(|victim| batch.add(victim));
            claimed
        });
        batch
    }

    /// A page that is in a slot already, and needs no other.
    ///
    /// There is always one, or a free frame, or somebody about to give one back: of the pages that
    /// were promised, more than there are slots, all but so many as there are frames less the reserve
    /// are in slots only.
    fn claim_saved(&'static self, spare_young: bool, quiet: &Quiet) -> Option<Victim> {
        let bits = LiveBits::new(self, spare_young);
        let cursor = self.saved_cursor();
        self.frames().claim_first(cursor.load(Relaxed), quiet, |frame| {
            let saved = self.frames().frame(frame).copy().is_some() && bits.is_evictable(frame);
            let victim = saved.then(|| self.claim(frame, |pte| can_leave(pte) && !pte.has(Pte::M)))??;
            go_on(cursor, &victim);
            Some(victim)
        })
    }

    /// Every slot is in use, and the pages that are in one of them as well cannot leave because they
    /// are pinned: one of them gives its slot up, and will be written again.
    fn free_slot_of_pinned(&'static self) {
        for frame in self.frames().all_from(0) {
            let (Some(slot), Some((place, page))) = (self.frames().frame(frame).copy(), self.page_in(frame)) else {
                continue;
            };
            let entry = place.entry(page);
            let pte = entry.load();
            let pinned = pte.state() == State::Resident && pte.frame() == frame && pte.pins() > 0;
            if pinned && entry.change(pte, pte.with(Pte::M)).is_ok() && self.frames().frame(frame).take_copy_if(slot) {
                place.free_slot(slot);
                return;
            }
        }
    }

    /// The kernel refuses another mapping: evicts pages that stand alone between absent ones, each of which
    /// makes three mappings one. False if there was none.
    pub(crate) fn make_room_for_mappings(&'static self, quiet: &Quiet) -> bool {
        (0..LONELY).fold(false, |made, _| {
            let obtained = self.obtain_lonely(quiet);
            if let Some(obtained) = &obtained {
                self.frames().give(obtained.frame, 1, quiet);
            }
            made | obtained.is_some()
        })
    }

    /// A frame of a page whose leaving makes the mappings fewer.
    fn obtain_lonely(&'static self, quiet: &Quiet) -> Option<Obtained> {
        let cursor = self.lonely_cursor();
        let victim = self.frames().claim_first(cursor.load(Relaxed), quiet, |frame| {
            let (place, page) = self.page_in(frame)?;
            let victim = stands_alone(&place, page).then(|| self.claim(frame, can_leave))??;
            go_on(cursor, &victim);
            Some(victim)
        })?;
        Batch::of(victim).evict(quiet, &self.who())
    }

    /// Evicts pages that the policy would have leave next, young ones too, although their frames are not
    /// needed: what a build that tortures itself does (`sys/torture.rs`). The caller holds no gate.
    pub fn torment(&'static self) {
        let _stack = self.keep_stack();
        let quiet = Quiet::begin();
        if !self.swap().is_in_use() || !self.is_armed() || self.is_exact() {
            return;
        }
        for _ in 0..torture::victims() {
            if self.swap().free() < 64 {
                return;
            }
            let batch = self.claim_chosen(1, false, &quiet);
            if let Some(obtained) = batch.evict(&quiet, &self.who()) {
                self.frames().give(obtained.frame, 1, &quiet);
            }
        }
    }
}

/// The next search begins behind the victim.
fn go_on(cursor: &AtomicU32, victim: &Victim) {
    cursor.store(victim.frame().get().wrapping_add(1), Relaxed);
}

/// Whether the page has a mapping of its own that joins a gap when it leaves: one mapping less.
fn stands_alone(place: &Place, page: PageNumber) -> bool {
    let backed = place.region.groups() * crate::page::table::GROUP_PAGES;
    let own = place.entry(page).load();
    let neighbour = |page: Option<PageNumber>| {
        let pte = place.entry(page.filter(|page| page.get() < backed)?).load();
        matches!(pte.state(), State::Resident | State::Retained).then_some(pte)
    };
    let (before, after) = (neighbour(page.before()), neighbour(Some(page + 1)));
    let open = Pte::READ | Pte::WRITE | Pte::EXECUTE;
    let joined = |pte: Pte, frame: Option<u32>| Some(pte.index()) == frame && pte.0 & open == own.0 & open;
    let with_before = before.is_some_and(|pte| joined(pte, own.index().checked_sub(1)));
    let with_after = after.is_some_and(|pte| joined(pte, own.index().checked_add(1)));
    !with_before && !with_after && (before.is_none() || after.is_none())
}
