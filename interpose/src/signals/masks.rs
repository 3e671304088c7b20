//! Signal masks: what the program blocks, and what the kernel is told.
//!
//! The program's mask is the kernel's together with the bits of [`OURS`] in its thread's state. A
//! signal of ours that is *sent* to a thread that blocks it is kept until it is unblocked.

use super::SignalState;
use crate::shared::kernel::{self, for_kernel, Info, OURS};
use crate::shared::thread;
use crate::shared::ucontext::Ucontext;
use core::cell::Cell;
use core::ffi::c_int;
use vmcore::sys::thread::SignalSet;
use vmcore::sys::{Errno, Result};

/// The mask for the length of a call like sigsuspend, as the program gave it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Temporary {
    /// 1 while there is one.
    set: u64,
    mask: u64,
}

impl Temporary {
    /// That mask.
    pub const fn new(mask: SignalSet) -> Temporary {
        Temporary { set: 1, mask: mask.0 }
    }

    /// The mask, if there is one.
    pub const fn get(self) -> Option<SignalSet> {
        if self.set == 1 {
            Some(SignalSet(self.mask))
        } else {
            None
        }
    }
}

/// The bits of ours that the program blocks after it asked for `set`.
pub const fn ours_after(how: c_int, before: u64, set: SignalSet) -> u64 {
    let set = set.0 & OURS;
    match how {
        libc::SIG_BLOCK => before | set,
        libc::SIG_UNBLOCK => before & !set,
        _ => set,
    }
}

/// rt_sigprocmask(2) of the running thread.
pub fn change(how: c_int, set: Option<SignalSet>) -> Result<SignalSet> {
    if !super::ready() {
        let old = kernel::change_mask(how, set);
        if set.is_none() || !super::ready() {
            return old;
        }
        // Whoever took our signals meanwhile has not seen this change: it is made once more.
        let _ = kernel::change_mask(libc::SIG_UNBLOCK, Some(SignalSet(OURS)));
        return change(how, set).and(old);
    }
    if set.is_some() && !matches!(how, libc::SIG_BLOCK | libc::SIG_UNBLOCK | libc::SIG_SETMASK) {
        return Err(Errno(libc::EINVAL));
    }
    let given = set.map(|set| if how == libc::SIG_UNBLOCK { set } else { for_kernel(set) });
    let Some(thread) = thread::current() else {
        return kernel::change_mask(how, given);
    };
    let state = thread.signals();
    let before = state.blocked.get();
    // First, since a signal that is let in must find it done.
    if let Some(set) = set {
        state.blocked.set(ours_after(how, before, set));
    }
    let old = kernel::change_mask(how, given)?;
    send_kept(state, before);
    Ok(SignalSet(old.0 | before))
}

/// The program blocks exactly these of ours from now on.
pub fn set_ours(state: &SignalState, ours: u64) {
    let before = state.blocked.replace(ours & OURS);
    send_kept(state, before);
}

/// What is no longer blocked comes now.
fn send_kept(state: &SignalState, before: u64) {
    let now = state.blocked.get();
    if before & !now != 0 {
        for pending in &state.pending {
            let info = pending.get();
            if kernel::number(&info) != 0 && !SignalSet(now).has(kernel::number(&info)) {
                pending.set([0; 16]);
                kernel::send_again(&info);
            }
        }
    }
}

fn place(state: &SignalState, signal: c_int) -> Option<&Cell<Info>> {
    state.pending.get(usize::from(signal == libc::SIGSYS))
}

/// Keeps a signal that came while the program blocks it; one of each, as the kernel does.
pub fn keep(state: &SignalState, info: &Info) {
    if let Some(pending) = place(state, kernel::number(info)).filter(|pending| kernel::number(&pending.get()) == 0) {
        pending.set(*info);
    }
}

/// The signals that are kept.
pub fn kept(state: &SignalState) -> SignalSet {
    let numbers = state.pending.iter().map(|pending| kernel::number(&pending.get()));
    numbers.filter(|number| *number != 0).fold(SignalSet::EMPTY, SignalSet::with)
}

