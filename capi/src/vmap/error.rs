//! The error numbers of vmap.h, and the last one of each thread.

use core::cell::Cell;
use core::ffi::{c_char, c_int, CStr};

/// What can go wrong; `include/vmap.h` says when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Error {
    NoMap = -1,
    Owner = -2,
    Pointer = -3,
    Middle = -4,
    Range = -5,
    Size = -6,
    Data = -7,
    NoMemory = -8,
    Io = -9,
    Busy = -10,
    Option = -11,
    System = -12,
}

const TEXTS: [&CStr; 13] = [
    c"no error",
    c"there is no such map: it was never created, or is destroyed",
    c"the map belongs to another owner",
    c"the address is in no block of this map: it was never allocated, or is freed",
    c"the address is inside a block, not its begin",
    c"the range goes past the end of its block",
    c"the size is not positive",
    c"the pointer to the caller's data is NULL",
    c"no room in the map, or in memory and swap file together",
    c"the swap file could not be read or written",
    c"there are maps: they must be destroyed before",
    c"an option is out of range",
    c"the system refused memory or files",
];

thread_local! {
    static LAST: Cell<c_int> = const { Cell::new(0) };
}

/// Notes how a call ended; the error number, 0 for none.
pub fn note<T>(result: &Result<T, Error>) -> c_int {
    let number = match result {
        Ok(_) => 0,
        Err(error) => *error as c_int,
    };
    LAST.set(number);
    number
}

/// See `include/vmap.h`.
#[unsafe(no_mangle)]
pub extern "C" fn vmap_error() -> c_int {
    LAST.get()
}

/// See `include/vmap.h`.
#[unsafe(no_mangle)]
pub extern "C" fn vmap_strerror(error: c_int) -> *const c_char {
    let at = error.checked_neg().and_then(|number| usize::try_from(number).ok());
    at.and_then(|at| TEXTS.get(at)).copied().unwrap_or(c"not an error of vmap.h").as_ptr()
}
