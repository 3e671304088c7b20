//! What is true of every row.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::transfer::Form;
use super::*;
use crate::syscalls::shapes::Len;
use std::collections::BTreeSet;
use std::vec::Vec;
use vmcore::trace::Access;

fn shape_at(call: &Call, arg: u8) -> Option<Shape> {
    call.shapes.iter().find(|(known, _)| *known == arg).map(|(_, shape)| *shape)
}

#[test]
fn the_table_is_in_order_and_complete() {
    assert!(CALLS.windows(2).all(|pair| pair[0].number < pair[1].number));
    for call in CALLS {
        assert_eq!(find(call.number).name, call.name);
        assert!(call.shapes.iter().all(|(arg, _)| *arg < 6), "{}", call.name);
        assert!(call.shapes.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{}", call.name);
    }
    // Never implemented, or gone: 134 uselib, 139 sysfs, 156 _sysctl, 174 … and the like.
    let gaps = (0..335).filter(|number| find(*number).number == UNKNOWN.number).collect::<Vec<_>>();
    let gone = [134, 139, 156, 174, 177, 178, 180, 181, 182, 183, 184, 185, 205, 211, 212, 214, 215, 236, 246];
    assert_eq!(gaps, gone);
    for number in [-1, 335, 511, 512, 100_000] {
        assert_eq!(find(number).number, UNKNOWN.number);
    }
    assert_eq!(UNKNOWN.shapes.len(), 6);
}

#[test]
fn every_name_is_there_once() {
    let names: BTreeSet<_> = CALLS.iter().map(|call| call.name).collect();
    assert_eq!(names.len(), CALLS.len());
    assert!(names.contains("read") && names.iter().all(|name| !name.starts_with("SYS_")));
}

/// What an argument's length depends on is an argument, and no pointer but for `At`.
#[test]
fn lengths_come_from_numbers() {
    let is_number = |call: &Call, arg: u8| arg < 6 && shape_at(call, arg).is_none();
    for call in CALLS {
        for (_, shape) in call.shapes {
            let good = match shape {
                Shape::In(len) | Shape::Out(len) | Shape::Words(len) => match len {
                    Len::Fixed(n) => *n > 0,
                    Len::At(arg) => shape_at(call, *arg) == Some(Shape::Out(Len::Fixed(4))),
                    Len::Arg(arg) | Len::Plus(arg, _) | Len::Times(arg, _) | Len::Bits(arg) | Len::Pages(arg) => {
                        is_number(call, *arg)
                    }
                },
                Shape::Vector(_, arg) | Shape::Messages(_, arg) | Shape::Iocbs(arg) | Shape::Futexes(arg) => {
                    is_number(call, *arg)
                }
                _ => true,
            };
            assert!(good, "{}: {shape:?}", call.name);
        }
    }
}

/// What a family says of an argument, the shapes say too.
#[test]
fn families_and_shapes_agree() {
    for call in CALLS {
        let at = |arg: u8| shape_at(call, arg);
        let good = match call.family {
            Family::Moves(transfer) => {
                let (arg, next) = (transfer.arg as u8, transfer.arg as u8 + 1);
                let expected = match (transfer.form, transfer.access) {
                    (Form::Buffer, Access::Write) => Shape::Out(Len::Arg(next)),
                    (Form::Buffer, Access::Read) => Shape::In(Len::Arg(next)),
                    (Form::Vector(_), access) => Shape::Vector(access, next),
                    (Form::Message, access) => Shape::Message(access),
                };
                at(arg) == Some(expected) && call.way == Way::Waits
            }
            Family::Messages => matches!(at(1), Some(Shape::Messages(_, 2))),
            Family::Set(arg) => matches!(at(arg), Some(Shape::In(_))),
            Family::SetPair => call.argument(Shape::MaskPair) == Some(5),
            Family::Exec => call.shapes.iter().filter(|(_, shape)| *shape == Shape::Texts).count() == 2,
            Family::Kept => call.shapes.len() == 1 && matches!(at(0), Some(Shape::Out(_))),
            Family::Mapping | Family::ThreadEnd | Family::Futex => call.shapes.is_empty(),
            _ => true,
        };
        assert!(good, "{}: {:?}, {:?}", call.name, call.family, call.shapes);
    }
}

/// The same call with one buffer is a transfer of the same kind.
#[test]
fn vectors_have_a_call_with_one_buffer() {
    for call in CALLS {
        if let Some(Form::Vector(single)) = call.transfer().map(|transfer| transfer.form) {
            let (many, one) = (call.transfer().unwrap(), find(single).transfer().unwrap());
            assert_eq!((one.form, one.access, one.at_offset), (Form::Buffer, many.access, many.at_offset), "{}", call.name);
        }
    }
}

#[test]
fn only_buffers_are_received_as_long_as_the_result() {
    let receives = |name: &str, arg: u8| {
        let call = CALLS.iter().find(|call| call.name == name).unwrap();
        call.transfer().is_some_and(|transfer| transfer.receives(arg))
    };
    assert!(receives("read", 1) && receives("recvfrom", 1) && receives("getrandom", 0));
    assert!(!receives("write", 1) && !receives("recvfrom", 4) && !receives("readv", 1) && !receives("recvmsg", 1));
}

#[test]
fn the_unarmed_library_hears_of_these_calls_only() {
    let bits = bits_of_those_that_concern_unarmed();
    let names: BTreeSet<_> = CALLS
        .iter()
        .filter(|call| bits[call.number as usize / 64] >> (call.number % 64) & 1 != 0)
        .map(|call| call.name)
        .collect();
    let expected =
        "clone clone3 close close_range dup dup2 dup3 execve execveat fcntl fork fstat io_uring_setup madvise mlock mlock2 \
        mlockall mmap mprotect mremap mseal munlock munlockall munmap pkey_mprotect prlimit64 setrlimit setsockopt vmsplice";
    assert_eq!(names, expected.split_whitespace().collect());
}

#[test]
fn masks_that_last_as_long_as_a_call() {
    let names: Vec<_> = CALLS.iter().filter(|call| call.replaces_mask()).map(|call| call.name).collect();
    assert_eq!(names, ["rt_sigtimedwait", "rt_sigsuspend", "pselect6", "ppoll", "epoll_pwait", "epoll_pwait2"]);
}
