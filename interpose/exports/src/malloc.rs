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
    fn posix_memalign(place: *mut *mut c_void, align: usize, size: usize) -> c_int;
    fn valloc(size: usize) -> *mut c_void;
    fn pvalloc(size: usize) -> *mut c_void;
    fn malloc_usable_size(block: *mut c_void) -> usize;
    fn cfree(block: *mut c_void);
    fn free_sized(block: *mut c_void, size: usize);
    fn free_aligned_sized(block: *mut c_void, align: usize, size: usize);
}

/// # Safety
/// As the C library's function of this name asks for.
#[no_mangle]
#[unsafe(naked)]
pub unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    core::arch::naked_asm!("mov rdx, [rsp]", "jmp {function}", function = sym family::aligned_alloc)
}

/// The C library's malloc under its own names for itself, by which programs and libraries ask for it that wrap malloc; a
/// block of theirs is freed by either name. Identifiers of this form are the C library's, so no program has one of its own.
mod reserved {
    pub use interposer::malloc::family::{
        calloc as __libc_calloc, free as __libc_free, malloc as __libc_malloc, memalign as __libc_memalign,
        pvalloc as __libc_pvalloc, realloc as __libc_realloc, valloc as __libc_valloc,
    };
}

calls! { reserved:
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_free(block: *mut c_void);
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
    fn __libc_valloc(size: usize) -> *mut c_void;
    fn __libc_pvalloc(size: usize) -> *mut c_void;
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
