//! The signal frame of x86-64 Linux: what it consists of, and where it goes. Pure.

use super::kernel::Info;
use super::masks::Temporary;
use super::stack::Alternate;
use vmcore::sys::thread::SignalSet;

/// Registers of [`Context::registers`].
pub mod register {
    pub const RDI: usize = 8;
    pub const RSI: usize = 9;
    pub const RDX: usize = 12;
    pub const RAX: usize = 13;
    pub const RCX: usize = 14;
    pub const RSP: usize = 15;
    pub const RIP: usize = 16;
    pub const FLAGS: usize = 17;
    pub const ERROR: usize = 19;
}

/// The kernel's `struct ucontext`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Context {
    flags: u64,
    link: usize,
    /// The alternate stack.
    pub stack: libc::stack_t,
    /// r8 … r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, flags, segments, error, trap, mask, cr2.
    pub registers: [u64; 23],
    /// The state of the floating-point and vector units, or null for the initial state.
    pub vectors: usize,
    reserved: [u64; 8],
    /// The mask of the interrupted code.
    pub mask: SignalSet,
}

const _: () = assert!(size_of::<Context>() == 304);

impl Context {
    /// Whether the signal made a system call end with EINTR: `syscall` leaves its return address in
    /// rcx.
    pub fn interrupted_call(&self) -> bool {
        self.registers[register::RAX] as i64 == -i64::from(libc::EINTR)
            && self.registers[register::RCX] == self.registers[register::RIP]
    }

    /// Whether the page fault was a store: bit 1 of its error code.
    pub fn is_store(&self) -> bool {
        self.registers[register::ERROR] & 2 != 0
    }
}

/// The kernel's `struct rt_sigframe`, and behind it what we keep for the return.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Frame {
    /// What the handler returns to.
    pub restorer: usize,
    /// What it interrupted.
    pub context: Context,
    /// What came with the signal.
    pub info: Info,
    /// The call like sigsuspend that was under way.
    pub temporary: Temporary,
}

/// Where a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spot {
    /// The [`Frame`], which is where the handler's stack begins.
    pub frame: usize,
    /// The state of the vector units.
    pub vectors: usize,
}

/// Below the stack pointer lies the interrupted function's red zone.
const RED_ZONE: usize = 128;

/// The place for a frame with so many bytes of vector state; `None` if it overflows the alternate
/// stack.
pub fn spot(sp: usize, alternate: &Alternate, on_alternate: bool, vectors_len: usize) -> Option<Spot> {
    let below = sp.wrapping_sub(RED_ZONE);
    let vectors_len = vectors_len.next_multiple_of(8);
    let entry = if on_alternate { alternate.entry(sp) } else { None };
    let vectors = entry.unwrap_or(below).checked_sub(vectors_len)? & !63;
    let frame = (vectors.checked_sub(size_of::<Frame>())? & !15).checked_sub(8)?;
    let overflows = (entry.is_some() || alternate.in_use(sp)) && !alternate.contains(frame);
    (!overflows).then_some(Spot { frame, vectors })
}

const LEGACY: usize = 512;
const MAGIC_AT: usize = 464;
const MAGIC: u32 = 0x4650_5853;
/// More than any processor has; beyond, the frame is not one of the kernel's.
const MOST: usize = 64 * 1024;

/// Bytes of vector state at `vectors`, by its own account.
///
/// # Safety
/// Null, or readable as the state of the vector units.
pub unsafe fn vectors_len(vectors: usize) -> usize {
    if vectors == 0 {
        return 0;
    }
    let note = (vectors + MAGIC_AT) as *const u32;
    // SAFETY: the note lies within the 512 bytes that are always there.
    let (magic, len) = unsafe { (note.read_unaligned(), note.add(1).read_unaligned() as usize) };
    if magic == MAGIC && (LEGACY..MOST).contains(&len) {
        len
    } else {
        LEGACY
    }
}
