//! The C library's own functions, behind ours: looked up once, at first use, without allocating.

use core::ffi::{c_void, CStr};
use core::sync::atomic::{AtomicPtr, Ordering};

/// A function of the next library in the search order.
pub struct Next {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Next {
    /// The function of that name; not looked up yet.
    pub const fn new(name: &'static CStr) -> Next {
        Next { name, address: AtomicPtr::new(core::ptr::null_mut()) }
    }

    /// Its address, if it was looked up and found.
    pub fn known(&self) -> Option<*mut c_void> {
        // Relaxed: every look-up finds the same address, which orders nothing.
        Some(self.address.load(Ordering::Relaxed)).filter(|known| !known.is_null())
    }

    /// Its address; null if there is none.
    pub fn get(&self) -> *mut c_void {
        if let Some(known) = self.known() {
            return known;
        }
        // SAFETY: the name is a C string.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        self.address.store(found, Ordering::Relaxed);
        found
    }
}

/// Declares and calls the next function: `next!(c"name", fn(A, B) -> C)(a, b)`.
#[macro_export]
macro_rules! next {
    ($name:literal, $type:ty) => {{
        static NEXT: $crate::shared::next::Next = $crate::shared::next::Next::new($name);
        // SAFETY: the function has the type that its manual says; an Option of a function pointer
        // is null for none.
        unsafe { core::mem::transmute::<*mut core::ffi::c_void, Option<$type>>(NEXT.get()) }
    }};
}
