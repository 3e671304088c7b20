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
//! A call that has to be finished goes on at the trap page: a `syscall` outside of our text, which traps.

use super::birth;
use crate::shared::own_text;
use crate::syscalls::pins::slots::{self, FRAME};
use core::sync::atomic::{AtomicUsize, Ordering};
use spin::Once;
use vmcore::sys::memory::{self, Protection};

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
    "mov eax, {getpid}", // any call will do
    "mov rcx, qword ptr [rip + {trap}]",
    "jmp rcx",
    // The trap page leads here when it did not trap: in a child that is not guarded.
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

    // A call that makes a child which shares our memory; r9: its `Birth`. Nothing is written to a stack,
    // which the two may share. The child first gets its alternate stack and dispatch.
    ".balign 16",
    ".globl vmalloc_resume_birth",
    ".hidden vmalloc_resume_birth",
    ".type vmalloc_resume_birth, @function",
    "vmalloc_resume_birth:",
    "syscall",
    "mov rcx, rax",
    "jrcxz 3f",
    "mov r10, rax",
    "4:",
    "mov eax, {getpid}",
    "jmp qword ptr [rip + {birth_trap}]",
    "3:",
    "lea rdi, [r9 + {alternate}]",
    "xor esi, esi",
    "mov eax, {sigaltstack}",
    "syscall",
    "mov edi, {dispatch}",
    "mov esi, {on}",
    "mov rdx, qword ptr [rip + {text}]",
    "mov r10, qword ptr [rip + {text_len}]",
    "mov r8, qword ptr [r9 + {selector}]",
    "mov eax, {prctl}",
    "syscall",
    "xor r10d, r10d",
    "jmp 4b",
    ".size vmalloc_resume_birth, . - vmalloc_resume_birth",
    getpid = const libc::SYS_getpid,
    sigaltstack = const libc::SYS_sigaltstack,
    prctl = const libc::SYS_prctl,
    dispatch = const super::PR_SET_SYSCALL_USER_DISPATCH,
    on = const super::PR_SYS_DISPATCH_ON,
    frame = const FRAME,
    result = const slots::RESULT,
    trap = sym TRAP,
    birth_trap = sym BIRTH_TRAP,
    alternate = const birth::ALTERNATE,
    selector = const birth::SELECTOR,
    text = sym TEXT,
    text_len = sym TEXT_LEN,
);

unsafe extern "C" {
    fn vmalloc_resume();
    /// Goes on there with r9 a birth, and the number and arguments of its call.
    pub fn vmalloc_resume_birth();
    fn vmalloc_untrapped();
}

/// Where the trap page is; 0 if there is none.
static TRAP: AtomicUsize = AtomicUsize::new(0);

/// Where its `syscall` for births is: behind the other one.
static BIRTH_TRAP: AtomicUsize = AtomicUsize::new(0);
/// Our own text, where calls pass.
static TEXT: AtomicUsize = AtomicUsize::new(0);
static TEXT_LEN: AtomicUsize = AtomicUsize::new(0);

/// Whether there is a trap page; it is made now if nobody has asked before.
pub fn has_trap_page() -> bool {
    static BUILT: Once<bool> = Once::new();
    *BUILT.call_once(|| build_trap_page().is_ok())
}

/// Makes the trap page: `syscall; jmp vmalloc_untrapped`, and for births `syscall; ud2`: only guarded threads come
/// there.
fn build_trap_page() -> vmcore::sys::Result<()> {
    let at = memory::reserve(4096, Protection::ReadWrite)?;
    let code = [0x0f, 0x05, 0xff, 0x25, 0, 0, 0, 0];
    let target = (vmalloc_untrapped as *const () as usize).to_le_bytes();
    // SAFETY: a fresh page; afterwards it is executed and never written again.
    unsafe {
        core::ptr::copy_nonoverlapping(code.as_ptr(), at as *mut u8, 8);
        core::ptr::copy_nonoverlapping(target.as_ptr(), (at + 8) as *mut u8, 8);
        let execute = (libc::PROT_READ | libc::PROT_EXEC) as usize;
        core::ptr::copy_nonoverlapping([0x0f, 0x05, 0x0f, 0x0b].as_ptr(), (at + 16) as *mut u8, 4);
        vmcore::sys::check(vmcore::sys::call(libc::SYS_mprotect, [at, 4096, execute, 0, 0, 0]))?;
    }
    // Relaxed: written once at start-up, before any call can trap.
    TRAP.store(at, Ordering::Relaxed);
    BIRTH_TRAP.store(at + 16, Ordering::Relaxed);
    if let Some((start, len)) = own_text::range() {
        TEXT.store(start, Ordering::Relaxed);
        TEXT_LEN.store(len, Ordering::Relaxed);
    }
    Ok(())
}

/// Where a trap on the trap page says it happened: behind its `syscall`.
pub fn behind_trap() -> usize {
    TRAP.load(Ordering::Relaxed).wrapping_add(2)
}

/// A `syscall` in our text that goes on as the stack says.
pub fn resume() -> usize {
    vmalloc_resume as *const () as usize
}

/// The same for births.
pub fn behind_birth_trap() -> usize {
    BIRTH_TRAP.load(Ordering::Relaxed).wrapping_add(2)
}

/// The same for a call that makes a child which shares our memory.
pub fn resume_birth() -> usize {
    vmalloc_resume_birth as *const () as usize
}
