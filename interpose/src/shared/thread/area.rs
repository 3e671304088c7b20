//! Areas of a thread's record in which an upper floor keeps its own state of the thread. The record does not know
//! what that is: the floor gives `Thread` a method, which says what lies in its area.

use core::cell::UnsafeCell;

/// What lies in an area.
///
/// # Safety
/// All bytes zero must be a value of the type, and the type's methods must take a shared reference:
/// handlers of signals reach the value too.
pub unsafe trait PerThread {}

/// So many bytes, all zero until somebody uses them.
#[repr(C, align(16))]
pub struct Area<const BYTES: usize>(UnsafeCell<[u8; BYTES]>);

impl<const BYTES: usize> Area<BYTES> {
    /// What lies here. One floor calls this for its area, in one place, so it is always of one type.
    #[inline(always)]
    pub fn state<T: PerThread>(&self) -> &T {
        const { assert!(size_of::<T>() <= BYTES && align_of::<T>() <= 16) };
        // SAFETY: it is large enough and aligned; zero, which it was at first, is a value of the type, as
        // `PerThread` promises; and whatever else was stored here was stored through the same type.
        unsafe { &*self.0.get().cast::<T>() }
    }
}
