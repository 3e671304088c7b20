//! The transfers among the system calls: which argument says where the bytes are, and in which way they go.
#![forbid(unsafe_code)]

use core::ffi::c_long;
use vmcore::trace::Access;

/// What a call transfers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Argument with the buffer, the vector or the message.
    pub arg: usize,
    /// What is there.
    pub form: Form,
    /// `Write` when the kernel writes to the program's memory.
    pub access: Access,
    /// Whether argument 3 is a file offset.
    pub at_offset: bool,
}

/// How the program's memory is given to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// An address and, in the next argument, a length.
    Buffer,
    /// A vector; the number of the same call with a single buffer.
    Vector(c_long),
    /// A `struct msghdr`.
    Message,
}

/// A transfer from or to the buffer that argument `arg` points to.
pub const fn buffer(arg: usize, access: Access) -> Transfer {
    Transfer { arg, form: Form::Buffer, access, at_offset: false }
}

/// A transfer from or to a vector; `single` is the same with one buffer.
pub const fn vector(access: Access, single: c_long) -> Transfer {
    Transfer { arg: 1, form: Form::Vector(single), access, at_offset: false }
}

/// A transfer from or to the buffers of a message.
pub const fn message(access: Access) -> Transfer {
    Transfer { arg: 1, form: Form::Message, access, at_offset: false }
}

impl Transfer {
    /// The same at the file offset in argument 3.
    pub const fn at_offset(self) -> Transfer {
        Transfer { at_offset: true, ..self }
    }

    /// Whether the call receives so many bytes at argument `arg` as it returns.
    pub fn receives(self, arg: u8) -> bool {
        self.access == Access::Write && self.form == Form::Buffer && self.arg == arg as usize
    }
}
