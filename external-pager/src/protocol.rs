//! What an application and the external pager say to each other over their socket.
//!
//! A unix socket of type SEQPACKET: one message is one packet. The application asks, the pager
//! answers, never the other way round; an application that waits for its turn waits for an answer.
//!
//! 1. `Hello`. The pager's answer carries a descriptor (SCM_RIGHTS): the application's frame file, a memory
//!    file in which frame `n` lies at `n * PAGE_SIZE` while it is the application's. It comes when the
//!    application's turn has come: from now on it is the one that runs.
//! 2. `Load` and `Store`: a fault. The answer lists what changed in the application's page table since
//!    the last answer.
//! 3. `Extend`, `Syslog`: the two system calls.
//! 4. `Yield`: the application has dropped every mapping before it says so; the answer comes when its
//!    turn has come again.
//!
//! What the application maps is a cache of its page table, as a processor's TLB is: it may always know
//! less than the pager. It must never know more while it runs, and so an answer that has not enough
//! room for all changes says `FLUSH`: forget everything.
//!
//! All numbers are little-endian. Everything that comes in is checked: [`Request::decode`] and
//! [`Answer::decode`] refuse what they do not know.

/// Bytes in a page of an application's arena.
pub const PAGE_SIZE: usize = 8192;
/// Where every application's arena begins.
pub const ARENA_BASE: usize = 0x6000_0000;
/// Bytes in it.
pub const ARENA_SIZE: usize = 0x2000_0000;
/// Pages in it.
pub const ARENA_PAGES: u32 = (ARENA_SIZE / PAGE_SIZE) as u32;
/// The most frames there can be: an entry has 20 bits for them.
pub const MOST_FRAMES: u32 = 1 << 20;

/// Both sides must speak the same version.
pub const VERSION: u32 = 1;
/// Where the pager listens: the environment variable with the path of its socket.
pub const SOCKET_VARIABLE: &str = "VM_PAGER";

/// A page table entry as the document's MMU has it. Neither bit set: every access faults, and the frame
/// means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// The physical page.
    pub frame: u32,
    /// Loads do not fault.
    pub read_enable: bool,
    /// Stores do not fault.
    pub write_enable: bool,
}

const READ_ENABLE: u32 = 1 << 20;
const WRITE_ENABLE: u32 = 1 << 21;

impl Entry {
    /// Whether the MMU lets the access pass.
    pub const fn allows(self, write: bool) -> bool {
        if write {
            self.write_enable
        } else {
            self.read_enable
        }
    }

    /// Bits 0 to 19 the frame, bit 20 read_enable, bit 21 write_enable.
    pub const fn pack(self) -> u32 {
        let read = if self.read_enable { READ_ENABLE } else { 0 };
        let write = if self.write_enable { WRITE_ENABLE } else { 0 };
        self.frame & (MOST_FRAMES - 1) | read | write
    }

    /// The entry in a packed word.
    pub const fn unpack(word: u32) -> Entry {
        Entry { frame: word & (MOST_FRAMES - 1), read_enable: word & READ_ENABLE != 0, write_enable: word & WRITE_ENABLE != 0 }
    }
}

/// What an application asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// A new process.
    Hello {
        /// The protocol that it speaks.
        version: u32,
    },
    /// A load faulted.
    Load {
        /// Where.
        address: u64,
    },
    /// A store faulted.
    Store {
        /// Where.
        address: u64,
    },
    /// `vm_extend`.
    Extend,
    /// `vm_syslog`.
    Syslog {
        /// The message.
        address: u64,
        /// Its length in bytes.
        len: u32,
    },
    /// `vm_yield`.
    Yield,
}

impl Request {
    /// Bytes in a packet.
    pub const SIZE: usize = 16;

    /// The packet.
    pub fn encode(self) -> [u8; Request::SIZE] {
        let (kind, len, address) = match self {
            Request::Hello { version } => (1, version, 0),
            Request::Load { address } => (2, 0, address),
            Request::Store { address } => (3, 0, address),
            Request::Extend => (4, 0, 0),
            Request::Syslog { address, len } => (5, len, address),
            Request::Yield => (6, 0, 0),
        };
        let mut packet = [0; Request::SIZE];
        put(&mut packet, 0, u32::to_le_bytes(kind));
        put(&mut packet, 4, u32::to_le_bytes(len));
        put(&mut packet, 8, u64::to_le_bytes(address));
        packet
    }

    /// What the packet says, or `None` if it is none of ours.
    pub fn decode(packet: &[u8]) -> Option<Request> {
        if packet.len() != Request::SIZE {
            return None;
        }
        let (kind, len) = (number(packet, 0)?, number(packet, 4)?);
        let address = u64::from(number(packet, 8)?) | u64::from(number(packet, 12)?) << 32;
        match (kind, len, address) {
            (1, version, 0) => Some(Request::Hello { version }),
            (2, 0, address) => Some(Request::Load { address }),
            (3, 0, address) => Some(Request::Store { address }),
            (4, 0, 0) => Some(Request::Extend),
            (5, len, address) => Some(Request::Syslog { address, len }),
            (6, 0, 0) => Some(Request::Yield),
            _ => None,
        }
    }
}

/// One page table entry that changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// The page, counted from the arena's beginning.
    pub page: u32,
    /// What its entry says now.
    pub entry: Entry,
}

