//! The entry of one page: a word that holds a [`Pte`], and the protocol by which threads change it.
//!
//! A transition is one compare-and-swap ([`Entry::change`]), or it takes a while: then whoever made the
//! entry `Filling` or `Leaving` holds its [`Token`], everybody else waits ([`Entry::wait`]), and the token
//! ends it. Waiters mark the word and sleep on the futex of its low half, which has state, flags and pins.
#![forbid(unsafe_code)]

use super::pte::{Pte, State};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::futex;
use crate::sys::torture;

/// The word that says where a page is. All zero: `Void`.
#[derive(Default)]
#[repr(transparent)]
pub struct Entry {
    word: AtomicU64,
}

impl Entry {
    /// What the entry says at this moment.
    #[inline]
    pub fn load(&self) -> Pte {
        // Acquire: pairs with the release in `change` and `Token::finish`, whoever made the last transition.
        Pte(self.word.load(Ordering::Acquire))
    }

    /// One transition at once; on failure what the entry says.
    #[inline]
    pub fn change(&self, from: Pte, to: Pte) -> Result<(), Pte> {
        // AcqRel / Acquire: pairs with itself in other threads, and with `load`.
        self.word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire).map(|_| ()).map_err(Pte)
    }

    /// Begins a transition that takes a while: the token, unless the entry is no longer `from`. `state` is
    /// `Filling` or `Leaving`.
    #[inline]
    pub fn begin(&self, from: Pte, state: State) -> Option<Token<'_>> {
        self.change(from, from.to(state)).ok()?;
        Some(Token { entry: self, was: from })
    }

    /// Waits until the page is no longer in transit, as `pte` said that it was.
    pub fn wait(&self, mut pte: Pte) {
        while pte.in_transit() {
            let waiting = pte.with(Pte::WAITERS);
            if waiting != pte && self.change(pte, waiting).is_err() {
                pte = self.load();
                continue;
            }
            futex::wait_low_half(&self.word, waiting.0);
            pte = self.load();
        }
    }

    /// Waits until the page is at rest and begins a transition to `Leaving`.
    pub fn begin_leaving(&self) -> Token<'_> {
        loop {
            let pte = self.load();
            if pte.in_transit() {
                self.wait(pte);
            } else if let Some(token) = self.begin(pte, State::Leaving) {
                return token;
            }
        }
    }

    /// Changes the entry at rest, whatever it says then; what it said before.
    pub fn update(&self, change: impl Fn(Pte) -> Pte) -> Pte {
        loop {
            let pte = self.load();
            if pte.in_transit() {
                self.wait(pte);
            } else if self.change(pte, change(pte)).is_ok() {
                return pte;
            }
        }
    }

    /// The token of a transition that the caller began and left open with [`Token::leave_open`].
    pub fn take_up(&self) -> Token<'_> {
        Token { entry: self, was: self.load() }
    }
}

/// The right to end a transition of a page, and the duty: until then everybody else waits.
#[must_use = "the page stays in transit until its token is finished"]
pub struct Token<'e> {
    entry: &'e Entry,
    was: Pte,
}

impl<'e> Token<'e> {
    /// What the entry said before the transition.
    #[inline]
    pub fn was(&self) -> Pte {
        self.was
    }

    /// Ends the transition and wakes who waited for it.
    pub fn finish(self, to: Pte) {
        torture::pause();
        // AcqRel: release pairs with the acquire of `load` and `change`; acquire orders nothing here that
        // the token's holder did not write itself.
        let was = Pte(self.entry.word.swap(to.without(Pte::WAITERS).0, Ordering::AcqRel));
        if was.has(Pte::WAITERS) {
            futex::wake_low_half(&self.entry.word);
        }
    }

    /// Ends the transition with everything as it was.
    pub fn give_back(self) {
        let was = self.was;
        self.finish(was);
    }

    /// Keeps the page in transit without a token at hand; [`Entry::take_up`] makes it again. For runs of
    /// pages, whose tokens nobody can list without memory.
    pub fn leave_open(self) {}
}
