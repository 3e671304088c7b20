//! The word of initial-exec TLS in which a thread finds its own record: two loads, and nothing is allocated.

use super::Thread;

core::arch::global_asm!(
    ".section .tbss.vmalloc_self,\"awT\",@nobits",
    ".hidden vmalloc_self",
    ".globl vmalloc_self",
    ".type vmalloc_self, @object",
    ".size vmalloc_self, 8",
    ".balign 8",
    "vmalloc_self: .zero 8",
    ".text",
);

/// The record of the running thread, once it has entered.
#[inline(always)]
pub fn current() -> Option<&'static Thread> {
    let record: *const Thread;
    // SAFETY: a load from the thread's own static TLS block.
    unsafe {
        core::arch::asm!(
            "mov {0}, qword ptr [rip + vmalloc_self@GOTTPOFF]",
            "mov {0}, qword ptr fs:[{0}]",
            out(reg) record,
            options(readonly, nostack, preserves_flags)
        );
        // SAFETY: either null or a record, which lives for ever.
        record.as_ref()
    }
}

/// Where [`current`] looks, from the thread's control block.
pub fn storage_offset() -> isize {
    let offset;
    // SAFETY: a load from the table of offsets.
    unsafe {
        core::arch::asm!(
            "mov {0}, qword ptr [rip + vmalloc_self@GOTTPOFF]",
            out(reg) offset,
            options(readonly, nostack, preserves_flags)
        );
    }
    offset
}

pub fn set_current(record: *const Thread) {
    // SAFETY: a store to the thread's own static TLS block.
    unsafe {
        core::arch::asm!(
            "mov {1}, qword ptr [rip + vmalloc_self@GOTTPOFF]",
            "mov qword ptr fs:[{1}], {0}",
            in(reg) record,
            out(reg) _,
            options(nostack, preserves_flags)
        );
    }
}
