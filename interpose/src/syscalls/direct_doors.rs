//! The C library's functions that are made as direct calls: for each its number, its arguments and the
//! memory that they lead to.

use super::direct::{call, Ranges};
use super::{dispatch, special};
use crate::malloc::set_errno;
use crate::{engine, next};
use core::ffi::{c_int, c_void};
use libc::{epoll_event, iovec, msghdr, pollfd, sockaddr, socklen_t};
use vmcore::sys;
use vmcore::trace::Access::{self, Read, Write};

type Buffer = *mut c_void;

/// As libc's functions return it.
#[inline(always)]
fn returned(result: isize) -> isize {
    match sys::check(result) {
        Ok(value) => value as isize,
        Err(error) => {
            set_errno(error.0);
            -1
        }
    }
}

macro_rules! direct {
    ($(#[$note:meta])* $name:ident, $cname:literal, $number:ident $kind:ident,
     ($($arg:ident: $type:ty),*) -> $result:ty, as [$($given:expr),*], with $claim:expr) => {
        $(#[$note])*
        ///
        /// # Safety
        /// As the original.
        #[no_mangle]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            let mut args = [0; 6];
            args.iter_mut().zip([$($given as usize),*]).for_each(|(arg, given)| *arg = given);
            match call(libc::$number as usize, args, direct!($kind), $claim) {
                Some(result) => returned(result) as $result,
                None => match next!($cname, unsafe extern "C" fn($($type),*) -> $result) {
                    // SAFETY: the caller's arguments.
                    Some(next) => unsafe { next($($arg),*) },
                    None => returned(-(libc::ENOSYS as isize)) as $result,
                },
            }
        }
    };
    ($(#[$note:meta])* $name:ident, $cname:literal, $number:ident $kind:ident,
     ($($arg:ident: $type:ty),*) -> $result:ty, as [$($given:expr),*], $(($address:expr, $len:expr, $access:expr)),*) => {
        direct!($(#[$note])* $name, $cname, $number $kind, ($($arg: $type),*) -> $result, as [$($given),*], with |_ranges: &mut Ranges| {
            $( _ranges.add($address, $len, $access)?; )*
            Some(())
        });
    };
    (waits) => { true };
    (soon) => { false };
}

direct!(/// See read(2).
    read, c"read", SYS_read waits, (fd: c_int, buffer: Buffer, n: usize) -> isize,
    as [fd, buffer, n], (buffer as usize, n, Write));
direct!(/// See write(2).
    write, c"write", SYS_write waits, (fd: c_int, buffer: Buffer, n: usize) -> isize,
    as [fd, buffer, n], (buffer as usize, n, Read));
direct!(/// See pread(2).
    pread, c"pread", SYS_pread64 waits, (fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize,
    as [fd, buffer, n, at], (buffer as usize, n, Write));
direct!(/// See pread(2).
    pread64, c"pread64", SYS_pread64 waits, (fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize,
    as [fd, buffer, n, at], (buffer as usize, n, Write));
direct!(/// See pwrite(2).
    pwrite, c"pwrite", SYS_pwrite64 waits, (fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize,
    as [fd, buffer, n, at], (buffer as usize, n, Read));
direct!(/// See pwrite(2).
    pwrite64, c"pwrite64", SYS_pwrite64 waits, (fd: c_int, buffer: Buffer, n: usize, at: i64) -> isize,
    as [fd, buffer, n, at], (buffer as usize, n, Read));
direct!(/// See recv(2).
    recv, c"recv", SYS_recvfrom waits, (fd: c_int, buffer: Buffer, n: usize, flags: c_int) -> isize,
    as [fd, buffer, n, flags, 0, 0], (buffer as usize, n, Write));
direct!(/// See send(2).
    send, c"send", SYS_sendto waits, (fd: c_int, buffer: Buffer, n: usize, flags: c_int) -> isize,
    as [fd, buffer, n, flags, 0, 0], (buffer as usize, n, Read));
direct!(/// See sendto(2).
    sendto, c"sendto", SYS_sendto waits,
    (fd: c_int, buffer: Buffer, n: usize, flags: c_int, to: *const sockaddr, len: socklen_t) -> isize,
    as [fd, buffer, n, flags, to, len], (buffer as usize, n, Read), (to as usize, len as usize, Read));
direct!(/// See poll(2).
    poll, c"poll", SYS_poll waits, (polls: *mut pollfd, n: libc::nfds_t, time: c_int) -> c_int,
    as [polls, n, time], (polls as usize, (n as usize).saturating_mul(size_of::<pollfd>()), Write));
direct!(/// See epoll_wait(2).
    epoll_wait, c"epoll_wait", SYS_epoll_wait waits, (fd: c_int, events: *mut epoll_event, n: c_int, time: c_int) -> c_int,
    as [fd, events, n, time], (events as usize, (n.max(0) as usize) * size_of::<epoll_event>(), Write));
direct!(/// See recvfrom(2).
recvfrom, c"recvfrom", SYS_recvfrom waits,
(fd: c_int, buffer: Buffer, n: usize, flags: c_int, from: *mut sockaddr, len: *mut socklen_t) -> isize,
as [fd, buffer, n, flags, from, len], with |ranges: &mut Ranges| {
    ranges.add(buffer as usize, n, Write)?;
    ranges.add(len as usize, size_of::<socklen_t>(), Write)?;
    let room = if from.is_null() { 0 } else { ranges.look(len)? };
    ranges.add(from as usize, room as usize, Write)
});
direct!(/// See readv(2).
    readv, c"readv", SYS_readv waits, (fd: c_int, buffers: *const iovec, n: c_int) -> isize,
    as [fd, buffers, n], with |ranges: &mut Ranges| vector(ranges, buffers, n as usize, Write));
direct!(/// See writev(2).
    writev, c"writev", SYS_writev waits, (fd: c_int, buffers: *const iovec, n: c_int) -> isize,
    as [fd, buffers, n], with |ranges: &mut Ranges| vector(ranges, buffers, n as usize, Read));
direct!(/// See recvmsg(2).
    recvmsg, c"recvmsg", SYS_recvmsg waits, (fd: c_int, message: *mut msghdr, flags: c_int) -> isize,
    as [fd, message, flags], with |ranges: &mut Ranges| message_of(ranges, message, Write));
direct!(/// See sendmsg(2).
    sendmsg, c"sendmsg", SYS_sendmsg waits, (fd: c_int, message: *mut msghdr, flags: c_int) -> isize,
    as [fd, message, flags], with |ranges: &mut Ranges| message_of(ranges, message, Read));
direct!(/// See lseek(2).
    lseek, c"lseek", SYS_lseek soon, (fd: c_int, at: i64, from: c_int) -> i64, as [fd, at, from],);
direct!(/// See lseek(2).
    lseek64, c"lseek64", SYS_lseek soon, (fd: c_int, at: i64, from: c_int) -> i64, as [fd, at, from],);
direct!(/// See sched_yield(2).
    sched_yield, c"sched_yield", SYS_sched_yield soon, () -> c_int, as [0],);

/// See vmsplice(2): our pages do not stay, so what goes into the pipe is a copy.
///
/// # Safety
/// As the original.
#[no_mangle]
pub unsafe extern "C" fn vmsplice(fd: c_int, buffers: *const iovec, n: usize, flags: u32) -> isize {
    let args = [fd as usize, buffers as usize, n, flags as usize, 0, 0];
    if let Some(engine) = engine::get().filter(|engine| special::splices_ours(engine, &args)) {
        return returned(dispatch::perform(engine, libc::SYS_vmsplice as usize, args));
    }
    match next!(c"vmsplice", unsafe extern "C" fn(c_int, *const iovec, usize, u32) -> isize) {
        // SAFETY: the caller's promise.
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
        #[no_mangle]
        pub unsafe extern "C" fn $name($($arg: $type,)* room: usize) -> $result {
            if $n as usize > room {
                if let Some(next) = next!($cname, unsafe extern "C" fn($($type,)* usize) -> $result) {
                    // SAFETY: ends the program.
                    return unsafe { next($($arg,)* room) };
                }
            }
            // SAFETY: the caller's promise.
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
#[no_mangle]
pub unsafe extern "C" fn __recv_chk(fd: c_int, buffer: Buffer, n: usize, room: usize, flags: c_int) -> isize {
    if n > room {
        if let Some(next) = next!(c"__recv_chk", unsafe extern "C" fn(c_int, Buffer, usize, usize, c_int) -> isize) {
            // SAFETY: ends the program.
            return unsafe { next(fd, buffer, n, room, flags) };
        }
    }
    // SAFETY: the caller's promise.
    unsafe { recv(fd, buffer, n, flags) }
}

/// The memory of a vector; `None` if it has too many buffers of ours, or cannot be looked at.
fn vector(ranges: &mut Ranges, at: *const iovec, count: usize, access: Access) -> Option<()> {
    ranges.add(at as usize, count.checked_mul(size_of::<iovec>())?, Read)?;
    (0..count).try_for_each(|i| {
        let buffer = ranges.look(at.wrapping_add(i))?;
        ranges.add(buffer.iov_base as usize, buffer.iov_len, access)
    })
}

/// The memory of a message, as [`vector`].
fn message_of(ranges: &mut Ranges, at: *const msghdr, access: Access) -> Option<()> {
    let message = ranges.look(at)?;
    ranges.add(at as usize, size_of::<msghdr>(), Write)?;
    ranges.add(message.msg_name as usize, message.msg_namelen as usize, access)?;
    ranges.add(message.msg_control as usize, message.msg_controllen, access)?;
    vector(ranges, message.msg_iov, message.msg_iovlen, access)
}
