//! The program's alternate stack, by the kernel's rules. The kernel itself only knows ours.
//! The rules are pure; [`change`] applies them to the running thread.

use crate::shared::{kernel, thread};
use core::ffi::c_int;
use vmcore::sys::{Errno, Result};

const AUTODISARM: c_int = i32::MIN;
const SMALLEST: usize = libc::MINSIGSTKSZ;

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

    /// What sigaltstack makes of it.
    pub fn changed(&self, new: &libc::stack_t, sp: usize) -> Result<Alternate> {
        if self.in_use(sp) {
            return Err(Errno(libc::EPERM));
        }
        match new.ss_flags & !AUTODISARM {
            libc::SS_DISABLE => Ok(Alternate { base: 0, size: 0, flags: new.ss_flags }),
            0 | libc::SS_ONSTACK if new.ss_size < SMALLEST => Err(Errno(libc::ENOMEM)),
            0 | libc::SS_ONSTACK => Ok(Alternate { base: new.ss_sp as usize, size: new.ss_size, flags: new.ss_flags }),
            _ => Err(Errno(libc::EINVAL)),
        }
    }
}

/// sigaltstack(2) of the running thread, whose stack pointer is `sp`.
///
/// # Safety
/// The stack must stay there until it is replaced.
pub unsafe fn change(new: Option<&libc::stack_t>, sp: usize) -> Result<libc::stack_t> {
    let Some(thread) = thread::current() else {
        // SAFETY: the stack stays there until it is replaced, as the caller promises.
        return unsafe { kernel::set_alternate(new) };
    };
    let now = thread.signals().alternate.get();
    if let Some(new) = new {
        thread.signals().alternate.set(now.changed(new, sp)?);
    }
    Ok(now.report(sp))
}
