//! What the kernel reads and writes for an argument of a system call: the shapes that the table is
//! made of, and the walk that turns a call into ranges of memory.
//!
//! Pure: memory is reached only through [`Memory`], so the walk is tested without a kernel. What a
//! pointer inside program memory points to is looked at only after that memory was claimed.
#![forbid(unsafe_code)]

pub mod ioctls;
pub mod walk;

use vmcore::trace::Access;

/// How many bytes an argument points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Len {
    /// So many.
    Fixed(u32),
    /// As many as the argument says.
    Arg(u8),
    /// As many as the argument says, and some more.
    Plus(u8, u32),
    /// So many items as the argument says, of so many bytes.
    Times(u8, u32),
    /// As many as the 32-bit number says that the argument points to.
    At(u8),
    /// A set of as many bits as the argument says, in 64-bit words.
    Bits(u8),
    /// One byte for each page of as many bytes as the argument says.
    Pages(u8),
}

/// What lies where an argument points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string that ends with a zero byte.
    Text,
    /// A null-terminated vector of strings.
    Texts,
    /// Bytes that the kernel reads.
    In(Len),
    /// Bytes that the kernel writes, and perhaps reads.
    Out(Len),
    /// An array of `struct iovec`, as long as the argument says, whose buffers are accessed so.
    Vector(Access, u8),
    /// A `struct msghdr`, whose buffers are accessed so.
    Message(Access),
    /// An array of `struct mmsghdr`, as long as the argument says.
    Messages(Access, u8),
    /// The argument of an ioctl, whose number is in the argument before.
    Ioctl,
    /// An array of pointers to `struct iocb`, as long as the argument says.
    Iocbs(u8),
    /// An array of `struct futex_waitv`, as long as the argument says.
    Futexes(u8),
    /// `struct file_handle`, which begins with its length.
    Handle,
    /// `struct { const sigset_t *set; size_t len; }`
    MaskPair,
    /// `struct sock_fprog` and the like if the option (level, name) takes one, else bytes.
    Option,
    /// A structure of so many bytes that may contain pointers: the rest of each block that a word of it
    /// points into, too.
    Words(Len),
    /// Not known: the rest of the block that it points into, if it does.
    Rest,
}

/// The memory of the program, as the walk needs it.
pub trait Memory {
    /// The kernel will access `len` bytes at `address`, on behalf of argument `arg`.
    fn claim(&mut self, arg: u8, address: usize, len: usize, access: Access);
    /// The kernel will read the string at `address`.
    fn claim_text(&mut self, arg: u8, address: usize);
    /// The kernel may access the rest of the block that contains `address`.
    fn claim_rest(&mut self, arg: u8, address: usize);
    /// Copies memory that was claimed; false if there is none.
    fn peek(&mut self, address: usize, to: &mut [u8]) -> bool;

    /// A word of memory that was claimed.
    fn word(&mut self, address: usize) -> Option<usize> {
        let mut bytes = [0; 8];
        self.peek(address, &mut bytes).then(|| usize::from_ne_bytes(bytes))
    }

    /// A half word of memory that was claimed.
    fn half(&mut self, address: usize) -> Option<u32> {
        let mut bytes = [0; 4];
        self.peek(address, &mut bytes).then(|| u32::from_ne_bytes(bytes))
    }
}
