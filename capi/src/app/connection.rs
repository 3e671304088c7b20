//! The application's end of the socket to the external pager. Raw system calls: it is used in the fault
//! handler.

use core::ffi::{c_char, c_int, CStr};
use external_pager::protocol::{Answer, Request};
use vmcore::sys::{call, check, file, Errno, Result};

use super::name::MOST;

/// After so many seconds without an answer the user is told. A pager that works answers at once.
pub const PATIENCE: i64 = 5;

/// A connection to the pager.
#[derive(Clone, Copy)]
pub struct Connection {
    socket: i32,
}

impl Connection {
    /// Connects to the pager that listens at `path`; only a process of this user will do.
    pub fn open(path: &CStr) -> Result<Connection> {
        let mut address = libc::sockaddr_un { sun_family: libc::AF_UNIX as u16, sun_path: [0; MOST] };
        let name = path.to_bytes();
        for (to, from) in address.sun_path[..MOST - 1].iter_mut().zip(name) {
            *to = *from as c_char;
        }
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers.
        let socket = unsafe { check(call(libc::SYS_socket, [libc::AF_UNIX as usize, kind as usize, 0, 0, 0, 0]))? } as i32;
        let connection = Connection { socket: file::out_of_the_way(socket) };
        let target = [connection.socket as usize, &raw const address as usize, size_of_val(&address), 0, 0, 0];
        // SAFETY: the address lives through the call.
        let connected = retry(|| unsafe { check(call(libc::SYS_connect, target)) });
        match connected.and_then(|_| connection.check_peer()).and_then(|()| connection.limit_patience()) {
            Ok(()) => Ok(connection),
            Err(error) => {
                connection.close();
                Err(error)
            }
        }
    }

    /// Who answers is the same user, or it is not who we look for.
    fn check_peer(self) -> Result<()> {
        let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut len = size_of_val(&peer) as libc::socklen_t;
        let (to, room) = (&raw mut peer as usize, &raw mut len as usize);
        let (level, option) = (libc::SOL_SOCKET as usize, libc::SO_PEERCRED as usize);
        // SAFETY: both live through the calls.
        let ours = unsafe {
            check(call(libc::SYS_getsockopt, [self.socket as usize, level, option, to, room, 0]))?;
            check(call(libc::SYS_geteuid, [0; 6]))?
        };
        if peer.uid as usize == ours {
            Ok(())
        } else {
            Err(Errno(libc::EPERM))
        }
    }

    /// `receive` gives up waiting from time to time.
    fn limit_patience(self) -> Result<()> {
        let limit = libc::timeval { tv_sec: PATIENCE, tv_usec: 0 };
        let (level, option) = (libc::SOL_SOCKET as usize, libc::SO_RCVTIMEO as usize);
        let at = &raw const limit as usize;
        // SAFETY: the time lives through the call.
        unsafe {
            check(call(libc::SYS_setsockopt, [self.socket as usize, level, option, at, size_of_val(&limit), 0])).map(|_| ())
        }
    }

    /// Gives the connection up.
    pub fn close(self) {
        file::close(self.socket);
    }

    /// Asks.
    pub fn send(self, request: Request) -> Result<()> {
        let packet = request.encode();
        let flags = libc::MSG_NOSIGNAL as usize;
        // SAFETY: the packet lives through the call.
        let sent = retry(|| unsafe {
            check(call(libc::SYS_sendto, [self.socket as usize, packet.as_ptr() as usize, packet.len(), flags, 0, 0]))
        });
        sent.map(|_| ())
    }

    /// Waits until there is something to receive. Signals that are not blocked are handled meanwhile.
    pub fn wait(self) {
        let mut one = libc::pollfd { fd: self.socket, events: libc::POLLIN, revents: 0 };
        // SAFETY: the structure lives through the call. An error is met again when the answer is received.
        let _ = unsafe { call(libc::SYS_poll, [&raw mut one as usize, 1, usize::MAX, 0, 0, 0]) };
    }

    /// The answer, with the descriptor that came along. An end of the connection is `EPIPE`, what is no
    /// answer `EPROTO`; `EAGAIN` if there is none yet. `patient`: waits for it, but not longer than [`PATIENCE`].
    pub fn receive(self, patient: bool) -> Result<(Answer, Option<i32>)> {
        let mut packet = [0u8; Answer::MOST];
        let mut control = [0u64; 4];
        let mut part = libc::iovec { iov_base: packet.as_mut_ptr().cast(), iov_len: packet.len() };
        // SAFETY: all zero is a valid message header.
        let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        let flags = libc::MSG_CMSG_CLOEXEC | if patient { 0 } else { libc::MSG_DONTWAIT };
        let at = &raw mut message as usize;
        // SAFETY: the header and what it points to live through the call.
        let len = retry(|| unsafe { check(call(libc::SYS_recvmsg, [self.socket as usize, at, flags as usize, 0, 0, 0])) })?;
        if len == 0 {
            return Err(Errno(libc::EPIPE));
        }
        let descriptor = descriptor(&control, message.msg_controllen).map(file::out_of_the_way);
        let answer = packet.get(..len).and_then(Answer::decode).ok_or(Errno(libc::EPROTO))?;
        Ok((answer, descriptor))
    }
}

/// The one descriptor in a control message: length and kind in the first two words, then the number.
fn descriptor(control: &[u64; 4], len: usize) -> Option<i32> {
    let rights = (libc::SOL_SOCKET as u64) | (libc::SCM_RIGHTS as u64) << 32;
    let whole = size_of::<libc::cmsghdr>() + size_of::<c_int>();
    (len >= whole && control[0] == whole as u64 && control[1] == rights).then_some(control[2] as u32 as i32)
}

fn retry(mut attempt: impl FnMut() -> Result<usize>) -> Result<usize> {
    loop {
        match attempt() {
            Err(Errno(libc::EINTR)) => {}
            other => return other,
        }
    }
}
