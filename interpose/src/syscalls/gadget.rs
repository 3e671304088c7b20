//! The few instructions that the program is resumed at, instead of after its `syscall`.
//!
//! They lie in our own text, where system calls pass, and run with the program's registers, mask and
//! stack: a signal that comes in the middle, and a jump out of its handler, find nothing of ours but
//! 16 bytes below the red zone of the program's stack:
//!
//! ```text
//! rsp + 0   where the program goes on
//! rsp + 8   the slot of a call that has to be finished by the handler; 0 if none
//! rsp + 144 the program's own stack pointer
//! ```
//!
//! A call that has to be finished goes through the door: a `syscall` outside of our text, which traps.

use crate::thread::Thread;
use core::mem::offset_of;
use core::sync::atomic::{AtomicUsize, Ordering};
use vmcore::sys::memory::{self, Protection};

/// What the program's stack pointer is moved by: the red zone, and our 16 bytes.
pub const FRAME: usize = 144;

core::arch::global_asm!(
    ".text",
    ".balign 16",
    ".hidden vmalloc_resume",
    ".globl vmalloc_resume",
    ".type vmalloc_resume, @function",
    ".cfi_startproc",
    ".cfi_def_cfa rsp, {frame}",
    ".cfi_offset rip, -{frame}",
    "nop", // unwinders look up the address before the return address
    "vmalloc_resume:",
    "syscall",
    "vmalloc_resumed:",
    "mov rcx, qword ptr [rsp + 8]",
    "jrcxz 2f",
    "mov qword ptr [rcx + {result}], rax",
    "mov eax, 39",
    "mov rcx, qword ptr [rip + {door}]",
    "jmp rcx",
    // The door leads here when it did not trap: in a child that is not guarded.
    ".hidden vmalloc_untrapped",
    ".globl vmalloc_untrapped",
    "vmalloc_untrapped:",
    "mov rcx, qword ptr [rsp + 8]",
    "mov rax, qword ptr [rcx + {result}]",
    "2:",
    "mov rcx, qword ptr [rsp]",
    "lea rsp, [rsp + {frame}]",
    ".cfi_def_cfa rsp, 0",
    ".cfi_register rip, rcx",
    "jmp rcx",
    ".cfi_endproc",
    ".size vmalloc_resume, . - vmalloc_resume",

    // A child with a stack of its own: the word below its top says where it begins.
    ".balign 16",
    ".hidden vmalloc_resume_clone",
    ".globl vmalloc_resume_clone",
    ".type vmalloc_resume_clone, @function",
    "vmalloc_resume_clone:",
    "syscall",
    "mov rcx, rax",
    "jrcxz 3f",
    "jmp vmalloc_resumed",
    "3:",
    "mov rcx, qword ptr [rsp - 8]",
    "jmp rcx",
    ".size vmalloc_resume_clone, . - vmalloc_resume_clone",

    // A child on its parent's stack: the thread's record says where both go on.
    ".balign 16",
    ".hidden vmalloc_resume_vfork",
    ".globl vmalloc_resume_vfork",
    ".type vmalloc_resume_vfork, @function",
    "vmalloc_resume_vfork:",
    "syscall",
    "mov rcx, qword ptr [rip + vmalloc_self@GOTTPOFF]",
    "mov rcx, qword ptr fs:[rcx]",
    "mov rcx, qword ptr [rcx + {vfork}]",
    "jmp rcx",
    ".size vmalloc_resume_vfork, . - vmalloc_resume_vfork",
    frame = const FRAME,
    result = const super::slots::RESULT,
    door = sym DOOR,
    vfork = const offset_of!(Thread, guard) + super::VFORK_RETURN,
);

unsafe extern "C" {
    fn vmalloc_resume();
    fn vmalloc_resume_clone();
    fn vmalloc_resume_vfork();
    fn vmalloc_untrapped();
}

/// Where the door is; 0 if there is none.
static DOOR: AtomicUsize = AtomicUsize::new(0);

/// Makes the door: `syscall; jmp vmalloc_untrapped` on a page of its own.
pub fn build_door() -> vmcore::sys::Result<()> {
    let at = memory::reserve(4096, Protection::ReadWrite)?;
    let code = [0x0f, 0x05, 0xff, 0x25, 0, 0, 0, 0];
    let target = (vmalloc_untrapped as *const () as usize).to_le_bytes();
    // SAFETY: a fresh page; afterwards it is executed and never written again.
    unsafe {
        core::ptr::copy_nonoverlapping(code.as_ptr(), at as *mut u8, 8);
        core::ptr::copy_nonoverlapping(target.as_ptr(), (at + 8) as *mut u8, 8);
        let execute = (libc::PROT_READ | libc::PROT_EXEC) as usize;
        vmcore::sys::check(vmcore::sys::call(libc::SYS_mprotect, [at, 4096, execute, 0, 0, 0]))?;
    }
    // Relaxed: written once at start-up, before any call can trap.
    DOOR.store(at, Ordering::Relaxed);
    Ok(())
}

/// Where a trap at the door says it happened: behind its `syscall`.
pub fn behind_door() -> usize {
    DOOR.load(Ordering::Relaxed).wrapping_add(2)
}

/// A `syscall` in our text that goes on as the stack says.
pub fn resume() -> usize {
    vmalloc_resume as *const () as usize
}

/// The same for a call whose child has a stack of its own.
pub fn resume_clone() -> usize {
    vmalloc_resume_clone as *const () as usize
}

/// The same for a call whose child shares the stack.
pub fn resume_vfork() -> usize {
    vmalloc_resume_vfork as *const () as usize
}
