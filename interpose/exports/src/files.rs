//! Files: transfers, and descriptors.

use core::ffi::{c_int, c_uint, c_void};
use interposer::wrappers::{descriptors, transfers};
use libc::{epoll_event, iovec, msghdr, nfds_t, pollfd, rlimit, sockaddr, socklen_t};

type Buffer = *mut c_void;

calls! { transfers:
    fn read(fd: c_int, buffer: Buffer, n: usize) -> isize;
    fn write(fd: c_int, buffer: Buffer, n: usize) -> isize;
    fn pread(fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize;
    fn pread64(fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize;
    fn pwrite(fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize;
    fn pwrite64(fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize;
    fn recv(fd: c_int, buffer: Buffer, n: usize, flags: c_int) -> isize;
    fn send(fd: c_int, buffer: Buffer, n: usize, flags: c_int) -> isize;
    fn sendto(fd: c_int, buffer: Buffer, n: usize, flags: c_int, to: *const sockaddr, len: socklen_t) -> isize;
    fn poll(polls: *mut pollfd, n: nfds_t, time: c_int) -> c_int;
    fn epoll_wait(fd: c_int, events: *mut epoll_event, n: c_int, time: c_int) -> c_int;
    fn recvfrom(fd: c_int, buffer: Buffer, n: usize, flags: c_int, from: *mut sockaddr, len: *mut socklen_t) -> isize;
    fn readv(fd: c_int, buffers: *const iovec, n: c_int) -> isize;
    fn writev(fd: c_int, buffers: *const iovec, n: c_int) -> isize;
    fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> isize;
    fn sendmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> isize;
    fn lseek(fd: c_int, at: i64, from: c_int) -> i64;
    fn lseek64(fd: c_int, at: i64, from: c_int) -> i64;
    fn sched_yield() -> c_int;
    fn vmsplice(fd: c_int, buffers: *const iovec, n: usize, flags: u32) -> isize;
    fn __read_chk(fd: c_int, buffer: Buffer, n: usize, room: usize) -> isize;
    fn __pread_chk(fd: c_int, buffer: Buffer, n: usize, at: i64, room: usize) -> isize;
    fn __pread64_chk(fd: c_int, buffer: Buffer, n: usize, at: i64, room: usize) -> isize;
    fn __recv_chk(fd: c_int, buffer: Buffer, n: usize, room: usize, flags: c_int) -> isize;
}

calls! { descriptors:
    fn close(fd: c_int) -> c_int;
    fn dup(old: c_int) -> c_int;
    fn dup2(old: c_int, new: c_int) -> c_int;
    fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int;
    fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int;
    fn fstat(fd: c_int, status: *mut libc::stat) -> c_int;
    fn fstat64(fd: c_int, status: *mut libc::stat) -> c_int;
    fn __fxstat(version: c_int, fd: c_int, status: *mut libc::stat) -> c_int;
    fn __fxstat64(version: c_int, fd: c_int, status: *mut libc::stat) -> c_int;
    fn fcntl(fd: c_int, command: c_int, argument: usize) -> c_int;
    fn fcntl64(fd: c_int, command: c_int, argument: usize) -> c_int;
    fn setrlimit(which: c_uint, new: *const rlimit) -> c_int;
    fn setrlimit64(which: c_uint, new: *const rlimit) -> c_int;
    fn prlimit(pid: c_int, which: c_uint, new: *const rlimit, old: *mut rlimit) -> c_int;
    fn prlimit64(pid: c_int, which: c_uint, new: *const rlimit, old: *mut rlimit) -> c_int;
    fn closefrom(lowest: c_int);
}
