//! Reclaim: where a frame comes from when somebody needs one.
//!
//! 1. A free frame.
//! 2. A retained one: its page holds no block, so nothing is lost.
//! 3. The policy names a victim; the pager takes its token by compare-and-swap, closes the program
//!    view, looks at the bytes, writes them to a slot if they are neither zero nor there already, and
//!    only then gives up the frame. A failed write loses nothing: the page stays where it is.

use crate::arena::Owner;
use crate::engine::{Engine, Pool, Who};
use crate::index::FrameIndex;
use crate::live_bits::{can_leave, LiveBits};
use crate::lock::Guard;
use crate::page_table::Page;
use crate::policy::{Arrival, Bits, Departure, PageId};
use crate::pte::{Pte, State};
use crate::region::Place;
use crate::stats::Eviction;
use crate::swap_map::ELSEWHERE;
use crate::sys::{thread, torture};
use crate::trace::{PageName, What};
use crate::view::protection;
use core::sync::atomic::Ordering;

/// Victims that are tried before the search gives the processor away.
const TRIES: u32 = 32;
/// Rounds of that before the search ends: some ten seconds in which nothing could leave memory.
const ROUNDS: u32 = 11_000;

/// A frame that is nobody's, and what had to leave it.
pub(crate) struct Obtained {
    /// Its bytes are of no value, or zero if its stamp is 0.
    pub(crate) frame: u32,
    /// The page that was evicted for it.
    pub(crate) evicted: Option<(PageName, Eviction)>,
}

/// A page on its way out.
struct Victim {
    place: Place,
    page: u64,
    entry: &'static Page,
    was: Pte,
    frame: u32,
}

impl Victim {
    /// What the policy knows the page by.
    fn id(&self) -> PageId {
        PageId(self.place.page_address(self.page) as u64)
    }
}

impl Engine {
    /// A frame. `masked` if the caller has every signal blocked. `None` when nothing can leave memory.
    pub(crate) fn obtain_frame(&'static self, masked: bool) -> Option<Obtained> {
        let who = (self.hooks.who)();
        let mut stayed = 0;
        for round in 0..ROUNDS {
            for _ in 0..TRIES {
                let mut pool = self.hold_pool(masked);
                let free = if self.is_exact() { pool.frames().take_lowest() } else { pool.frames().take() };
                if let Some(frame) = free {
                    self.note_resident(pool.frames().state().used());
                    return Some(Obtained { frame, evicted: None });
                }
                let mut victim = self.take_retained();
                if victim.is_none() && !self.is_armed() {
                    // The first page of a block is about to leave: system calls first.
                    drop(pool);
                    self.arm();
                    continue;
                }
                if victim.is_none() {
                    // If only young pages are left, somebody has to give way after all.
                    let spare_young = round == 0;
                    if !self.is_exact() && pool.slots().state().free() == 0 {
                        victim = self.take_saved(spare_young);
                        if victim.is_none() && round > 0 {
                            self.give_up_saved(&mut pool);
                        }
                    }
                    victim = victim.or_else(|| self.take_victim(&mut pool, spare_young));
                }
                let Some(victim) = victim else {
                    break;
                };
                self.tell_removed(&mut pool, &victim);
                drop(pool);
                if let Some(obtained) = self.evict(&victim, masked, who) {
                    return Some(obtained);
                }
                // Perhaps no mapping could be cut in two: one that stands alone need not be.
                if let Some(obtained) = self.obtain_lonely(masked) {
                    return Some(obtained);
                }
                stayed += 1;
                // Each page was tried. Who counts may serve others, who would wait for a disk that has failed.
                if self.is_exact() && stayed >= self.pool_frames() {
                    return None;
                }
            }
            // Everything is pinned or in transit: others have to get on first.
            if round < 1000 {
                thread::yield_now();
            } else {
                thread::nap();
            }
        }
        None
    }

    /// A frame of a page whose leaving makes the mappings fewer.
    pub(crate) fn obtain_lonely(&'static self, masked: bool) -> Option<Obtained> {
        let who = (self.hooks.who)();
        let layout = *self.arena().layout();
        let mut pool = self.hold_pool(masked);
        let frames = self.pool_frames();
        for _ in 0..frames {
            let offset = self.gauges.lonely.fetch_add(1, Ordering::Relaxed) % frames;
            let Some(victim) = self.token_of(layout.first_pool + offset, can_leave) else {
                continue;
            };
            if !self.stands_alone(&victim) {
                self.complete(victim.entry, victim.was);
                continue;
            }
            self.tell_removed(&mut pool, &victim);
            drop(pool);
            return self.evict(&victim, masked, who);
        }
        None
    }

