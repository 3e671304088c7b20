//! One application's connection.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use external_pager::protocol::{Answer, Request};
use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{recv, sendmsg, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

/// What an application is owed when its turn comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Connected, and has not said what it wants.
    Stranger,
    /// Waits for its first turn, and its frame file.
    New,
    /// Has yielded.
    Yielded,
    /// Runs.
    Running,
}

/// A connection.
pub struct Session {
    socket: OwnedFd,
    /// The application's process id.
    pub process: i32,
    /// What it waits for.
    pub phase: Phase,
    /// When it came to this phase, or last asked.
    pub since: Instant,
}

/// What came over a connection.
pub enum Received {
    /// A request.
    Request(Request),
    /// Nothing yet.
    Nothing,
    /// The application has ended.
    End,
    /// Not a message of an application.
    Garbage,
}

impl Session {
    pub fn new(socket: OwnedFd, process: i32) -> Session {
        Session { socket, process, phase: Phase::Stranger, since: Instant::now() }
    }

    /// Goes to another phase.
    pub fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }

    /// The next message. Never waits.
    pub fn receive(&self) -> Received {
        // One byte more than a request has: what is longer is seen to be.
        let mut packet = [0; Request::SIZE + 1];
        loop {
            return match recv(&self.socket, &mut packet, RecvFlags::DONTWAIT) {
                Ok((0, _)) => Received::End,
                Ok((len, _)) => packet.get(..len).and_then(Request::decode).map_or(Received::Garbage, Received::Request),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => Received::Nothing,
                Err(_) => Received::End,
            };
        }
    }

    /// Sends an answer, with a descriptor if there is one. Never waits. False if the application asks and
    /// asks and never reads; that it is gone is noticed otherwise.
    pub fn send(&self, answer: &Answer, descriptor: Option<BorrowedFd<'_>>) -> bool {
        let mut packet = [0; Answer::MOST];
        let len = answer.encode(&mut packet);
        let bytes = [IoSlice::new(packet.get(..len).unwrap_or(&[]))];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut message = SendAncillaryBuffer::new(&mut space);
        let descriptors: &[BorrowedFd<'_>] = descriptor.as_slice();
        if !descriptors.is_empty() && !message.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return false;
        }
        let sent = sendmsg(&self.socket, &bytes, &mut message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        !matches!(sent, Err(Errno::AGAIN | Errno::NOBUFS))
    }
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
