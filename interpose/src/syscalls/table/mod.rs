//! The system calls of x86-64 Linux, each with one row in one table (`rows.rs`): its name, how it is made, what
//! family it is of, and what its arguments point to. Whatever this library knows of a call by its name comes from there.
//!
//! A call that has no row is [`UNKNOWN`]: it may wait, and each of its arguments may point anywhere.
#![forbid(unsafe_code)]

pub mod numbers;
mod rows;
pub mod transfer;

use super::shapes::Shape::{self, Rest};
use core::ffi::c_long;
use transfer::Transfer;

pub use rows::CALLS;

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// At once, with signals blocked: it ends soon, and no signal would end it earlier.
    Soon,
    /// It may wait, and signals may end it: it is made in the program's own context.
    Waits,
}

/// What there is to a call beside its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Nothing.
    Plain,
    /// It moves bytes, and may be made in pieces or through a bounce buffer.
    Moves(Transfer),
    /// It is one over many messages, and may be made for fewer.
    Messages,
    /// It changes mappings, which the engine does for pages of ours.
    Mapping,
    /// Its first argument is a descriptor, which may be one of ours.
    Descriptor,
    /// It may limit the sizes of files.
    SizeLimit,
    /// rt_sigaction.
    SignalAction,
    /// rt_sigprocmask.
    SignalMask,
    /// rt_sigreturn.
    SignalReturn,
    /// sigaltstack.
    AlternateStack,
    /// It waits with, or for, the set of signals that the argument points to, which must not hold ours.
    Set(u8),
    /// So it does with a set behind a [`Shape::MaskPair`].
    SetPair,
    /// It makes a child or a thread.
    Child,
    /// It executes a program.
    Exec,
    /// It ends the thread.
    ThreadEnd,
    /// It concerns requests that the kernel works on after the call.
    Requests,
    /// The kernel keeps what the first argument points to, and writes there later.
    Kept,
    /// futex.
    Futex,
    /// vmsplice.
    Splice,
    /// ioctl.
    Ioctl,
    /// prctl.
    Prctl,
    /// setsockopt.
    SocketOption,
    /// There is no such call, as far as the program can see.
    Refused,
}

/// A system call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Its number.
    pub number: c_long,
    /// Its name.
    pub name: &'static str,
    /// How it is made.
    pub way: Way,
    /// What else there is to it.
    pub family: Family,
    /// Which arguments point to what.
    pub shapes: &'static [(u8, Shape)],
}

/// What is known of a call that has no row.
pub static UNKNOWN: Call = Call {
    number: -1,
    name: "?",
    way: Way::Waits,
    family: Family::Plain,
    shapes: &[(0, Rest), (1, Rest), (2, Rest), (3, Rest), (4, Rest), (5, Rest)],
};

impl Call {
    /// What the call transfers, if it does.
    pub const fn transfer(&self) -> Option<Transfer> {
        match self.family {
            Family::Moves(transfer) => Some(transfer),
            _ => None,
        }
    }

    /// Whether the thread has another mask while it waits in the call.
    pub fn replaces_mask(&self) -> bool {
        matches!(self.family, Family::Set(_) | Family::SetPair) && self.way == Way::Waits
    }

    /// Whether the call concerns us although nothing may be absent yet.
    pub const fn concerns_unarmed(&self) -> bool {
        match self.family {
            // The child of vfork would return through the frame of a function that calls it.
            Family::Child => self.number != libc::SYS_vfork,
            family => matches!(
                family,
                Family::Mapping
                    | Family::Descriptor
                    | Family::SizeLimit
                    | Family::Exec
                    | Family::Splice
                    | Family::SocketOption
                    | Family::Refused
            ),
        }
    }

    /// Which argument has that shape.
    pub fn argument(&self, shape: Shape) -> Option<u8> {
        self.shapes.iter().find(|(_, known)| *known == shape).map(|(arg, _)| *arg)
    }
}

/// No number beyond this has a row.
pub const MOST: usize = 512;

/// For each number, 1 + where it is in the table.
static INDEX: [u16; MOST] = {
    let mut index = [0; MOST];
    let mut i = 0;
    while i < CALLS.len() {
        index[CALLS[i].number as usize] = i as u16 + 1;
        i += 1;
    }
    index
};

/// One bit for each call for which that is true.
pub const fn bits_of_those_that_concern_unarmed() -> [u64; MOST / 64] {
    let mut bits = [0; MOST / 64];
    let mut i = 0;
    while i < CALLS.len() {
        let number = CALLS[i].number as usize;
        if CALLS[i].concerns_unarmed() {
            bits[number / 64] |= 1 << (number % 64);
        }
        i += 1;
    }
    bits
}

/// The row of the call `number`, for constants; whoever asks for a call without one does not compile.
pub const fn row(number: c_long) -> &'static Call {
    let mut i = 0;
    while CALLS[i].number != number {
        i += 1;
    }
    &CALLS[i]
}

/// The call of that number, or [`UNKNOWN`].
pub fn find(number: c_long) -> &'static Call {
    let index = usize::try_from(number).ok().and_then(|number| INDEX.get(number).copied()).unwrap_or(0);
    (index as usize).checked_sub(1).and_then(|index| CALLS.get(index)).unwrap_or(&UNKNOWN)
}

#[cfg(test)]
mod tests;
