//! The walk over an argument: from its shape to the ranges of memory that the kernel accesses.
#![forbid(unsafe_code)]

use super::{ioctls, Len, Memory, Shape};
use vmcore::trace::Access;

/// The kernel looks at no more iovecs than this, and refuses more messages and strings of a length.
const MOST_VECTORS: usize = 1024;

/// Claims all that the kernel accesses for an argument of that shape.
pub fn walk(memory: &mut impl Memory, args: &[usize; 6], arg: u8, shape: Shape) {
    walk_inline(memory, args, arg, shape);
}

/// The same for a shape that the compiler knows: nothing is left of the choice.
#[inline(always)]
pub fn walk_inline(memory: &mut impl Memory, args: &[usize; 6], arg: u8, shape: Shape) {
    let value = |arg: u8| args.get(arg as usize).copied().unwrap_or(0);
    let at = value(arg);
    if at == 0 {
        return;
    }
    match shape {
        Shape::Text => memory.claim_text(arg, at),
        Shape::Texts => texts(memory, arg, at),
        Shape::In(len) => {
            if let Some(len) = measure(memory, args, len) {
                memory.claim(arg, at, len, Access::Read);
            }
        }
        Shape::Out(len) => {
            if let Some(len) = measure(memory, args, len) {
                memory.claim(arg, at, len, Access::Write);
            }
        }
        Shape::Vector(access, count) => vector(memory, arg, at, value(count), access),
        Shape::Message(access) => message(memory, arg, at, access),
        Shape::Messages(access, count) => {
            let n = value(count).min(MOST_VECTORS);
            memory.claim(arg, at, n * 64, Access::Write);
            (0..n).for_each(|i| message(memory, arg, at + i * 64, access));
        }
        Shape::Ioctl => ioctl(memory, arg, at, value(1) as u32),
        Shape::Iocbs(count) => iocbs(memory, arg, at, value(count)),
        Shape::Futexes(count) => {
            let n = value(count).min(128);
            memory.claim(arg, at, n * 24, Access::Read);
            for i in 0..n {
                if let Some(word) = memory.word(at + i * 24 + 8) {
                    memory.claim(arg, word, 4, Access::Read);
                }
            }
        }
        Shape::Handle => {
            memory.claim(arg, at, 8, Access::Write);
            if let Some(len) = memory.half(at) {
                memory.claim(arg, at, 8 + len.min(128) as usize, Access::Write);
            }
        }
        Shape::MaskPair => {
            memory.claim(arg, at, 16, Access::Read);
            if let Some(set) = memory.word(at).filter(|set| *set != 0) {
                memory.claim(arg, set, 8, Access::Read);
            }
        }
        Shape::Option => {
            let len = value(4).min(1 << 24);
            memory.claim(arg, at, len, Access::Read);
            // SOL_SOCKET: SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF.
            if value(1) == 1 && matches!(value(2), 26 | 51) && len >= 16 {
                if let (Some(n), Some(code)) = (memory.half(at), memory.word(at + 8)) {
                    memory.claim(arg, code, (n & 0xffff) as usize * 8, Access::Read);
                }
            }
        }
        Shape::Words(len) => {
            if let Some(len) = measure(memory, args, len) {
                memory.claim(arg, at, len, Access::Write);
                words(memory, arg, at, len);
            }
        }
        Shape::Rest => memory.claim_rest(arg, at),
    }
}

#[inline(always)]
fn measure(memory: &mut impl Memory, args: &[usize; 6], len: Len) -> Option<usize> {
    let value = |arg: u8| args.get(arg as usize).copied().unwrap_or(0);
    // Counts are ints; what is too much for the kernel is refused by it, not by us.
    let count = |arg: u8| value(arg) & 0xffff_ffff;
    Some(match len {
        Len::Fixed(n) => n as usize,
        Len::Arg(arg) => value(arg),
        Len::Plus(arg, more) => value(arg).saturating_add(more as usize),
        Len::Times(arg, size) => count(arg).saturating_mul(size as usize),
        Len::At(arg) => {
            let at = value(arg);
            if at == 0 {
                return None;
            }
            memory.claim(arg, at, 4, Access::Write);
            // A negative length is refused by the kernel.
            memory.half(at).filter(|len| *len <= i32::MAX as u32)? as usize
        }
        Len::Bits(arg) => count(arg).min(1 << 20).div_ceil(64) * 8,
        Len::Pages(arg) => value(arg).div_ceil(4096),
    })
}

