//! Room in a thread's record for what an upper floor keeps about the thread. The record does not know what
//! that is: the floor gives `Thread` a method of its own, which says what lies in its room.

use core::cell::UnsafeCell;

/// What lies in a room.
///
/// # Safety
/// All bytes zero must be a value of the type, and the type's methods must take a shared reference:
/// handlers of signals reach the value too.
pub unsafe trait Resident {}

/// So many bytes, all zero until somebody uses them.
#[repr(C, align(16))]
pub struct Room<const BYTES: usize>(UnsafeCell<[u8; BYTES]>);

impl<const BYTES: usize> Room<BYTES> {
    /// What lies here. A room has one kind of resident: one floor calls this for it, in one place.
    #[inline(always)]
    pub fn resident<T: Resident>(&self) -> &T {
        const { assert!(size_of::<T>() <= BYTES && align_of::<T>() <= 16) };
        // SAFETY: it is large enough and aligned; zero, which it was at first, is a value of the type, as
        // `Resident` promises; and whatever else was stored here was stored through the same type.
        unsafe { &*self.0.get().cast::<T>() }
    }
}
