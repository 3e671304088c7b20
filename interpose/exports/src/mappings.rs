//! Mappings, and the calls that are known by their numbers.

use core::ffi::{c_int, c_uint, c_ulong, c_void};
use interposer::wrappers::{mappings, syscall};
use libc::{off64_t, off_t, socklen_t};

type Address = *mut c_void;

calls! { mappings:
    fn mmap(at: Address, len: usize, protection: c_int, flags: c_int, fd: c_int, offset: off_t) -> Address;
    fn mmap64(at: Address, len: usize, protection: c_int, flags: c_int, fd: c_int, offset: off64_t) -> Address;
    fn munmap(at: Address, len: usize) -> c_int;
    fn mremap(at: Address, old: usize, new: usize, flags: c_int, target: Address) -> Address;
    fn mprotect(at: Address, len: usize, protection: c_int) -> c_int;
    fn madvise(at: Address, len: usize, advice: c_int) -> c_int;
    fn mlock(at: *const c_void, len: usize) -> c_int;
    fn mlock2(at: *const c_void, len: usize, flags: c_uint) -> c_int;
    fn munlock(at: *const c_void, len: usize) -> c_int;
    fn mlockall(flags: c_int) -> c_int;
    fn munlockall() -> c_int;
    fn pkey_mprotect(at: Address, len: usize, protection: c_int, key: c_int) -> c_int;
    fn ioctl(fd: c_int, request: c_ulong, argument: usize) -> c_int;
}

calls! { syscall:
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: usize, len: socklen_t) -> c_int;
}

jumps! { syscall:
    fn syscall();
}