    /// Whether the victim has a mapping of its own that joins a gap when it leaves: one mapping less.
    fn stands_alone(&self, victim: &Victim) -> bool {
        let backed = u64::from(victim.place.region.groups.load(Ordering::Relaxed)) * 64;
        let neighbour = |page: Option<u64>| {
            let page = page.filter(|page| *page < backed)?;
            let pte = victim.place.page(page).pte();
            matches!(pte.state(), State::Resident | State::Retained).then_some(pte)
        };
        let before = neighbour(victim.page.checked_sub(1));
        let after = neighbour(victim.page.checked_add(1));
        let open = Pte::READ | Pte::WRITE | Pte::EXECUTE;
        let joined = |pte: Pte, frame: Option<u32>| Some(pte.index()) == frame && pte.0 & open == victim.was.0 & open;
        let with_before = before.is_some_and(|pte| joined(pte, victim.frame.checked_sub(1)));
        let with_after = after.is_some_and(|pte| joined(pte, victim.frame.checked_add(1)));
        !with_before && !with_after && (before.is_none() || after.is_none())
    }

    /// Evicts pages that the policy would have leave next, young ones too, although their frames are not
    /// needed: what a build that tortures itself does (`sys/torture.rs`). The caller holds no gate.
    pub fn torment(&'static self) {
        let _stack = self.keep_stack();
        let _quiet = thread::Quiet::begin();
        let who = (self.hooks.who)();
        if self.swap.reserved() == 0 || !self.is_armed() || self.is_exact() {
            return;
        }
        for _ in 0..torture::victims() {
            let mut pool = self.pool.hold_masked();
            if pool.slots().state().free() < 64 {
                return;
            }
            let Some(victim) = self.take_victim(&mut pool, false) else {
                return;
            };
            self.tell_removed(&mut pool, &victim);
            drop(pool);
            if let Some(obtained) = self.evict(&victim, true, who) {
                self.return_frame(obtained.frame);
            }
        }
    }

    /// Gives back a frame that was obtained and is mapped nowhere.
    pub(crate) fn return_frame(&self, frame: u32) {
        let known = self.arena().frame(frame);
        known.stamp.fetch_max(1, Ordering::Relaxed);
        known.set_owner(Owner::Nobody);
        let given = self.pool.hold().frames().give(frame, 1);
        debug_assert!(given, "frame {frame} was not in use");
    }

