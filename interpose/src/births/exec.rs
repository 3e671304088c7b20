//! exec: what the program has blocked of our signals goes along, and statistics are written while there is
//! somebody to do it.

use crate::shared::thread::{self, Thread};
use crate::shared::ucontext::Ucontext;
use crate::shared::{engine, kernel};
use crate::signals::actions;
use crate::statistics;
use crate::syscalls::pins::claims::Claims;
use crate::syscalls::pins::slots::Slot;
use crate::syscalls::shapes::walk::walk;
use crate::syscalls::table::Call;
use vmcore::sys;
use vmcore::sys::thread::SignalSet;

/// What an execve or execveat returns that had to be made here; `None` if it is made as other calls are. What the
/// program has blocked of our signals is blocked in the new program too.
pub fn execute(thread: &'static Thread, context: &Ucontext, slot: &mut Slot, call: &'static Call) -> Option<isize> {
    statistics::before_exec(slot.number, &slot.args);
    let state = thread.signals();
    let ignores = actions::meant(libc::SIGSEGV).handler == libc::SIG_IGN && thread::is_alone();
    if state.blocked.get() == 0 && !ignores {
        return None;
    }
    // Not at the gadget: if the call fails, its thread must not be without our signals there.
    let engine = engine::get()?;
    let args = slot.args;
    let mut claims = Claims::new(engine, &mut slot.pins);
    call.shapes.iter().for_each(|(arg, shape)| walk(&mut claims, &args, *arg, *shape));
    let own = if ignores { actions::lend_ignored(libc::SIGSEGV) } else { None };
    let _ = kernel::change_mask(libc::SIG_SETMASK, Some(SignalSet(context.mask.0 | state.blocked.get())));
    // SAFETY: the program's own call, its memory pinned.
    let result = unsafe { sys::call(slot.number, slot.args) };
    let _ = kernel::change_mask(libc::SIG_SETMASK, Some(kernel::for_kernel(SignalSet::ALL)));
    if let Some(own) = own {
        actions::take_back(libc::SIGSEGV, &own);
    }
    Some(result)
}
