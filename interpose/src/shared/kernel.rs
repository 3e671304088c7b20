//! Signals as the kernel takes them, without libc in between.

use super::engine;
use core::ffi::{c_int, c_void};
use vmcore::sys::thread::{self, SignalSet};
use vmcore::sys::{self, Errno, Result};

/// The signals that this library needs at any moment: SIGSEGV and SIGSYS.
pub const OURS: u64 = 1 << (libc::SIGSEGV - 1) | 1 << (libc::SIGSYS - 1);

/// The signal by which whoever arms the guard reaches each thread, whatever the program has blocked: libc keeps it for
/// pthread_cancel, and takes it out of every set that it is given.
pub const SUMMONS: c_int = 32;

/// What the kernel may block of what the program blocks.
pub const fn for_kernel(set: SignalSet) -> SignalSet {
    SignalSet(set.0 & !OURS)
}

/// `struct sigaction` of the kernel.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

impl Action {
    /// The action of a signal that nobody has set.
    pub const DEFAULT: Action = Action { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: SignalSet::EMPTY };

    /// Whether it calls a function.
    pub const fn calls(&self) -> bool {
        self.handler != libc::SIG_DFL && self.handler != libc::SIG_IGN
    }

    /// Whether it has all of the `SA_…` in `flags`.
    pub const fn has(&self, flags: u64) -> bool {
        self.flags & flags == flags
    }
}

/// A handler with all three arguments.
pub type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// The kernel's own `SA_…`, as the unsigned word that it keeps.
pub const NOCLDSTOP: u64 = 1;
/// No zombies.
pub const NOCLDWAIT: u64 = 2;
/// The handler takes three arguments.
pub const SIGINFO: u64 = 4;
/// The action names what its handler returns to.
pub const RESTORER: u64 = 0x0400_0000;
/// On the alternate stack.
pub const ONSTACK: u64 = 0x0800_0000;
/// Interrupted calls go on.
pub const RESTART: u64 = 0x1000_0000;
/// The signal is not blocked while its handler runs.
pub const NODEFER: u64 = 0x4000_0000;
/// The default action from the first delivery on.
pub const RESETHAND: u64 = 0x8000_0000;
const EXPOSE_TAGBITS: u64 = 0x800;
/// All that the kernel keeps.
pub const KNOWN: u64 = NOCLDSTOP | NOCLDWAIT | SIGINFO | EXPOSE_TAGBITS | RESTORER | ONSTACK | RESTART | NODEFER | RESETHAND;

/// Issues a call with an argument at `local` on our own stack, `len` bytes long. The stack may lie in
/// paged memory, where the kernel finds no page: then the page is touched and the call repeated. So
/// a call that changes something must not also write there.
fn call(number: i64, args: [usize; 6], local: usize, len: usize) -> Result<usize> {
    loop {
        // SAFETY: the callers pass what lives through the call.
        match sys::check(unsafe { sys::call(number, args) }) {
            Err(Errno(libc::EFAULT)) if is_paged(local) => {
                for byte in [local, local + len - 1] {
                    let byte = byte as *mut u8;
                    // SAFETY: a byte of a live local, which keeps its value.
                    unsafe { byte.write_volatile(byte.read_volatile()) };
                }
            }
            result => return result,
        }
    }
}

fn is_paged(address: usize) -> bool {
    engine::get().is_some_and(|engine| engine.is_ours(address))
}

/// The action of `signal`.
pub fn action(signal: c_int) -> Result<Action> {
    let mut now = Action::DEFAULT;
    let at = &raw mut now as usize;
    call(libc::SYS_rt_sigaction, [signal as usize, 0, at, 8, 0, 0], at, size_of::<Action>())?;
    Ok(now)
}

/// Sets the action of `signal` if one is given, and returns the one before.
///
/// # Safety
/// The handler must be fit to run at any moment.
pub unsafe fn set_action(signal: c_int, action: Option<&Action>) -> Result<Action> {
    let Some(new) = action.copied() else {
        return self::action(signal);
    };
    let mut old = Action::DEFAULT;
    let mut answer = &raw mut old as usize;
    if is_paged(answer) {
        old = self::action(signal)?;
        answer = 0;
    }
    let at = &raw const new as usize;
    call(libc::SYS_rt_sigaction, [signal as usize, at, answer, 8, 0, 0], at, size_of::<Action>())?;
    Ok(old)
}

/// Changes the thread's mask, or only looks at it; returns the one before.
pub fn change_mask(how: c_int, set: Option<SignalSet>) -> Result<SignalSet> {
    let mut old = SignalSet::EMPTY;
    let mut answer = &raw mut old as usize;
    let paged = is_paged(answer);
    if set.is_none() || paged {
        call(libc::SYS_rt_sigprocmask, [how as usize, 0, answer, 8, 0, 0], answer, 8)?;
        answer = 0;
    }
    if let Some(set) = set {
        let at = &raw const set as usize;
        call(libc::SYS_rt_sigprocmask, [how as usize, at, answer, 8, 0, 0], at, 8)?;
    }
    Ok(old)
}

/// The signals that wait for this thread.
pub fn pending() -> Result<SignalSet> {
    let mut set = SignalSet::EMPTY;
    let at = &raw mut set as usize;
    call(libc::SYS_rt_sigpending, [at, 8, 0, 0, 0, 0], at, 8)?;
    Ok(set)
}

/// Whether `address` can be written. The kernel writes there as it writes a signal's frame: the
/// process's own stack grows, and eight bytes of no worth lie there afterwards.
pub fn can_write(address: usize) -> bool {
    // SAFETY: the kernel checks the address; the caller is about to overwrite what lies there.
    unsafe { sys::call(libc::SYS_rt_sigprocmask, [libc::SIG_BLOCK as usize, 0, address, 8, 0, 0]) == 0 }
}

/// Sets the thread's alternate stack, and returns the one before.
///
/// # Safety
/// The stack must stay there until it is replaced.
pub unsafe fn set_alternate(stack: Option<&libc::stack_t>) -> Result<libc::stack_t> {
    let mut old = libc::stack_t { ss_sp: core::ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    let at = &raw mut old as usize;
    call(libc::SYS_sigaltstack, [0, at, 0, 0, 0, 0], at, size_of::<libc::stack_t>())?;
    if let Some(stack) = stack.copied() {
        let at = &raw const stack as usize;
        call(libc::SYS_sigaltstack, [at, 0, 0, 0, 0, 0], at, size_of::<libc::stack_t>())?;
    }
    Ok(old)
}

/// What comes with a signal, as plain words: number and errno, code, then what belongs to the code.
pub type Info = [u64; 16];

/// The signal that the words of an [`Info`] name.
pub const fn number(info: &Info) -> c_int {
    info[0] as c_int
}

/// Why it came.
pub const fn code(info: &Info) -> c_int {
    info[1] as c_int
}

/// An [`Info`] of that signal, code and address.
pub const fn info(signal: c_int, code: c_int, address: usize) -> Info {
    let mut words = [0; 16];
    words[0] = signal as u32 as u64;
    words[1] = code as u32 as u64;
    words[2] = address as u64;
    words
}

/// Sends a signal to this very thread, exactly as it came the first time.
pub fn send_again(info: &Info) {
    let info = *info;
    let at = info.as_ptr() as usize;
    let args = [thread::process_id() as usize, thread::id() as usize, number(&info) as usize, at, 0, 0];
    let _ = call(libc::SYS_rt_tgsigqueueinfo, args, at, size_of::<Info>());
}