    pub(crate) fn hold_pool(&self, masked: bool) -> Guard<'_, Pool> {
        if masked {
            self.pool.hold_masked()
        } else {
            self.pool.hold()
        }
    }

    /// The token of a retained page, if there is one.
    fn take_retained(&'static self) -> Option<Victim> {
        let words = self.arena().retained();
        let first = self.gauges.retained_cursor.load(Ordering::Relaxed);
        for i in 0..words.len() as u32 {
            // Relaxed: hints; the page table entry decides.
            if self.gauges.retained.load(Ordering::Relaxed) == 0 {
                return None;
            }
            let number = (first + i) % words.len() as u32;
            let mut bits = words.get(number as usize).map_or(0, |word| word.load(Ordering::Relaxed));
            while bits != 0 {
                let frame = number * 64 + bits.trailing_zeros();
                bits &= bits - 1;
                self.note_retained(frame, false);
                if let Some(victim) = self.token_of(frame, |pte| pte.state() == State::Retained && pte.pins() == 0) {
                    self.gauges.retained_cursor.store(number, Ordering::Relaxed);
                    return Some(victim);
                }
            }
        }
        None
    }

    /// Every slot is in use: the token of a page that is in one of them already, and needs no other.
    ///
    /// There is always one, or a free frame, or somebody about to give one back: of the pages that
    /// were promised, more than there are slots, all but so many as there are frames less the reserve
    /// are in slots only.
    fn take_saved(&'static self, spare_young: bool) -> Option<Victim> {
        let bits = LiveBits::new(self, spare_young);
        let first = self.arena().layout().first_pool;
        let frames = self.pool_frames();
        for _ in 0..frames {
            let frame = first + self.gauges.saved.fetch_add(1, Ordering::Relaxed) % frames;
            // Relaxed: a hint; eviction looks again under the token.
            let saved = self.arena().frame(frame).slot.load(Ordering::Relaxed) != 0;
            if saved && bits.is_evictable(FrameIndex::new(frame)) {
                let victim = self.token_of(frame, |pte| can_leave(pte) && !pte.has(Pte::M));
                if victim.is_some() {
                    return victim;
                }
            }
        }
        None
    }

    /// Every slot is in use, and the pages that are in one of them as well cannot leave because they
    /// are pinned: one of them gives its slot up, and will be written again.
    fn give_up_saved(&'static self, pool: &mut Guard<'_, Pool>) {
        let layout = *self.arena().layout();
        for number in layout.first_pool..layout.first_shared {
            let frame = self.arena().frame(number);
            let Some(slot) = frame.slot.load(Ordering::Relaxed).checked_sub(1) else {
                continue;
            };
            let Owner::Page(address) = frame.owner() else {
                continue;
            };
            let Some((place, page)) = self.find_page(address) else {
                continue;
            };
            let pte = place.page(page).pte();
            let pinned = pte.state() == State::Resident && pte.index() == number && pte.pins() > 0;
            // AcqRel: as in `drop_slot`; whoever takes the slot frees it.
            if pinned
                && place.page(page).change(pte, pte.with(Pte::M)).is_ok()
                && frame.slot.compare_exchange(slot + 1, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                pool.give_slot(slot);
                return;
            }
        }
    }

    /// The token of the page that the policy would have leave.
    fn take_victim(&'static self, pool: &mut Guard<'_, Pool>, spare_young: bool) -> Option<Victim> {
        let mut bits = LiveBits::new(self, spare_young);
        let frame = self.policy.victim(&mut pool.lists(), &mut bits)?;
        self.token_of(frame.get(), can_leave)
    }

    /// Takes the token of the page in `frame` if `suits` says so.
    fn token_of(&'static self, frame: u32, suits: impl Fn(Pte) -> bool) -> Option<Victim> {
        let Owner::Page(address) = self.arena().frame(frame).owner() else {
            return None;
        };
        let (place, page) = self.find_page(address)?;
        let entry = place.page(page);
        let was = entry.pte();
        if was.index() != frame || !suits(was) {
            return None;
        }
        entry.change(was, was.to(State::Leaving)).ok()?;
        Some(Victim { place, page, entry, was, frame })
    }

    /// Evicts the victim; `None` if it had to stay, and then it is as it was.
    fn evict(&'static self, victim: &Victim, masked: bool, who: Who) -> Option<Obtained> {
        torture::pause();
        // From now on who touches the page waits for us.
        if victim.place.close(victim.page).is_err() {
            // Too many mappings to cut one more: the page stays, another may do.
            self.keep(victim, victim.was, masked);
            return None;
        }
        torture::pause();
        if victim.was.state() == State::Retained {
            return Some(self.complete_eviction(victim, Pte::VOID, None));
        }
        let Some((eviction, left, slot)) = self.secure(victim, masked, who) else {
            self.reopen(victim, masked);
            return None;
        };
        self.count(who, eviction.counter(), 1);
        let name = PageName { region: victim.place.region.number.load(Ordering::Relaxed), page: victim.page as u32 };
        if self.trace.is_on() {
            let slot = slot.filter(|slot| *slot != ELSEWHERE);
            self.trace.enter(who.thread, What::Eviction(eviction), Some(name), Some(victim.frame), slot);
        }
        Some(self.complete_eviction(victim, left.with_terms_of(victim.was), Some((name, eviction))))
    }

    fn complete_eviction(&self, victim: &Victim, left: Pte, evicted: Option<(PageName, Eviction)>) -> Obtained {
        self.complete(victim.entry, left);
        self.arena().frame(victim.frame).set_owner(Owner::Nobody);
        Obtained { frame: victim.frame, evicted }
    }

    /// Sees to it that the victim's bytes survive: how, what the entry becomes, and in which slot.
    fn secure(&'static self, victim: &Victim, masked: bool, who: Who) -> Option<(Eviction, Pte, Option<u32>)> {
        let frame = victim.frame;
        let dirty = victim.was.has(Pte::M);
        if !dirty {
            // AcqRel: as in `drop_slot`.
            let slot = self.arena().frame(frame).slot.swap(0, Ordering::AcqRel);
            if let Some(slot) = slot.checked_sub(1) {
                return Some((Eviction::Clean, Pte::new(State::Swapped, slot, Pte::SLOT), Some(slot)));
            }
        }
        // Who counts wants a page that was modified to be written, whatever it holds.
        let zero = if self.is_exact() { !dirty } else { self.arena().is_zero(frame) };
        if zero {
            return Some((Eviction::Zero, Pte::new(State::Empty, 0, 0), None));
        }
        torture::pause();
        let slot = self.save(&victim.place, victim.page, frame, masked, who)?;
        Some((Eviction::Dirty, Pte::new(State::Swapped, slot, Pte::SLOT), Some(slot)))
    }

    fn tell_removed(&self, pool: &mut Guard<'_, Pool>, victim: &Victim) {
        let departure = if victim.was.state() == State::Retained { Departure::Freed } else { Departure::Evicted };
        self.policy.removed(&mut pool.lists(), FrameIndex::new(victim.frame), victim.id(), departure);
    }

    /// The victim's view was closed but it has to stay: it faults back in without I/O.
    fn reopen(&'static self, victim: &Victim, masked: bool) {
        let open = victim.was.with(Pte::M | victim.was.permitted());
        // It was open a moment ago; if somebody else has used up the mappings since, they will be fewer again.
        while victim.place.open(victim.page, victim.frame, protection(open)).is_err() {
            thread::nap();
        }
        self.keep(victim, open, masked);
    }

    fn keep(&'static self, victim: &Victim, pte: Pte, masked: bool) {
        let mut pool = self.hold_pool(masked);
        let mut bits = LiveBits::new(self, false);
        self.policy.inserted(&mut pool.lists(), FrameIndex::new(victim.frame), victim.id(), Arrival::Back, &mut bits);
        drop(pool);
        self.complete(victim.entry, pte);
    }
}
