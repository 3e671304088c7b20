//! The next malloc in the search order, for a process in which the library stands aside.

use crate::next;
use crate::shared::aside::is_on;
use core::ffi::c_void;
use core::ptr::NonNull;

/// A block of the next malloc; `None` also when the library does not stand aside.
pub fn allocate(size: usize, align: usize, zero: bool) -> Option<NonNull<u8>> {
    if !is_on() {
        return None;
    }
    let block = if zero && align <= 16 {
        let next = next!(c"calloc", unsafe extern "C" fn(usize, usize) -> *mut c_void)?;
        // SAFETY: calloc may be called at any time.
        unsafe { next(1, size) }
    } else {
        let next = next!(c"memalign", unsafe extern "C" fn(usize, usize) -> *mut c_void)?;
        // SAFETY: a power of two.
        unsafe { next(align.max(16), size) }
    };
    NonNull::new(block.cast())
}

/// Frees a block of the next malloc; whether the library stands aside.
pub fn free(address: usize) -> bool {
    if let Some(free) = next!(c"free", unsafe extern "C" fn(*mut c_void)).filter(|_| is_on()) {
        // SAFETY: the program's own block.
        unsafe { free(address as *mut c_void) };
    }
    is_on()
}

/// realloc of the next malloc.
pub fn reallocate(address: usize, size: usize) -> Option<NonNull<u8>> {
    let next = next!(c"realloc", unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void)?;
    // SAFETY: the program's own block.
    NonNull::new(unsafe { next(address as *mut c_void, size) }.cast())
}

/// malloc_usable_size of the next malloc.
pub fn usable_size(address: usize) -> Option<usize> {
    let next = next!(c"malloc_usable_size", unsafe extern "C" fn(*mut c_void) -> usize).filter(|_| is_on())?;
    // SAFETY: the program's own block.
    Some(unsafe { next(address as *mut c_void) })
}
