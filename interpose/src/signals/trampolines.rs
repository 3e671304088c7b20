//! The places in our text that handlers come from and return to, and how unwinders get through them to what
//! a signal interrupted.
//!
//! - `entry`: what the kernel calls for every signal that the program handles.
//! - `handler_return`: what the program's handlers return to.
//! - `summons_return`: what the handler returns to in which a thread is taken over.
//! - `restorer`: what our other handlers return to.

use super::deliver;
use core::arch::global_asm;

// How unwinders get from a frame to what it interrupted: `from` points to the context at `+ skip`.
global_asm!(
    ".macro vmalloc_signal_cfi from, skip",
    ".cfi_startproc simple",
    ".cfi_signal_frame",
    // CFA = [context.rsp]
    ".cfi_escape 0x0f, 4, 0x70 + \\from, ((160 + \\skip) & 0x7f) | 0x80, (160 + \\skip) >> 7, 6",
    "vmalloc_signal_register 8, 40 + \\skip, \\from",
    "vmalloc_signal_register 9, 48 + \\skip, \\from",
    "vmalloc_signal_register 10, 56 + \\skip, \\from",
    "vmalloc_signal_register 11, 64 + \\skip, \\from",
    "vmalloc_signal_register 12, 72 + \\skip, \\from",
    "vmalloc_signal_register 13, 80 + \\skip, \\from",
    "vmalloc_signal_register 14, 88 + \\skip, \\from",
    "vmalloc_signal_register 15, 96 + \\skip, \\from",
    "vmalloc_signal_register 5, 104 + \\skip, \\from",
    "vmalloc_signal_register 4, 112 + \\skip, \\from",
    "vmalloc_signal_register 6, 120 + \\skip, \\from",
    "vmalloc_signal_register 3, 128 + \\skip, \\from",
    "vmalloc_signal_register 1, 136 + \\skip, \\from",
    "vmalloc_signal_register 0, 144 + \\skip, \\from",
    "vmalloc_signal_register 2, 152 + \\skip, \\from",
    "vmalloc_signal_register 7, 160 + \\skip, \\from",
    "vmalloc_signal_register 16, 168 + \\skip, \\from",
    ".endm",
    // A register is saved at an offset from `from`.
    ".macro vmalloc_signal_register number, at, from",
    ".cfi_escape 0x10, \\number, 3, 0x70 + \\from, ((\\at) & 0x7f) | 0x80, (\\at) >> 7",
    ".endm",
    ".text",
    ".balign 16",
    ".hidden vmalloc_entry",
    ".globl vmalloc_entry",
    ".type vmalloc_entry, @function",
    "vmalloc_signal_cfi 3, 8",
    "vmalloc_entry:",
    "mov rbx, rsp", // nothing is to be kept: rt_sigreturn loads every register
    "sub rsp, 8",
    "call {on_signal}",
    "lea rsp, [rbx + 8]",
    "mov eax, {rt_sigreturn}",
    "syscall",
    ".cfi_endproc",
    ".size vmalloc_entry, . - vmalloc_entry",
    ".balign 16",
    ".hidden vmalloc_handler_return",
    ".globl vmalloc_handler_return",
    ".type vmalloc_handler_return, @function",
    "vmalloc_signal_cfi 7, 0",
    "nop", // unwinders look up the address before the return address
    "vmalloc_handler_return:",
    "mov rdi, rsp",
    "call {returning}",
    "mov rsp, rax",
    "mov eax, {rt_sigreturn}",
    "syscall",
    ".cfi_endproc",
    ".size vmalloc_handler_return, . - vmalloc_handler_return",
    ".balign 16",
    ".hidden vmalloc_summons_return",
    ".globl vmalloc_summons_return",
    ".type vmalloc_summons_return, @function",
    "vmalloc_signal_cfi 7, 0",
    "nop", // unwinders look up the address before the return address
    "vmalloc_summons_return:",
    "mov rdi, rsp",
    "call {from_summons}",
    "mov rsp, rax",
    "mov eax, {rt_sigreturn}",
    "syscall",
    ".cfi_endproc",
    ".size vmalloc_summons_return, . - vmalloc_summons_return",
    // Unwinders that read no tables look for exactly these bytes. In our own text the system-call guard lets it pass.
    ".balign 16",
    ".hidden vmalloc_restorer",
    ".globl vmalloc_restorer",
    ".type vmalloc_restorer, @function",
    "vmalloc_signal_cfi 7, 0",
    "nop", // unwinders look up the address before the return address
    "vmalloc_restorer:",
    "mov rax, {rt_sigreturn}",
    "syscall",
    ".cfi_endproc",
    ".size vmalloc_restorer, . - vmalloc_restorer",
    rt_sigreturn = const libc::SYS_rt_sigreturn,
    on_signal = sym deliver::on_signal,
    returning = sym deliver::returning,
    from_summons = sym deliver::returning_from_summons,
);

unsafe extern "C" {
    fn vmalloc_entry();
    fn vmalloc_handler_return();
    fn vmalloc_restorer();
    fn vmalloc_summons_return();
}

/// The handler that the kernel has for every signal that the program handles.
pub fn entry() -> usize {
    vmalloc_entry as *const () as usize
}

/// What the program's handlers return to.
pub fn handler_return() -> usize {
    vmalloc_handler_return as *const () as usize
}

/// What the handler of a summons returns to.
pub fn summons_return() -> usize {
    vmalloc_summons_return as *const () as usize
}

/// What our own handlers return to: `rt_sigreturn`.
pub fn restorer() -> usize {
    vmalloc_restorer as *const () as usize
}