/// What the pager answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Whether it could be done: false is the document's -1 or NULL.
    pub done: bool,
    /// Forget every mapping before looking at the changes.
    pub flush: bool,
    /// `vm_extend`: the new page's address.
    pub value: u64,
    changes: [Change; Answer::MOST_CHANGES],
    len: usize,
}

const DONE: u32 = 1;
const FLUSH: u32 = 2;

impl Answer {
    /// Changes in one answer at the most.
    pub const MOST_CHANGES: usize = 64;
    /// Bytes in the longest packet.
    pub const MOST: usize = Answer::HEAD + 8 * Answer::MOST_CHANGES;
    const HEAD: usize = 16;

    /// An answer without changes.
    pub const fn new(done: bool, value: u64) -> Answer {
        let none = Entry { frame: 0, read_enable: false, write_enable: false };
        Answer { done, flush: false, value, changes: [Change { page: 0, entry: none }; Answer::MOST_CHANGES], len: 0 }
    }

    /// The changes.
    pub fn changes(&self) -> &[Change] {
        self.changes.get(..self.len).unwrap_or(&[])
    }

    /// Adds a change; false if there is no room.
    #[must_use]
    pub fn push(&mut self, change: Change) -> bool {
        let Some(place) = self.changes.get_mut(self.len) else {
            return false;
        };
        *place = change;
        self.len += 1;
        true
    }

    /// Writes the packet and returns its length.
    pub fn encode(&self, packet: &mut [u8; Answer::MOST]) -> usize {
        let flags = if self.done { DONE } else { 0 } | if self.flush { FLUSH } else { 0 };
        put(packet, 0, flags.to_le_bytes());
        put(packet, 4, (self.len as u32).to_le_bytes());
        put(packet, 8, self.value.to_le_bytes());
        for (i, change) in self.changes().iter().enumerate() {
            put(packet, Answer::HEAD + 8 * i, change.page.to_le_bytes());
            put(packet, Answer::HEAD + 8 * i + 4, change.entry.pack().to_le_bytes());
        }
        Answer::HEAD + 8 * self.len
    }

    /// What the packet says, or `None` if it is none of ours.
    pub fn decode(packet: &[u8]) -> Option<Answer> {
        let (flags, len) = (number(packet, 0)?, number(packet, 4)? as usize);
        if flags & !(DONE | FLUSH) != 0 || len > Answer::MOST_CHANGES || packet.len() != Answer::HEAD + 8 * len {
            return None;
        }
        let mut answer = Answer::new(flags & DONE != 0, u64::from(number(packet, 8)?) | u64::from(number(packet, 12)?) << 32);
        answer.flush = flags & FLUSH != 0;
        for i in 0..len {
            let page = number(packet, Answer::HEAD + 8 * i)?;
            let entry = Entry::unpack(number(packet, Answer::HEAD + 8 * i + 4)?);
            if page >= ARENA_PAGES || !answer.push(Change { page, entry }) {
                return None;
            }
        }
        Some(answer)
    }
}

fn put<const N: usize>(packet: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = packet.get_mut(at..at + N) {
        place.copy_from_slice(&bytes);
    }
}

fn number(packet: &[u8], at: usize) -> Option<u32> {
    packet.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_the_wire() {
        for request in [
            Request::Hello { version: VERSION },
            Request::Load { address: u64::MAX },
            Request::Store { address: 0x6000_0001 },
            Request::Extend,
            Request::Syslog { address: 0x6000_0000, len: u32::MAX },
            Request::Yield,
        ] {
            assert_eq!(Request::decode(&request.encode()), Some(request));
        }
    }

    #[test]
    fn garbage_is_refused() {
        for len in 0..64 {
            for byte in [0, 7, 0x41, 0xff] {
                assert_eq!(Request::decode(&vec![byte; len]), None, "{len} bytes of {byte}");
            }
        }
        let mut packet = Request::Yield.encode();
        packet[9] = 1;
        assert_eq!(Request::decode(&packet), None);
        assert_eq!(Answer::decode(&[]), None);
        assert_eq!(Answer::decode(&[0xff; Answer::MOST]), None);
    }

    #[test]
    fn answers_survive_the_wire() {
        let mut answer = Answer::new(true, 0x6000_2000);
        answer.flush = true;
        let entry = Entry { frame: MOST_FRAMES - 1, read_enable: true, write_enable: false };
        for page in 0..Answer::MOST_CHANGES as u32 {
            assert!(answer.push(Change { page, entry }));
        }
        assert!(!answer.push(Change { page: 0, entry }));
        let mut packet = [0; Answer::MOST];
        assert_eq!(answer.encode(&mut packet), Answer::MOST);
        assert_eq!(Answer::decode(&packet), Some(answer));
        // A page outside of the arena, a length that is not so.
        packet[Answer::HEAD..Answer::HEAD + 4].copy_from_slice(&ARENA_PAGES.to_le_bytes());
        assert_eq!(Answer::decode(&packet), None);
        let len = Answer::new(false, 0).encode(&mut packet);
        assert_eq!(Answer::decode(&packet[..len]), Some(Answer::new(false, 0)));
        assert_eq!(Answer::decode(&packet[..len + 8]), None);
    }

    #[test]
    fn an_entry_is_packed_as_the_document_says() {
        let entry = Entry { frame: 5, read_enable: true, write_enable: true };
        assert_eq!(entry.pack(), 5 | 1 << 20 | 1 << 21);
        assert_eq!(Entry::unpack(entry.pack()), entry);
        assert!(entry.allows(true) && !Entry::default().allows(false));
    }
}
