//! The walk over the shapes of the table, against memory that is only a map.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::shapes::ioctls::{self, Argument};
use super::shapes::walk::walk;
use super::shapes::Memory;
use super::table;
use std::collections::BTreeMap;
use std::vec::Vec;
use vmcore::trace::Access::{self, Read, Write};

/// Memory that consists of the bytes that were put there, and notes what is claimed.
#[derive(Default)]
struct Paper {
    bytes: BTreeMap<usize, u8>,
    claims: Vec<(usize, usize, Access)>,
    texts: Vec<usize>,
    rests: Vec<usize>,
}

impl Paper {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes.extend(bytes.iter().enumerate().map(|(i, byte)| (at + i, *byte)));
    }

    fn words(&mut self, at: usize, words: &[usize]) {
        for (i, word) in words.iter().enumerate() {
            self.put(at + i * 8, &word.to_ne_bytes());
        }
    }

    fn call(mut self, number: i64, args: [usize; 6]) -> Paper {
        for (arg, shape) in table::find(number).shapes {
            walk(&mut self, &args, *arg, *shape);
        }
        self
    }
}

impl Memory for Paper {
    fn claim(&mut self, _arg: u8, address: usize, len: usize, access: Access) {
        if len > 0 {
            self.claims.push((address, len, access));
        }
    }

    fn claim_text(&mut self, _arg: u8, address: usize) {
        self.texts.push(address);
    }

    fn claim_rest(&mut self, _arg: u8, address: usize) {
        self.rests.push(address);
    }

    fn peek(&mut self, address: usize, to: &mut [u8]) -> bool {
        // What is looked at must have been claimed before: only then is it in memory.
        let end = address + to.len();
        assert!(
            (address..end).all(|at| self.claims.iter().any(|(start, len, _)| (*start..start + len).contains(&at))),
            "looked at {address:#x} without a claim"
        );
        to.iter_mut().enumerate().all(|(i, byte)| self.bytes.get(&(address + i)).map(|found| *byte = *found).is_some())
    }
}

fn number(name: &str) -> i64 {
    table::CALLS.iter().find(|call| call.name == name).map(|call| call.number).expect(name)
}

fn plain(name: &str, args: [usize; 6]) -> Vec<(usize, usize, Access)> {
    Paper::default().call(number(name), args).claims
}

#[test]
fn buffers_have_the_length_that_the_call_says() {
    assert_eq!(plain("read", [3, 0x1000, 77, 0, 0, 0]), [(0x1000, 77, Write)]);
    assert_eq!(plain("write", [3, 0x1000, 77, 0, 0, 0]), [(0x1000, 77, Read)]);
    assert_eq!(plain("poll", [0x1000, 5, 0, 0, 0, 0]), [(0x1000, 40, Write)]);
    assert_eq!(plain("select", [65, 0x1000, 0, 0x3000, 0, 0]), [(0x1000, 16, Write), (0x3000, 16, Write)]);
    assert_eq!(plain("mincore", [0, 4097, 0x1000, 0, 0, 0]), [(0x1000, 2, Write)]);
    assert_eq!(plain("msgrcv", [1, 0x1000, 100, 0, 0, 0]), [(0x1000, 108, Write)]);
    assert_eq!(plain("epoll_wait", [1, 0x1000, 10, 0, 0, 0]), [(0x1000, 120, Write)]);
    assert_eq!(plain("getppid", [1, 2, 3, 4, 5, 6]), []);
    assert_eq!(plain("stat", [0, 0, 0, 0, 0, 0]), []);
}

#[test]
fn texts() {
    let paper = Paper::default().call(number("renameat"), [3, 0x1000, 4, 0x2000, 0, 0]);
    assert_eq!(paper.texts, [0x1000, 0x2000]);
}

#[test]
fn a_length_behind_a_pointer() {
    let mut paper = Paper::default();
    paper.put(0x2000, &28u32.to_ne_bytes());
    let claims = paper.call(number("accept"), [3, 0x1000, 0x2000, 0, 0, 0]).claims;
    assert_eq!(claims, [(0x2000, 4, Write), (0x1000, 28, Write), (0x2000, 4, Write)]);
    // Without a length the kernel does not look at the address.
    assert_eq!(plain("accept", [3, 0x1000, 0, 0, 0, 0]), []);
}

#[test]
fn vectors_of_buffers() {
    let mut paper = Paper::default();
    paper.words(0x1000, &[0x5000, 10, 0, 0, 0x6000, 20]);
    let claims = paper.call(number("writev"), [3, 0x1000, 3, 0, 0, 0]).claims;
    assert_eq!(claims, [(0x1000, 48, Read), (0x5000, 10, Read), (0x6000, 20, Read)]);
    // More than the kernel takes: nothing is looked at.
    assert_eq!(plain("readv", [3, 0x1000, 1025, 0, 0, 0]), []);
    // A vector that is not there is the kernel's to refuse.
    assert_eq!(plain("readv", [3, 0x1000, 1, 0, 0, 0]), [(0x1000, 16, Read)]);
}

