//! The program's alternate stack, by the kernel's rules. The kernel itself only knows ours.
//!
//! Which sizes the kernel takes depends on the processor, on what the process may use of it (AMX) and on how the
//! kernel was started. So the kernel judges the program's size itself ([`judge`]); all else here is pure but for [`change`],
//! which applies it to the running thread.

use super::kernel_stack;
use crate::shared::kernel;
use crate::shared::thread::{self, Thread};
use core::ffi::c_int;
use vmcore::sys::thread::SignalSet;
use vmcore::sys::{self, Errno, Result};

const AUTODISARM: c_int = i32::MIN;

/// An alternate stack as the program set it. Size zero: none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Alternate {
    base: usize,
    size: usize,
    flags: c_int,
}

impl Alternate {
    /// None, as it is reported after the kernel took it away.
    const NONE: Alternate = Alternate { base: 0, size: 0, flags: libc::SS_DISABLE };

    /// From the kernel's answer.
    pub fn from_kernel(stack: &libc::stack_t) -> Alternate {
        if stack.ss_flags & libc::SS_DISABLE != 0 {
            return Alternate::default();
        }
        Alternate { base: stack.ss_sp as usize, size: stack.ss_size, flags: stack.ss_flags & AUTODISARM }
    }

    /// As the kernel takes it.
    pub fn for_kernel(&self) -> libc::stack_t {
        let none = if self.size == 0 { libc::SS_DISABLE } else { 0 };
        libc::stack_t { ss_flags: self.flags & AUTODISARM | none, ..self.in_frame() }
    }

    /// As it stands in a signal frame.
    pub fn in_frame(&self) -> libc::stack_t {
        libc::stack_t { ss_sp: self.base as *mut _, ss_flags: self.flags, ss_size: self.size }
    }

    /// Its upper end, if a handler that wants it is to start there: it exists and is not in use.
    pub fn entry(&self, sp: usize) -> Option<usize> {
        (self.size != 0 && !self.in_use(sp)).then(|| self.base.wrapping_add(self.size))
    }

    /// Whether `sp` lies in it.
    pub fn contains(&self, sp: usize) -> bool {
        sp > self.base && sp - self.base <= self.size
    }

    /// Whether the program may not change it now.
    pub fn in_use(&self, sp: usize) -> bool {
        self.flags & AUTODISARM == 0 && self.contains(sp)
    }

    /// What is left of it while a handler runs.
    pub fn disarmed(self) -> Alternate {
        if self.flags & AUTODISARM != 0 {
            Alternate::NONE
        } else {
            self
        }
    }

    /// What sigaltstack reports.
    pub fn report(&self, sp: usize) -> libc::stack_t {
        let state = match (self.size, self.in_use(sp)) {
            (0, _) => libc::SS_DISABLE,
            (_, true) => libc::SS_ONSTACK,
            (_, false) => 0,
        };
        libc::stack_t { ss_flags: state | self.flags & AUTODISARM, ..self.in_frame() }
    }

    /// What sigaltstack makes of it, where `judge` says whether the kernel takes the new one's flags and size. As in the
    /// kernel, what is already so is not judged again: it may have been set before the process was allowed to use AMX.
    pub fn changed(&self, new: &libc::stack_t, sp: usize, judge: impl FnOnce(&libc::stack_t) -> Result<()>) -> Result<Alternate> {
        if self.in_use(sp) {
            return Err(Errno(libc::EPERM));
        }
        let wanted = Alternate { base: new.ss_sp as usize, size: new.ss_size, flags: new.ss_flags };
        if *self == wanted {
            return Ok(wanted);
        }
        judge(new)?;
        if new.ss_flags & !AUTODISARM == libc::SS_DISABLE {
            Ok(Alternate { base: 0, size: 0, ..wanted })
        } else {
            Ok(wanted)
        }
    }
}

/// sigaltstack(2) of the running thread, whose stack pointer is `sp`.
///
/// # Safety
/// The stack must stay there until it is replaced.
pub unsafe fn change(new: Option<&libc::stack_t>, sp: usize) -> Result<libc::stack_t> {
    let Some(thread) = thread::running().filter(|thread| thread.signals().taken.get()) else {
        // SAFETY: the stack stays there until it is replaced, as the caller promises.
        return unsafe { kernel::set_alternate(new) };
    };
    let now = thread.signals().alternate.get();
    if let Some(new) = new {
        thread.signals().alternate.set(now.changed(new, sp, |new| judge(thread, new))?);
    }
    Ok(now.report(sp))
}

