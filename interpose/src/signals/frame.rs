//! The signal frame of x86-64 Linux: what it consists of, and where it goes. Pure.

use super::masks::Temporary;
use super::stack::Alternate;
use crate::shared::kernel::Info;
use crate::shared::ucontext::Ucontext;

/// The kernel's `struct rt_sigframe`, and behind it what we keep for the return.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SignalFrame {
    /// What the handler returns to.
    pub restorer: usize,
    /// What it interrupted.
    pub context: Ucontext,
    /// What came with the signal.
    pub info: Info,
    /// The call like sigsuspend that was under way.
    pub temporary: Temporary,
}

/// Where a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spot {
    /// The [`SignalFrame`], which is where the handler's stack begins.
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
    let frame = (vectors.checked_sub(size_of::<SignalFrame>())? & !15).checked_sub(8)?;
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
