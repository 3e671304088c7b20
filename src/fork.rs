//! fork: the child gets a copy of its own of everything that is in use, made by the parent before.
//!
//! A memory file is shared by parent and child, so the parent copies: all gates are closed, the
//! pager's lock is held, pages in transit arrive, and the frames in use and the slots in use are
//! copied to a new memory file and a new swap file (or to memory, where a sandbox forbids files). After the fork the child maps its own files at
//! the same addresses. The cost grows with what is in use, and with nothing else.
//!
//! Other threads may go on storing to resident pages while the copy is made; the kernel's own fork
//! promises them no single moment either. Transitions that need no frame (a protection that changes)
//! may also go on, so the child finds some tokens whose holders it does not have, and settles them.

use crate::arena::Owner;
use crate::engine::{Engine, Pool, Regions};
use crate::gate::Closer;
use crate::heap::Ground;
use crate::lock::Guard;
use crate::page_table::GROUP_PAGES;
use crate::pte::{Pte, State};
use crate::region::Region;
use crate::regions::EVERYBODY;
use crate::stats::Counter;
use crate::sys::medium::Medium;
use crate::sys::memory::Protection;
use crate::sys::{thread, Result};
use crate::view::protection;
use core::sync::atomic::Ordering;

/// A process about to fork: nobody else allocates, frees, or faults.
pub struct Snapshot {
    engine: &'static Engine,
    others: Others,
    pool: Guard<'static, Pool>,
    closer: Closer,
    memory: Medium,
    swap: Option<Medium>,
}

/// The locks that a thread may hold while it waits for the pager's: nobody does at the fork.
struct Others {
    _regions: Guard<'static, Regions>,
    _opening: Guard<'static, ()>,
    _shared: Guard<'static, ()>,
}

impl Engine {
    /// Stops the others and copies what is in use. `own` is the caller's region, whose gate it is
    /// outside of.
    pub fn snapshot(&'static self, own: Option<&Region>) -> Result<Snapshot> {
        let closer = Closer::hold();
        for place in self.places() {
            let is_own = own.is_some_and(|own| core::ptr::eq(own, place.region));
            place.region.gate().close(&closer, is_own);
        }
        let others = Others { _regions: self.regions.hold(), _opening: self.opening.hold(), _shared: self.shared.hold() };
        let mut pool = self.settled_pool();
        match self.copy(&mut pool) {
            Ok((memory, swap)) => Ok(Snapshot { engine: self, others, pool, closer, memory, swap }),
            Err(error) => {
                drop(pool);
                drop(others);
                self.open_gates(&closer);
                Err(error)
            }
        }
    }

    fn open_gates(&'static self, closer: &Closer) {
        for place in self.places() {
            place.region.gate().open(closer);
        }
    }