/// Claims what the words of a structure point to.
fn words(memory: &mut impl Memory, arg: u8, at: usize, len: usize) {
    let mut bytes = [0; 256];
    let Some(bytes) = bytes.get_mut(..len.min(256)).filter(|_| len >= 8) else {
        return;
    };
    if memory.peek(at, bytes) {
        for word in bytes.chunks_exact(8) {
            memory.claim_rest(arg, word.try_into().map_or(0, usize::from_ne_bytes));
        }
    }
}

fn texts(memory: &mut impl Memory, arg: u8, at: usize) {
    for i in 0..1 << 20 {
        let entry = at.wrapping_add(i * 8);
        memory.claim(arg, entry, 8, Access::Read);
        match memory.word(entry) {
            None | Some(0) => return,
            Some(text) => memory.claim_text(arg, text),
        }
    }
}

/// Calls `each` with every buffer of an iovec array that has been claimed.
pub fn each_buffer<M: Memory>(memory: &mut M, at: usize, count: usize, mut each: impl FnMut(&mut M, usize, usize)) {
    for i in 0..count.min(MOST_VECTORS) {
        let entry = at.wrapping_add(i * 16);
        let (Some(base), Some(len)) = (memory.word(entry), memory.word(entry.wrapping_add(8))) else {
            return;
        };
        if len != 0 {
            each(memory, base, len);
        }
    }
}

fn vector(memory: &mut impl Memory, arg: u8, at: usize, count: usize, access: Access) {
    // The kernel refuses a longer vector before it looks at anything.
    if count > MOST_VECTORS {
        return;
    }
    memory.claim(arg, at, count * 16, Access::Read);
    each_buffer(memory, at, count, |memory, base, len| memory.claim(arg, base, len, access));
}

/// `struct msghdr`: name, namelen, iov, iovlen, control, controllen, flags.
fn message(memory: &mut impl Memory, arg: u8, at: usize, access: Access) {
    memory.claim(arg, at, 56, Access::Write);
    let mut fields = [0usize; 6];
    for (i, field) in fields.iter_mut().enumerate() {
        let Some(word) = memory.word(at + i * 8) else {
            return;
        };
        *field = word;
    }
    let [name, name_len, iov, iov_len, control, control_len] = fields;
    if name != 0 {
        memory.claim(arg, name, name_len & 0x7fff_ffff, access);
    }
    if control != 0 {
        memory.claim(arg, control, control_len.min(1 << 24), access);
    }
    if iov != 0 {
        vector(memory, arg, iov, iov_len, access);
    }
}

fn ioctl(memory: &mut impl Memory, arg: u8, at: usize, number: u32) {
    match ioctls::argument(number) {
        ioctls::Argument::Number => {}
        ioctls::Argument::Bytes(len, access) => {
            memory.claim(arg, at, len, access);
            // Modern numbers say how long the structure is, not what it points to.
            if len >= 16 && number >> 30 != 0 {
                words(memory, arg, at, len);
            }
        }
        ioctls::Argument::List(head) => {
            // struct { int len; void *buffer; }, as in `struct ifconf`.
            memory.claim(arg, at, head, Access::Write);
            if let (Some(len), Some(buffer)) = (memory.half(at), memory.word(at + 8)) {
                if buffer != 0 {
                    memory.claim(arg, buffer, len.min(1 << 24) as usize, Access::Write);
                }
            }
        }
        ioctls::Argument::Unknown => memory.claim_rest(arg, at),
    }
}

/// `struct iocb`: data, key and flags, opcode (at 16), fd, buffer (24), bytes (32), offset, …
fn iocbs(memory: &mut impl Memory, arg: u8, at: usize, count: usize) {
    let n = count.min(1 << 16);
    memory.claim(arg, at, n * 8, Access::Read);
    for i in 0..n {
        let Some(iocb) = memory.word(at + i * 8) else {
            return;
        };
        memory.claim(arg, iocb, 64, Access::Write);
        let (Some(operation), Some(buffer), Some(len)) = (memory.half(iocb + 16), memory.word(iocb + 24), memory.word(iocb + 32))
        else {
            continue;
        };
        match operation & 0xffff {
            0 => memory.claim(arg, buffer, len, Access::Write),
            1 => memory.claim(arg, buffer, len, Access::Read),
            7 => vector(memory, arg, buffer, len, Access::Write),
            8 => vector(memory, arg, buffer, len, Access::Read),
            _ => {}
        }
    }
}
