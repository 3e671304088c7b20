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

use crate::engine::Engine;
use crate::events::Event;
use crate::frames::{Frozen, User};
use crate::index::{FrameIndex, PageNumber};
use crate::mapper::protection;
use crate::page::{Pte, State};
use crate::pager::Place;
use crate::region::{FreeRegions, Owner, Region};
use crate::swap::FrozenSlots;
use crate::sync::{Closer, Guard};
use crate::sys::medium::Medium;
use crate::sys::memory::Protection;
use crate::sys::{thread, Result};

/// A process about to fork: nobody else allocates, frees, or faults.
pub struct Snapshot {
    engine: &'static Engine,
    // Dropped in this order: the innermost lock first.
    slots: FrozenSlots<'static>,
    frames: Frozen<'static>,
    others: Others,
    closer: Closer,
    memory: Medium,
    swap: Option<Medium>,
}

/// The locks that a thread may hold while it waits for the pager's: nobody does at the fork.
struct Others {
    _shared: Guard<'static, ()>,
    _arming: Guard<'static, ()>,
    _free: Guard<'static, FreeRegions>,
}

impl Engine {
    /// Stops the others and copies what is in use. `own` is the caller's region, whose gate it is
    /// outside of.
    pub fn snapshot(&'static self, own: Option<&Region>) -> Result<Snapshot> {
        let closer = Closer::hold();
        for place in self.places() {
            let is_own = own.is_some_and(|own| core::ptr::eq(own, place.region));
            place.region.gate().shut(&closer, is_own);
        }
        let (free, arming) = (self.regions().hold_free(), self.hold_arming());
        let growing = self.swap().hold_growing();
        let others = Others { _free: free, _arming: arming, _shared: self.hold_shared() };
        let mut frames = self.settled_frames();
        let mut slots = self.swap().freeze(growing);
        match self.copy(&mut frames, &mut slots) {
            Ok((memory, swap)) => Ok(Snapshot { engine: self, slots, frames, others, closer, memory, swap }),
            Err(error) => {
                drop(slots);
                drop(frames);
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
    fn settled_frames(&'static self) -> Frozen<'static> {
        loop {
            let mut frozen = self.frames().freeze();
            let mut ours = 0;
            let busy = self.frames().all_from(0).any(|frame| {
                let user = self.frames().frame(frame).user();
                ours += u32::from(user != User::Nobody);
                matches!(user, User::Page(address) if !self.is_at_rest_in(address, frame))
            });
            // A frame in use that nobody owns is being filled at this moment.
            if !busy && frozen.used() == ours {
                return frozen;
            }
            drop(frozen);
            thread::yield_now();
        }
    }

    fn is_at_rest_in(&'static self, address: usize, frame: FrameIndex) -> bool {
        self.find_page(address).is_some_and(|(place, page)| {
            let pte = place.entry(page).load();
            !pte.in_transit() && pte.frame() == frame
        })
    }

    /// Copies what is in use to a new memory file and a new swap file, and tells what that costs.
    fn copy(&'static self, frames: &mut Frozen<'static>, slots: &mut FrozenSlots<'static>) -> Result<(Medium, Option<Medium>)> {
        let begun = thread::now();
        let copied = self.copy_all(frames, slots);
        let micros = (thread::now() - begun) / 1000;
        let event = match copied {
            Ok(_) => Event::Forked { frames: self.frames_besides_pool() + frames.used(), slots: slots.used(), micros },
            Err(_) => Event::ForkFailed { micros },
        };
        self.emit(&self.who(), &event, None);
        copied
    }

    fn copy_all(
        &'static self,
        frames: &mut Frozen<'static>,
        slots: &mut FrozenSlots<'static>,
    ) -> Result<(Medium, Option<Medium>)> {
        let arena = self.frames().arena();
        let memory = Medium::for_memory(c"vmalloc-arena", arena.layout().len() as u64)?;
        let copied = arena.copy_to(memory, frames.runs()).and_then(|()| slots.copy_for_child());
        if copied.is_err() {
            memory.close();
        }
        copied.map(|swap| (memory, swap))
    }

    /// In the child: maps the frames whose user `suits` to their places in the copy.
    fn remap(&'static self, suits: impl Fn(User) -> bool) -> Result<()> {
        for frame in self.frames().all_from(0) {
            match self.frames().frame(frame).user() {
                user if !suits(user) => {}
                User::Nobody => {}
                User::Bookkeeping(at) => {
                    let arena = self.frames().arena();
                    // SAFETY: the address showed this frame of the old file; the copy has the same bytes.
                    unsafe { arena.map_frames(at, self.page_size(), Protection::ReadWrite, frame, false)? };
                }
                User::Page(at) => {
                    if let Some((place, page)) = self.find_page(at) {
                        place.show(page, frame, protection(place.entry(page).load()))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// In the child: ends the transitions, and takes back the pins, of threads that it does not have.
    fn settle_tokens(&'static self) {
        for place in self.places() {
            for page in place.backed_pages() {
                let entry = place.entry(page);
                let was = entry.load();
                let settled = self.settled(&place, page, was);
                if settled != was {
                    let done = entry.change(was, settled);
                    debug_assert!(done.is_ok(), "nobody else is here");
                }
            }
        }
        self.frames().forget_pins();
    }

    /// What the entry of a page says in the child.
    fn settled(&'static self, place: &Place, page: PageNumber, was: Pte) -> Pte {
        // Locks are not inherited, and pins were those of the parent.
        let pte = was.with_pins_of(Pte::VOID).without(Pte::WAITERS | Pte::LOCKED | Pte::PARTED);
        if !pte.in_transit() {
            pte
        } else if pte.has(Pte::SLOT) {
            pte.to(State::Swapped)
        } else if self.frames().frame(pte.frame()).user() == User::Page(place.page_address(page)) {
            pte.to(State::Resident)
        } else {
            Pte::EMPTY.with_terms_of(pte)
        }
    }

    fn frames_besides_pool(&self) -> u32 {
        let layout = self.frames().arena().layout();
        layout.arena - layout.pool
    }
}

impl Snapshot {
    /// After the fork, or when it failed: the parent goes on as if nothing had happened.
    pub fn parent(self) {
        let Snapshot { engine, slots, frames, others, closer, memory, swap } = self;
        memory.close();
        swap.into_iter().for_each(Medium::close);
        drop(slots);
        drop(frames);
        drop(others);
        engine.open_gates(&closer);
    }

    /// After the fork, in the child: moves to the copy. The regions of all threads but the caller's,
    /// `own`, have lost their owners.
    ///
    /// # Safety
    /// Called once, in the child, whose only thread is the one that took the snapshot.
    pub unsafe fn child(self, own: Option<&Region>) -> Result<()> {
        let Snapshot { engine, slots, frames, others, closer, memory, swap } = self;
        // SAFETY: the copy holds all frames that are in use, and we are the only thread.
        unsafe { engine.frames().arena().continue_on(memory)? };
        engine.swap().continue_on(swap);
        // Bookkeeping first: the page tables lie in it.
        engine.remap(|user| matches!(user, User::Bookkeeping(_)))?;
        engine.settle_tokens();
        engine.remap(|user| matches!(user, User::Page(_)))?;
        drop(slots);
        drop(frames);
        drop(others);
        for place in engine.places() {
            place.region.gate().reset();
            let owner = place.region.owner();
            if matches!(owner, Owner::Everybody | Owner::Library) || own.is_some_and(|own| core::ptr::eq(own, place.region)) {
                continue;
            }
            place.region.set_owner(Owner::Nobody);
            // SAFETY: the child has one thread, this one, which is outside of every gate.
            if unsafe { place.region.gate().unowned(&closer) }.live() == 0 {
                engine.enlist(&place);
            }
        }
        Ok(())
    }
}
