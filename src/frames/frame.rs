//! What is known of a frame, beyond what its page's entry says.
#![forbid(unsafe_code)]

use crate::index::{AtomicLink, Slot};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// One line of the frame table. All zero: never used, so its bytes are zero.
#[repr(C)]
pub struct Frame {
    /// Where the program, or the heap, sees the frame, plus a [`User`] in the low bits; 0 if free.
    user: AtomicU64,
    /// The slot that holds the same bytes, while the page is clean.
    copy: AtomicLink<Slot>,
    /// The fault that brought the page in; see [`Frame::stamp`].
    stamp: AtomicU32,
}

/// Who uses a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum User {
    /// Nobody, or somebody who is being given it.
    Nobody,
    /// The page at this address.
    Page(usize),
    /// Bookkeeping, mapped at this address.
    Bookkeeping(usize),
}

impl Frame {
    /// Who uses the frame.
    pub fn user(&self) -> User {
        // Acquire: pairs with `set_user`.
        let word = self.user.load(Ordering::Acquire) as usize;
        match word & 3 {
            1 => User::Page(word & !3),
            2 => User::Bookkeeping(word & !3),
            _ => User::Nobody,
        }
    }

    /// Says who uses the frame from now on.
    pub fn set_user(&self, user: User) {
        let word = match user {
            User::Nobody => 0,
            User::Page(at) => at | 1,
            User::Bookkeeping(at) => at | 2,
        };
        // Release: pairs with `user`.
        self.user.store(word as u64, Ordering::Release);
    }

    /// The slot that holds the same bytes, as a hint: who acts on it takes it.
    pub fn copy(&self) -> Option<Slot> {
        self.copy.load(Ordering::Relaxed)
    }

    /// Says which slot holds the same bytes as the frame.
    pub fn set_copy(&self, slot: Option<Slot>) {
        // Release: pairs with `take_copy` and `take_copy_if` of whoever drops or keeps the slot.
        self.copy.store(slot, Ordering::Release);
    }

    /// Takes the slot that holds the same bytes; one taker only.
    pub fn take_copy(&self) -> Option<Slot> {
        // AcqRel: pairs with `set_copy`.
        self.copy.swap(None, Ordering::AcqRel)
    }

    /// Takes it if it is still `slot`.
    pub fn take_copy_if(&self, slot: Slot) -> bool {
        // AcqRel: pairs with `set_copy`.
        self.copy.forget(slot, Ordering::AcqRel)
    }

    /// Whether the frame was ever used. One that was not is a hole of the memory file, and zero.
    pub fn was_used(&self) -> bool {
        self.stamp() != NEVER
    }

    /// The fault that brought the page in: 0 for a frame that was never used, 1 for one that was mapped
    /// ahead or given back, else the number of the fault.
    pub fn stamp(&self) -> u32 {
        // Relaxed: who obtains the frame does so under the pool's lock, as who used it gave it back.
        self.stamp.load(Ordering::Relaxed)
    }

    pub(super) fn set_stamp(&self, stamp: u32) {
        self.stamp.store(stamp, Ordering::Relaxed);
    }

    pub(super) fn note_use(&self) {
        self.stamp.fetch_max(NO_FAULT, Ordering::Relaxed);
    }
}

/// The stamp of a frame that was never used.
const NEVER: u32 = 0;
/// The stamp of a frame that no fault filled.
pub(super) const NO_FAULT: u32 = 1;
