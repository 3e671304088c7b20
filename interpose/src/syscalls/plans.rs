//! The transfers among the system calls: which argument says where the bytes are, and in which way they
//! go; and what the descriptor of a call is, on which depends whether it may be made in pieces.

use super::slots::Slot;
use vmcore::sys;
use vmcore::trace::Access;

/// What a call transfers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Argument with the buffer, the vector or the message.
    pub arg: usize,
    /// What is there.
    pub layout: Layout,
    /// `Write` when the kernel writes to the program's memory.
    pub access: Access,
    /// Whether argument 3 is a file offset.
    pub at_offset: bool,
    /// For a vector: the same call with a single buffer.
    pub single: usize,
}

/// How the program's memory is given to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    Buffer,
    Vector,
    Message,
}

impl Plan {
    /// Whether the call receives so many bytes at argument `arg` as it returns.
    pub fn receives(self, arg: u8) -> bool {
        self.access == Access::Write && self.layout == Layout::Buffer && self.arg == arg as usize
    }
}

/// What the call `number` transfers, if it does.
pub fn plan(number: usize) -> Option<Plan> {
    use Access::{Read, Write};
    use Layout::{Buffer, Message, Vector};
    let plan = |arg, layout, access, at_offset, single| Some(Plan { arg, layout, access, at_offset, single });
    match number {
        0 => plan(1, Buffer, Write, false, 0),
        1 => plan(1, Buffer, Read, false, 1),
        17 => plan(1, Buffer, Write, true, 17),
        18 => plan(1, Buffer, Read, true, 18),
        44 => plan(1, Buffer, Read, false, 44),
        45 => plan(1, Buffer, Write, false, 45),
        318 => plan(0, Buffer, Write, false, 318),
        19 => plan(1, Vector, Write, false, 0),
        20 => plan(1, Vector, Read, false, 1),
        295 => plan(1, Vector, Write, true, 17),
        296 => plan(1, Vector, Read, true, 18),
        327 => plan(1, Vector, Write, true, 17),
        328 => plan(1, Vector, Read, true, 18),
        46 => plan(1, Message, Read, false, 46),
        47 => plan(1, Message, Write, false, 47),
        _ => None,
    }
}

/// What a descriptor is, as far as it matters for the length of a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum File {
    /// Waits for nobody, and reads what it is asked for.
    Regular,
    /// Bytes without borders: any part of a request is right.
    Stream,
    /// Each call is one message.
    Message,
}

/// What the call's descriptor is.
pub fn file(slot: &Slot) -> File {
    if slot.number == 318 {
        return File::Regular;
    }
    let mut status = core::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: status has room for the answer; all zero is valid.
    let mode = unsafe {
        sys::call(libc::SYS_fstat, [slot.args[0], status.as_mut_ptr() as usize, 0, 0, 0, 0]);
        status.assume_init().st_mode
    };
    match mode & libc::S_IFMT {
        libc::S_IFREG | libc::S_IFBLK => File::Regular,
        libc::S_IFIFO => File::Stream,
        libc::S_IFSOCK => {
            let (mut kind, mut len) = (0i32, 4u32);
            let args = [slot.args[0], 1, 3, &raw mut kind as usize, &raw mut len as usize, 0];
            // SAFETY: SO_TYPE is an int.
            unsafe { sys::call(libc::SYS_getsockopt, args) };
            if kind == libc::SOCK_STREAM {
                File::Stream
            } else {
                File::Message
            }
        }
        _ => File::Message,
    }
}