/// Takes a kept signal that is in `set`.
pub fn take_kept(state: &SignalState, set: SignalSet) -> Option<Info> {
    let wanted = |pending: &&Cell<Info>| {
        let number = kernel::number(&pending.get());
        number != 0 && set.has(number)
    };
    state.pending.iter().find(wanted).map(|pending| pending.replace([0; 16]))
}

/// A call begins that waits under `mask`: a kept SIGSEGV that this lets in must end it. The kernel gets
/// the signal, and blocks it until the call lets it in; true if so, and then SIGSEGV is still to be
/// unblocked after the call. Nothing absent may be touched meanwhile.
pub fn hand_to_kernel(state: &SignalState, mask: SignalSet) -> bool {
    let segv = SignalSet::EMPTY.with(libc::SIGSEGV);
    let kept = if mask.has(libc::SIGSEGV) { None } else { take_kept(state, segv) };
    if let Some(info) = &kept {
        let _ = kernel::change_mask(libc::SIG_BLOCK, Some(segv));
        kernel::send_again(info);
    }
    kept.is_some()
}

/// Forgets a kept signal: the program ignores it now.
pub fn forget(state: &SignalState, signal: c_int) {
    if let Some(pending) = place(state, signal) {
        pending.set([0; 16]);
    }
}

/// What the program blocked when the signal with this context came.
pub fn interrupted(state: &SignalState, context: &Ucontext) -> SignalSet {
    match state.temporary.get().get() {
        // The context holds the mask that will be in force after the call; the signal came under
        // the mask that was in force during the call.
        Some(mask) if context.interrupted_call() => mask,
        _ => SignalSet(context.mask.0 | state.blocked.get()),
    }
}

/// The state of signals is again as it was before the thread slept in vfork: what the child changed is undone.
pub fn put_back(state: &SignalState, saved: &super::Saved) {
    state.temporary.set(saved.temporary);
    state.alternate.set(saved.alternate);
    set_ours(state, saved.blocked);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGV: u64 = 1 << (libc::SIGSEGV - 1);
    const SYS: u64 = 1 << (libc::SIGSYS - 1);
    const TERM: u64 = 1 << (libc::SIGTERM - 1);

    #[test]
    fn the_kernel_never_blocks_ours() {
        assert_eq!(for_kernel(SignalSet::ALL).0 & OURS, 0);
        assert_eq!(for_kernel(SignalSet(SEGV | TERM)), SignalSet(TERM));
    }

    #[test]
    fn ours_follow_the_rules_of_sigprocmask() {
        let set = SignalSet(SEGV | TERM);
        assert_eq!(ours_after(libc::SIG_BLOCK, SYS, set), SEGV | SYS);
        assert_eq!(ours_after(libc::SIG_UNBLOCK, SEGV | SYS, set), SYS);
        assert_eq!(ours_after(libc::SIG_SETMASK, SYS, set), SEGV);
    }

    #[test]
    fn one_signal_of_each_is_kept_until_it_is_taken() {
        let state = SignalState::default();
        let first = kernel::info(libc::SIGSEGV, libc::SI_QUEUE, 1);
        keep(&state, &first);
        keep(&state, &kernel::info(libc::SIGSEGV, libc::SI_QUEUE, 2));
        keep(&state, &kernel::info(libc::SIGSYS, libc::SI_QUEUE, 3));
        assert_eq!(kept(&state), SignalSet(SEGV | SYS));
        assert_eq!(take_kept(&state, SignalSet(TERM)), None);
        assert_eq!(take_kept(&state, SignalSet(SEGV)), Some(first));
        forget(&state, libc::SIGSYS);
        assert_eq!(kept(&state), SignalSet::EMPTY);
    }

    #[test]
    fn a_temporary_mask_counts_for_the_call_that_has_it() {
        assert_eq!(Temporary::default().get(), None);
        assert_eq!(Temporary::new(SignalSet(TERM)).get(), Some(SignalSet(TERM)));
    }
}
