//! Signal actions as the kernel takes them, without libc in between.

use core::ffi::{c_int, c_void};
use vmcore::sys::thread::SignalSet;
use vmcore::sys::{self, Result};

/// `struct sigaction` of the kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Action {
    /// The handler, `SIG_DFL` or `SIG_IGN`.
    pub handler: usize,
    /// `SA_…`
    pub flags: u64,
    /// What the handler returns to.
    pub restorer: usize,
    /// Blocked while the handler runs.
    pub mask: SignalSet,
}

/// A handler with all three arguments.
pub type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

const SA_RESTORER: u64 = 0x0400_0000;

// Exactly the bytes that unwinders look for, and in our own text: the system-call guard lets it pass.
core::arch::global_asm!(
    ".text",
    ".balign 16",
    ".hidden vmalloc_restorer",
    ".globl vmalloc_restorer",
    ".type vmalloc_restorer, @function",
    "nop", // unwinders look up the address before the return address
    "vmalloc_restorer:",
    "mov rax, 15",
    "syscall",
    ".size vmalloc_restorer, . - vmalloc_restorer",
);

unsafe extern "C" {
    fn vmalloc_restorer();
}

/// Where our handlers return to: `rt_sigreturn` from our own text.
pub fn restorer() -> usize {
    vmalloc_restorer as *const () as usize
}

/// Sets the action of `signal`, and returns the one before.
///
/// # Safety
/// The handler must be fit to run at any moment.
pub unsafe fn set_action(signal: c_int, action: Option<&Action>) -> Result<Action> {
    let mut old = Action { handler: 0, flags: 0, restorer: 0, mask: SignalSet::EMPTY };
    let new = action.map_or(core::ptr::null(), core::ptr::from_ref);
    let args = [signal as usize, new as usize, &raw mut old as usize, 8, 0, 0];
    // SAFETY: both actions live through the call; the handler is the caller's promise.
    sys::check(unsafe { sys::call(libc::SYS_rt_sigaction, args) })?;
    Ok(old)
}

/// Installs a handler of ours: on the alternate stack, with every signal blocked.
///
/// # Safety
/// As [`set_action`].
pub unsafe fn install(signal: c_int, handler: Handler, mask: SignalSet) -> Result<Action> {
    let action = Action {
        handler: handler as usize,
        flags: (libc::SA_SIGINFO | libc::SA_ONSTACK) as u64 | SA_RESTORER,
        restorer: restorer(),
        mask,
    };
    // SAFETY: the caller's promise.
    unsafe { set_action(signal, Some(&action)) }
}
