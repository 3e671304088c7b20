//! The C library's functions that are made as direct calls: for each its name there, its number and its arguments.
//! What they lead to is in the table.

use crate::guard::direct::call;
use crate::next;
use crate::shared::engine;
use crate::shared::errno::{fail, returned};
use crate::syscalls::execution;
use crate::syscalls::transfers::splice;
use core::ffi::{c_int, c_void};
use libc::{epoll_event, iovec, msghdr, pollfd, sockaddr, socklen_t};

type Buffer = *mut c_void;

macro_rules! direct {
    ($(#[$note:meta])* $name:ident, $cname:literal, $number:ident,
     ($($arg:ident: $type:ty),*) -> $result:ty, as [$($given:expr),*]) => {
        $(#[$note])*
        ///
        /// # Safety
        /// As the original.
        #[inline]
        pub unsafe fn $name($($arg: $type),*) -> $result {
            let mut args = [0; 6];
            args.iter_mut().zip([$($given as usize),*]).for_each(|(arg, given)| *arg = given);
            match call::<{ libc::$number }>(args) {
                Some(result) => returned(result) as $result,
                None => match next!($cname, unsafe extern "C" fn($($type),*) -> $result) {
                    // SAFETY: the program's own arguments for the same function.
                    Some(next) => unsafe { next($($arg),*) },
                    None => fail(libc::ENOSYS) as $result,
                },
            }
        }
    };
}

direct!(/// See read(2).
    read, c"read", SYS_read, (fd: c_int, buffer: Buffer, n: usize) -> isize, as [fd, buffer, n]);
direct!(/// See write(2).
    write, c"write", SYS_write, (fd: c_int, buffer: Buffer, n: usize) -> isize, as [fd, buffer, n]);
direct!(/// See pread(2).
    pread, c"pread", SYS_pread64, (fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize, as [fd, buffer, n, at]);
direct!(/// See pread(2).
    pread64, c"pread64", SYS_pread64, (fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize, as [fd, buffer, n, at]);
direct!(/// See pwrite(2).
    pwrite, c"pwrite", SYS_pwrite64, (fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize, as [fd, buffer, n, at]);
direct!(/// See pwrite(2).
    pwrite64, c"pwrite64", SYS_pwrite64, (fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize, as [fd, buffer, n, at]);
direct!(/// See recv(2).
    recv, c"recv", SYS_recvfrom, (fd: c_int, buffer: Buffer, n: usize, flags: c_int) -> isize, as [fd, buffer, n, flags, 0, 0]);
direct!(/// See send(2).
    send, c"send", SYS_sendto, (fd: c_int, buffer: Buffer, n: usize, flags: c_int) -> isize, as [fd, buffer, n, flags, 0, 0]);
direct!(/// See sendto(2).
    sendto, c"sendto", SYS_sendto, (fd: c_int, buffer: Buffer, n: usize, flags: c_int, to: *const sockaddr, len: socklen_t) -> isize,
    as [fd, buffer, n, flags, to, len]);
direct!(/// See poll(2).
    poll, c"poll", SYS_poll, (polls: *mut pollfd, n: libc::nfds_t, time: c_int) -> c_int, as [polls, n, time]);
direct!(/// See epoll_wait(2).
    epoll_wait, c"epoll_wait", SYS_epoll_wait, (fd: c_int, events: *mut epoll_event, n: c_int, time: c_int) -> c_int,
    as [fd, events, n, time]);
direct!(/// See recvfrom(2).
    recvfrom, c"recvfrom", SYS_recvfrom, (fd: c_int, buffer: Buffer, n: usize, flags: c_int, from: *mut sockaddr, len: *mut socklen_t) -> isize,
    as [fd, buffer, n, flags, from, len]);
direct!(/// See readv(2).
    readv, c"readv", SYS_readv, (fd: c_int, buffers: *const iovec, n: c_int) -> isize, as [fd, buffers, n]);
direct!(/// See writev(2).
    writev, c"writev", SYS_writev, (fd: c_int, buffers: *const iovec, n: c_int) -> isize, as [fd, buffers, n]);
direct!(/// See recvmsg(2).
    recvmsg, c"recvmsg", SYS_recvmsg, (fd: c_int, message: *mut msghdr, flags: c_int) -> isize, as [fd, message, flags]);
direct!(/// See sendmsg(2).
    sendmsg, c"sendmsg", SYS_sendmsg, (fd: c_int, message: *mut msghdr, flags: c_int) -> isize, as [fd, message, flags]);
direct!(/// See lseek(2).
    lseek, c"lseek", SYS_lseek, (fd: c_int, at: i64, from: c_int) -> i64, as [fd, at, from]);
direct!(/// See lseek(2).
    lseek64, c"lseek64", SYS_lseek, (fd: c_int, at: i64, from: c_int) -> i64, as [fd, at, from]);
direct!(/// See sched_yield(2).
    sched_yield, c"sched_yield", SYS_sched_yield, () -> c_int, as [0]);

/// See vmsplice(2): our pages do not stay, so what goes into the pipe is a copy.
///
/// # Safety
/// As the original.
pub unsafe fn vmsplice(fd: c_int, buffers: *const iovec, n: usize, flags: u32) -> isize {
    let args = [fd as usize, buffers as usize, n, flags as usize, 0, 0];
    if let Some(engine) = engine::get().filter(|engine| splice::splices_ours(engine, &args)) {
        return returned(execution::perform(engine, libc::SYS_vmsplice, args));
    }
    match next!(c"vmsplice", unsafe extern "C" fn(c_int, *const iovec, usize, u32) -> isize) {
        // SAFETY: libc's function gets the program's own arguments.
        Some(next) => unsafe { next(fd, buffers, n, flags) },
        None => -1,
    }
}

/// Functions of programs that were compiled to check the length of their buffers.
macro_rules! checked {
    ($name:ident, $cname:literal, $plain:ident, ($($arg:ident: $type:ty),*) -> $result:ty, $n:expr) => {
        #[doc = concat!("As `", stringify!($plain), "`, with the length of the buffer.")]
        ///
        /// # Safety
        /// As the original.
        pub unsafe fn $name($($arg: $type,)* room: usize) -> $result {
            if $n as usize > room {
                if let Some(next) = next!($cname, unsafe extern "C" fn($($type,)* usize) -> $result) {
                    // SAFETY: ends the program.
                    return unsafe { next($($arg,)* room) };
                }
            }
            // SAFETY: the program's own arguments, whose buffer is long enough, as was just seen.
            unsafe { $plain($($arg),*) }
        }
    };
}

checked!(__read_chk, c"__read_chk", read, (fd: c_int, buffer: Buffer, n: usize) -> isize, n);
checked!(__pread_chk, c"__pread_chk", pread, (fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize, n);
checked!(__pread64_chk, c"__pread64_chk", pread64, (fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize, n);

/// See recv(3).
///
/// # Safety
/// As the original.
pub unsafe fn __recv_chk(fd: c_int, buffer: Buffer, n: usize, room: usize, flags: c_int) -> isize {
    if n > room {
        if let Some(next) = next!(c"__recv_chk", unsafe extern "C" fn(c_int, Buffer, usize, usize, c_int) -> isize) {
            // SAFETY: ends the program.
            return unsafe { next(fd, buffer, n, room, flags) };
        }
    }
    // SAFETY: the program's own arguments, whose buffer is long enough, as was just seen.
    unsafe { recv(fd, buffer, n, flags) }
}
