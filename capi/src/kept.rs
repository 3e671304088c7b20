//! Values in memory of their own. malloc's may be paged by libvmalloc.so, whose fault handler cannot run
//! while ours does; and a value that the engine refers to must not move.

use core::ops::Deref;
use vmcore::sys::memory::{self, Protection};
use vmcore::sys::Result;

/// A value that stays where it is until it is dropped.
pub struct Kept<T: 'static> {
    value: &'static T,
}

impl<T: Sync> Kept<T> {
    /// Puts a value there.
    pub fn new(value: T) -> Result<Kept<T>> {
        let at = memory::reserve(size_of::<T>().max(1), Protection::ReadWrite)? as *mut T;
        // SAFETY: a fresh mapping, large enough and aligned to pages, that nobody else knows.
        unsafe {
            at.write(value);
            Ok(Kept { value: &*at })
        }
    }

    /// The value, for as long as it is kept.
    ///
    /// # Safety
    /// What is made of it must be gone before the value is dropped.
    pub unsafe fn forever(&self) -> &'static T {
        self.value
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value
    }
}

impl<T: 'static> Drop for Kept<T> {
    fn drop(&mut self) {
        let at = core::ptr::from_ref(self.value).cast_mut();
        // SAFETY: our own mapping, and the value is not used any more.
        unsafe {
            core::ptr::drop_in_place(at);
            let _ = memory::unmap(at as usize, size_of::<T>().max(1));
        }
    }
}