    /// The pager's lock, at a moment when no page is in transit: with it held, no transition begins
    /// that needs a frame, so what is seen at rest stays where it is.
    fn settled_pool(&'static self) -> Guard<'static, Pool> {
        loop {
            let pool = self.pool.hold();
            let layout = self.arena().layout();
            let in_use = layout.first_pool..layout.first_shared;
            let mut ours = 0;
            let busy = in_use.clone().any(|frame| match self.arena().frame(frame).owner() {
                Owner::Page(address) => {
                    ours += 1;
                    self.find_page(address).is_none_or(|(place, page)| {
                        let pte = place.page(page).pte();
                        pte.in_transit() || pte.index() != frame
                    })
                }
                Owner::Bookkeeping(_) => {
                    ours += 1;
                    false
                }
                Owner::Nobody => false,
            });
            let fixed = layout.first_pool + layout.frames - layout.first_shared;
            let mut pool = pool;
            // A frame in use that nobody owns is being filled at this moment.
            if !busy && pool.frames().state().used() == ours + fixed {
                return pool;
            }
            drop(pool);
            thread::yield_now();
        }
    }

    /// Copies what is in use to a new memory file and a new swap file, and counts what that costs.
    fn copy(&'static self, pool: &mut Guard<'static, Pool>) -> Result<(Medium, Option<Medium>)> {
        let begun = thread::now();
        let copied = self.copy_all(pool);
        let who = (self.hooks.who)();
        if copied.is_ok() {
            self.count(who, Counter::Forks, 1);
            self.count(who, Counter::ForkFrames, u64::from(pool.frames().state().used()));
            self.count(who, Counter::ForkSlots, u64::from(pool.slots().state().used()));
        } else {
            self.count(who, Counter::ForksFailed, 1);
        }
        self.count(who, Counter::ForkMicros, (thread::now() - begun) / 1000);
        copied
    }

    fn copy_all(&'static self, pool: &mut Guard<'static, Pool>) -> Result<(Medium, Option<Medium>)> {
        let len = u64::from(self.arena().layout().frames) << self.page_shift();
        let memory = Medium::for_memory(c"vmalloc-arena", len)?;
        let copied = self.copy_frames(pool, memory).and_then(|()| self.copy_slots(pool));
        if copied.is_err() {
            memory.give_up();
        }
        copied.map(|swap| (memory, swap))
    }

    fn copy_frames(&'static self, pool: &mut Guard<'static, Pool>, memory: Medium) -> Result<()> {
        let mut next = 0;
        while let Some(first) = pool.frames().next_used(next) {
            let mut n = 1;
            while n < 256 && pool.frames().next_used(first + n) == Some(first + n) {
                n += 1;
            }
            let (address, len) = self.arena().bytes(first, n);
            // SAFETY: whole frames of the engine view.
            unsafe { memory.write(address, len, self.arena().offset(first))? };
            next = first + n;
        }
        Ok(())
    }

    /// In the child: maps the frames whose owner `suits` to their places in the copy.
    fn remap(&'static self, suits: impl Fn(Owner) -> bool) -> Result<()> {
        let layout = self.arena().layout();
        for frame in layout.first_pool..layout.first_shared {
            let owner = self.arena().frame(frame).owner();
            let (at, protection) = match owner {
                _ if !suits(owner) => continue,
                Owner::Nobody => continue,
                Owner::Bookkeeping(at) => (at, Protection::ReadWrite),
                Owner::Page(at) => {
                    let pte = self.find_page(at).map_or(Pte::VOID, |(place, page)| place.page(page).pte());
                    (at, protection(pte))
                }
            };
            // SAFETY: the address showed this frame of the old file; the copy has the same bytes.
            unsafe { self.arena().show(at, self.page(), protection, frame)? };
        }
        Ok(())
    }

    /// In the child: ends the transitions, and takes back the pins, of threads that it does not have.
    fn settle_tokens(&'static self) {
        for place in self.places() {
            for number in 0..place.backed_groups() {
                for page in number * GROUP_PAGES..(number + 1) * GROUP_PAGES {
                    let entry = place.page(page);
                    // Locks are not inherited, and pins were those of the parent.
                    let terms = Pte::LOCKED | Pte::PARTED;
                    let pte = entry.pte().with_pins_of(Pte::VOID).without(Pte::WAITERS | terms);
                    let frame = self.arena().frame(pte.index());
                    let settled = if !pte.in_transit() {
                        pte
                    } else if pte.has(Pte::SLOT) {
                        pte.to(State::Swapped)
                    } else if frame.owner() == Owner::Page(place.page_address(page)) {
                        pte.to(State::Resident)
                    } else {
                        Pte::new(State::Empty, 0, 0).with_terms_of(pte)
                    };
                    if settled != entry.pte() {
                        entry.finish(settled);
                    }
                }
            }
        }
        self.gauges.pinned.store(0, Ordering::Relaxed);
    }

    fn copy_slots(&'static self, pool: &mut Guard<'static, Pool>) -> Result<Option<Medium>> {
        let made = self.swap.successor()?;
        let Some(to) = made.filter(|_| self.swap.reserved() > 0) else {
            return Ok(made);
        };
        let mut next = 0;
        while let Some(first) = pool.slots().next_used(next) {
            let mut n = 1;
            while n < 4096 && pool.slots().next_used(first + n) == Some(first + n) {
                n += 1;
            }
            let offset = u64::from(first) << self.page_shift();
            if let Err(error) = self.swap.copy_to(to, offset, u64::from(n) << self.page_shift()) {
                to.give_up();
                return Err(error);
            }
            next = first + n;
        }
        Ok(Some(to))
    }
}

impl Snapshot {
    /// After the fork, or when it failed: the parent goes on as if nothing had happened.
    pub fn parent(self) {
        self.memory.give_up();
        self.swap.into_iter().for_each(Medium::give_up);
        drop(self.pool);
        drop(self.others);
        self.engine.open_gates(&self.closer);
    }

    /// After the fork, in the child: moves to the copy. The regions of all threads but the caller's,
    /// `own`, have lost their owners.
    ///
    /// # Safety
    /// Called once, in the child, whose only thread is the one that took the snapshot.
    pub unsafe fn child(self, own: Option<&Region>) -> Result<()> {
        let Snapshot { engine, others, pool, closer, memory, swap } = self;
        // SAFETY: the copy holds all frames that are in use, and we are the only thread.
        unsafe { engine.arena().continue_on(memory)? };
        engine.swap.continue_on(swap);
        // Bookkeeping first: the page tables lie in it.
        engine.remap(|owner| matches!(owner, Owner::Bookkeeping(_)))?;
        engine.settle_tokens();
        engine.remap(|owner| matches!(owner, Owner::Page(_)))?;
        drop(pool);
        drop(others);
        for place in engine.places() {
            place.region.gate().reset();
            let owner = place.region.owner.load(Ordering::Relaxed);
            if owner == EVERYBODY + 1 || own.is_some_and(|own| core::ptr::eq(own, place.region)) {
                continue;
            }
            place.region.owner.store(0, Ordering::Release);
            // SAFETY: nobody else is here.
            if unsafe { place.region.heap() }.live() == 0 {
                engine.enlist(&place);
            }
        }
        drop(closer);
        Ok(())
    }
}
