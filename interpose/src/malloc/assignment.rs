//! The functions of the thread-library assignment: myallocate, mydeallocate, shalloc (`vmalloc.h`).

use super::blocks::{self, Bad};
use super::{family, misuse};
use crate::shared::errno::set_errno;
use crate::start;
use core::ffi::{c_char, c_int, c_void, CStr};
use core::ptr::null_mut;
use vmcore::engine::Engine;
use vmcore::page::Access;

/// A request of the thread library itself: its memory is never paged.
const LIBRARYREQ: c_int = 1;

/// A block of the shared region, which every thread sees and which is never paged; NULL and ENOMEM
/// when the region is full.
pub fn shalloc(size: usize) -> *mut c_void {
    match start::engine().and_then(|engine| engine.shared_allocate(size)) {
        Some(address) => address as *mut c_void,
        None => {
            set_errno(libc::ENOMEM);
            null_mut()
        }
    }
}

/// Frees a block of the shared region; `free` does as well.
pub fn shfree(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    let freed = match start::engine() {
        Some(engine) if engine.is_shared(block as usize) => engine.shared_free(block as usize).map_err(Bad::from),
        _ => Err(Bad::Foreign),
    };
    if let Err(bad) = freed {
        misuse::die("shfree", block as usize, bad);
    }
}

/// malloc that knows where it was called. With LIBRARYREQ the memory is never paged.
///
/// # Safety
/// `file` must be null or a C string.
pub unsafe fn myallocate(size: usize, _file: *const c_char, _line: c_int, request: c_int) -> *mut c_void {
    if request != LIBRARYREQ {
        return family::malloc(size);
    }
    let Some(engine) = start::engine() else {
        return null_mut();
    };
    let Some(block) = blocks::allocate_for_library(size).map(|block| block.as_ptr()) else {
        set_errno(libc::ENOMEM);
        return null_mut();
    };
    if !hold(engine, block as usize, size.max(1)) {
        // So much cannot stay in memory beside the pages of the program.
        let _ = blocks::free(block as usize);
        set_errno(libc::ENOMEM);
        return null_mut();
    }
    block.cast()
}

/// Pins those pages of a new block that no block of the library lay in before: until the last block is gone. False if so much
/// cannot be pinned.
fn hold(engine: &'static Engine, block: usize, size: usize) -> bool {
    let page = engine.page_size();
    (block / page..(block + size).div_ceil(page)).all(|number| {
        let at = number * page;
        let is_held = engine.find_page(at).is_some_and(|(place, page)| place.entry(page).load().pins() > 0);
        is_held || engine.pin(at, page, Access::Write, false) == page
    })
}

/// free that reports an invalid pointer with the place of the call.
///
/// # Safety
/// `file` must be null or a C string.
pub unsafe fn mydeallocate(block: *mut c_void, file: *const c_char, line: c_int, _request: c_int) {
    if block.is_null() {
        return;
    }
    if let Err(bad) = blocks::free(block as usize) {
        let name = if file.is_null() {
            "unknown file"
        } else {
            // SAFETY: it is not null, so it is a C string, as the caller promises.
            unsafe { CStr::from_ptr(file) }.to_str().unwrap_or("unknown file")
        };
        misuse::die_at("mydeallocate", block as usize, bad, Some((name, line)));
    }
}
