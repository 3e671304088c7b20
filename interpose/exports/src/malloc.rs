//! The malloc family.

use core::ffi::{c_char, c_int, c_void};
use interposer::malloc::{assignment, family, introspection};
use libc::FILE;

calls! { family:
    fn malloc(size: usize) -> *mut c_void;
    fn calloc(count: usize, size: usize) -> *mut c_void;
    fn free(block: *mut c_void);
    fn realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void;
    fn memalign(align: usize, size: usize) -> *mut c_void;
    fn aligned_alloc(align: usize, size: usize) -> *mut c_void;
    fn posix_memalign(place: *mut *mut c_void, align: usize, size: usize) -> c_int;
    fn valloc(size: usize) -> *mut c_void;
    fn pvalloc(size: usize) -> *mut c_void;
    fn malloc_usable_size(block: *mut c_void) -> usize;
    fn cfree(block: *mut c_void);
    fn free_sized(block: *mut c_void, size: usize);
    fn free_aligned_sized(block: *mut c_void, align: usize, size: usize);
}

calls! { introspection:
    fn mallopt(parameter: c_int, value: c_int) -> c_int;
    fn malloc_trim(pad: usize) -> c_int;
    fn mallinfo() -> libc::mallinfo;
    fn mallinfo2() -> libc::mallinfo2;
    fn malloc_stats();
    fn malloc_info(options: c_int, stream: *mut FILE) -> c_int;
}

calls! { assignment:
    fn myallocate(size: usize, file: *const c_char, line: c_int, request: c_int) -> *mut c_void;
    fn mydeallocate(block: *mut c_void, file: *const c_char, line: c_int, request: c_int);
    fn shalloc(size: usize) -> *mut c_void;
    fn shfree(block: *mut c_void);
}