/// The kernel gets our alternate stack for the running thread, whose record is `thread`, and which is not on it. With every
/// signal blocked, or in a thread whose stack no page of which is absent.
///
/// The kernel changes no stack that the thread stands on, and it may stand on the program's: for the length of the call
/// its stack pointer is that of the departure, which is in nobody's use yet.
pub fn hand_over(thread: &Thread) {
    let ours = kernel_stack(thread);
    // SAFETY: between the two changes of the stack pointer nothing is touched but registers; the kernel reads `ours`,
    // which lies on the stack that the pointer leaves for that moment and where every signal is kept out, or finds room.
    unsafe {
        core::arch::asm!(
            "mov r12, rsp",
            "mov rsp, r13",
            "syscall",
            "mov rsp, r12",
            out("r12") _,
            in("r13") ours.ss_sp,
            inout("rax") libc::SYS_sigaltstack => _,
            in("rdi") &raw const ours,
            in("rsi") 0,
            out("rcx") _,
            out("r11") _,
        );
    }
}

/// What the kernel says of an alternate stack with those flags and that size. The running thread, whose record is
/// `thread`, keeps the one that it has.
///
/// While the kernel knows the other stack, no signal may come, so a page fault would kill: the program's own stack, which
/// may lie in paged memory, is not touched. The trial runs on the departure of the record's stack, which is in nobody's use:
/// who departs has every signal blocked, and does not come here. It ends below the kernel's part, so the kernel does not
/// find the thread on its alternate stack, before the trial or during it.
pub fn judge(thread: &Thread, new: &libc::stack_t) -> Result<()> {
    static ALL: SignalSet = SignalSet::ALL;
    const MASK: i64 = libc::SYS_rt_sigprocmask;
    let verdict: isize;
    // SAFETY: between the two calls that change the mask nothing but registers, the departure and our own text and statics
    // is touched, by a function that returns; stack pointer and mask are afterwards what they were before.
    unsafe {
        core::arch::asm!(
            // Every signal is blocked; the mask before goes to the upper end of the departure.
            "lea rdx, [r13 - 16]",
            "syscall",
            "mov r12, rsp",
            "lea rsp, [r13 - 16]",
            "mov rdi, r13",
            "mov rsi, r14",
            "mov rdx, r15",
            "call {trial}",
            "mov rsp, r12",
            "mov r12, rax",
            "lea rsi, [r13 - 16]",
            "mov eax, {call}",
            "mov edi, {how}",
            "xor edx, edx",
            "mov r10d, 8",
            "syscall",
            trial = sym trial,
            call = const MASK,
            how = const libc::SIG_SETMASK,
            out("r12") verdict,
            in("r13") kernel_stack(thread).ss_sp,
            in("r14") new.ss_size,
            in("r15") new.ss_flags as usize,
            inout("rax") MASK => _,
            in("rdi") libc::SIG_SETMASK,
            in("rsi") &raw const ALL,
            in("r10") 8,
            clobber_abi("C"),
        );
    }
    sys::check(verdict).map(|_| ())
}

/// The kernel's verdict on an alternate stack at `base`, where the caller's stack ends.
extern "C" fn trial(base: *mut core::ffi::c_void, size: usize, flags: usize) -> isize {
    let mut before = libc::stack_t { ss_sp: base, ss_flags: 0, ss_size: 0 };
    let tried = libc::stack_t { ss_sp: base, ss_flags: flags as c_int, ss_size: size };
    let alternate = |new: *const libc::stack_t, old: *mut libc::stack_t| {
        // SAFETY: both are null or locals; no frame can come on the tried stack, since every signal is blocked.
        unsafe { sys::call(libc::SYS_sigaltstack, [new as usize, old as usize, 0, 0, 0, 0]) }
    };
    let asked = alternate(core::ptr::null(), &raw mut before);
    if asked < 0 {
        return asked;
    }
    let verdict = alternate(&raw const tried, core::ptr::null_mut());
    alternate(&raw const before, core::ptr::null_mut());
    verdict
}