#[test]
fn messages() {
    let header = [0x2000, 16, 0x3000, 1, 0x4000, 64, 0];
    let expected = [(0x1000, 56, Write), (0x2000, 16, Write), (0x4000, 64, Write), (0x3000, 16, Read), (0x5000, 99, Write)];
    let mut paper = Paper::default();
    paper.words(0x1000, &header);
    paper.words(0x3000, &[0x5000, 99]);
    assert_eq!(paper.call(number("recvmsg"), [3, 0x1000, 0, 0, 0, 0]).claims, expected);
    let mut paper = Paper::default();
    paper.words(0x1000, &header);
    paper.words(0x1040, &[0, 0, 0, 0, 0, 0, 0]);
    paper.words(0x3000, &[0x5000, 99]);
    let claims = paper.call(number("recvmmsg"), [3, 0x1000, 2, 0, 0, 0]).claims;
    assert_eq!(claims[0], (0x1000, 128, Write));
    assert_eq!(claims[1..6], expected);
    assert_eq!(claims[6..], [(0x1040, 56, Write)]);
}

#[test]
fn vectors_of_texts() {
    let mut paper = Paper::default();
    paper.words(0x1000, &[0x5000, 0x6000, 0]);
    let paper = paper.call(number("execve"), [0x9000, 0x1000, 0, 0, 0, 0]);
    assert_eq!(paper.texts, [0x9000, 0x5000, 0x6000]);
    assert_eq!(paper.claims.len(), 3);
}

#[test]
fn nested_structures() {
    let mut paper = Paper::default();
    paper.words(0x1000, &[0x2000, 8]);
    let claims = paper.call(number("pselect6"), [0, 0, 0, 0, 0, 0x1000]).claims;
    assert_eq!(claims, [(0x1000, 16, Read), (0x2000, 8, Read)]);

    let mut paper = Paper::default();
    paper.words(0x1000, &[0, 0x7000, 0]);
    let claims = paper.call(number("futex_waitv"), [0x1000, 1, 0, 0, 0, 0]).claims;
    assert_eq!(claims, [(0x1000, 24, Read), (0x7000, 4, Read)]);

    let mut paper = Paper::default();
    paper.words(0x1000, &[0x2000]);
    paper.words(0x2000, &[0, 0, 1, 0x8000, 512, 0, 0, 0]);
    let claims = paper.call(number("io_submit"), [1, 1, 0x1000, 0, 0, 0]).claims;
    assert_eq!(claims, [(0x1000, 8, Read), (0x2000, 64, Write), (0x8000, 512, Read)]);

    let mut paper = Paper::default();
    paper.put(0x1000, &20u32.to_ne_bytes());
    let claims = paper.call(number("name_to_handle_at"), [3, 0, 0x1000, 0, 0, 0]).claims;
    assert_eq!(claims, [(0x1000, 8, Write), (0x1000, 28, Write)]);

    let mut paper = Paper::default();
    paper.words(0x1000, &[3, 0x4000]);
    let claims = paper.call(number("setsockopt"), [3, 1, 26, 0x1000, 16, 0]).claims;
    assert_eq!(claims, [(0x1000, 16, Read), (0x4000, 24, Read)]);
}

#[test]
fn ioctls_by_number() {
    assert_eq!(ioctls::argument(0x5413), Argument::Bytes(8, Write)); // TIOCGWINSZ
    assert_eq!(ioctls::argument(0x541b), Argument::Bytes(4, Write)); // FIONREAD
    assert_eq!(ioctls::argument(0x5421), Argument::Bytes(4, Read)); // FIONBIO
    assert_eq!(ioctls::argument(0x540e), Argument::Number); // TIOCSCTTY
    assert_eq!(ioctls::argument(0x8004_5430), Argument::Bytes(4, Write)); // TIOCGPTN: _IOR('T', 0x30, unsigned)
    assert_eq!(ioctls::argument(0x4004_5431), Argument::Bytes(4, Read)); // TIOCSPTLCK: _IOW
    assert_eq!(ioctls::argument(0x7777), Argument::Unknown);
    let mut paper = Paper::default();
    paper.words(0x1000, &[400, 0x3000]);
    let claims = paper.call(number("ioctl"), [3, 0x8912, 0x1000, 0, 0, 0]).claims;
    assert_eq!(claims, [(0x1000, 16, Write), (0x3000, 400, Write)]);
    assert_eq!(Paper::default().call(number("ioctl"), [3, 0x7777, 0x1000, 0, 0, 0]).rests, [0x1000]);
}
