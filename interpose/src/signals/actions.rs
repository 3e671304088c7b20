//! What the program wants done with each signal.
//!
//! The kernel is the truth. It has the program's SIG_DFL (or, if there is something to be written before
//! a death, `farewell` in its place) and SIG_IGN themselves; in place of a handler it has our entry
//! (`deliver`), and the record here says which handler that stands for. So
//! nothing breaks when libc sets and restores actions behind our back, as system(3) does. Only for
//! the signals that are ours the record is the truth, since the kernel has our own handlers.
//!
//! Our entry runs with every signal blocked but ours, so it may touch the program's memory.

use super::{claims, farewell, masks, trampolines};
use crate::shared::kernel::{self, for_kernel, Action, OURS};
use crate::shared::thread;
use core::ffi::c_int;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use vmcore::sync::{Guard, Lock};
use vmcore::sys::thread::{Quiet, SignalSet};
use vmcore::sys::{Errno, Result};

const SIGNALS: usize = 64;
const UNBLOCKABLE: u64 = 1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1);

static RECORDS: [Lock<Action>; SIGNALS] = [const { Lock::new(Action::DEFAULT) }; SIGNALS];
fn record(signal: c_int) -> Result<&'static Lock<Action>> {
    let index = usize::try_from(signal.wrapping_sub(1)).map_err(|_| Errno(libc::EINVAL))?;
    RECORDS.get(index).ok_or(Errno(libc::EINVAL))
}

/// A record in use, with every signal blocked but ours: the program's stack may lie in paged memory,
/// and no fault handler uses a record while code of ours touches its stack.
struct Held {
    record: ManuallyDrop<Guard<'static, Action>>,
    mask: Result<SignalSet>,
}

fn hold(record: &'static Lock<Action>) -> Held {
    static BLOCKED: Quiet = Quiet::already();
    let mask = kernel::change_mask(libc::SIG_BLOCK, Some(for_kernel(SignalSet::ALL)));
    Held { record: ManuallyDrop::new(record.hold_in(&BLOCKED)), mask }
}

impl Deref for Held {
    type Target = Action;
    fn deref(&self) -> &Action {
        &self.record
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Action {
        &mut self.record
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: dropped here only.
        unsafe { ManuallyDrop::drop(&mut self.record) };
        if let Ok(mask) = self.mask {
            let _ = kernel::change_mask(libc::SIG_SETMASK, Some(mask));
        }
    }
}

/// Whether the kernel has the handler of our own for the signal that was claimed with it.
pub fn is_claimed(signal: c_int) -> bool {
    claims::handler(signal).is_some_and(|own| kernel::action(signal).is_ok_and(|now| now.handler == own))
}

/// The signal is ours from now on; the program's action was `old`.
pub fn remember(signal: c_int, old: &Action) {
    if let Ok(record) = record(signal) {
        *hold(record) = without_farewell(old);
    }
}

/// Puts our entry in place of the handlers that are set already.
pub fn adopt() {
    for signal in (1..=SIGNALS as c_int).filter(|signal| !is_claimed(*signal)) {
        if let (Ok(now), Ok(record)) = (kernel::action(signal), record(signal)) {
            if now.calls() && ![trampolines::entry(), farewell::entry()].contains(&now.handler) {
                *hold(record) = now;
                // SAFETY: our entry does what the program's handler did.
                let _ = unsafe { kernel::set_action(signal, Some(&in_kernel(&now))) };
            }
        }
    }
}

/// The kernel gets the program's action for a signal that was claimed for a while.
pub fn restore(signal: c_int) {
    let Ok(record) = record(signal) else {
        return;
    };
    let meant = *hold(record);
    let action = if meant.handler == libc::SIG_DFL { farewell::in_place_of(signal, &meant) } else { meant };
    // SAFETY: what the program had set itself, or set while the signal was claimed.
    let _ = unsafe { kernel::set_action(signal, Some(&action)) };
}

/// In a child process: nobody holds a record.
pub fn survive_fork() {
    for record in &RECORDS {
        // SAFETY: the child's only thread, which holds none.
        unsafe { record.reset() };
    }
}

/// The action as the program set it, with what the kernel drops dropped.
const fn kept(action: &Action) -> Action {
    Action { flags: action.flags & kernel::KNOWN, mask: SignalSet(action.mask.0 & !UNBLOCKABLE), ..*action }
}

/// What the kernel gets in its place.
fn in_kernel(action: &Action) -> Action {
    let passed = kernel::RESTART | kernel::NOCLDSTOP | kernel::NOCLDWAIT | kernel::RESETHAND;
    Action {
        handler: trampolines::entry(),
        flags: action.flags & passed | kernel::SIGINFO | kernel::ONSTACK | kernel::RESTORER,
        restorer: trampolines::restorer(),
        mask: for_kernel(SignalSet::ALL),
    }
}

/// What the program sees when the kernel has `now` and the record says `meant`.
fn seen(now: &Action, meant: &Action) -> Action {
    let reset = now.handler == libc::SIG_DFL
        && now.has(kernel::RESETHAND | kernel::ONSTACK | kernel::SIGINFO)
        && now.mask.0 == !UNBLOCKABLE & !OURS;
    match now.handler {
        handler if handler == trampolines::entry() => *meant,
        handler if handler == farewell::entry() => Action { handler: libc::SIG_DFL, ..*meant },
        _ if reset => Action { handler: libc::SIG_DFL, ..*meant },
        _ => *now,
    }
}

/// rt_sigaction(2). A handler is taken on trust, as by the kernel.
pub fn change(signal: c_int, new: Option<&Action>) -> Result<Action> {
    let record = record(signal)?;
    if !super::ready() {
        return change_natively(signal, new);
    }
    let new = new.map(kept);
    if SignalSet(OURS).has(signal) {
        claims::insist();
    }
    if is_claimed(signal) {
        return Ok(change_claimed(signal, record, new.as_ref()));
    }
    let mut meant = hold(record);
    let now = match &new {
        None => kernel::action(signal)?,
        Some(new) if new.calls() && !thread::is_guest() => {
            // SAFETY: our entry calls the program's handler.
            let now = unsafe { kernel::set_action(signal, Some(&in_kernel(new)))? };
            let old = seen(&now, &meant);
            *meant = *new;
            return Ok(old);
        }
        Some(new) if new.handler == libc::SIG_DFL && !thread::is_guest() => {
            // SAFETY: no handler of the program's.
            let now = unsafe { kernel::set_action(signal, Some(&farewell::in_place_of(signal, new)))? };
            let old = seen(&now, &meant);
            *meant = *new;
            return Ok(old);
        }
        Some(new) => {
            let mask = if new.calls() { for_kernel(new.mask) } else { new.mask };
            // SAFETY: the program's own handler, or none.
            unsafe { kernel::set_action(signal, Some(&Action { mask, ..*new }))? }
        }
    };
    Ok(seen(&now, &meant))
}

/// Nothing is ours yet; only the death that a signal brings may be announced.
fn change_natively(signal: c_int, new: Option<&Action>) -> Result<Action> {
    let new = new.map(|new| if new.handler == libc::SIG_DFL { farewell::in_place_of(signal, new) } else { *new });
    // SAFETY: the program's own handler, none, or one that writes and dies.
    let old = unsafe { kernel::set_action(signal, new.as_ref())? };
    if new.is_some() && super::ready() {
        // Whoever took our signals meanwhile has not seen it.
        claims::insist();
        adopt();
    }
    Ok(without_farewell(&old))
}

/// What the program is told of an action that nobody has taken over.
fn without_farewell(now: &Action) -> Action {
    if now.handler == farewell::entry() {
        Action::DEFAULT
    } else {
        *now
    }
}

fn change_claimed(signal: c_int, record: &'static Lock<Action>, new: Option<&Action>) -> Action {
    let mut meant = hold(record);
    let old = *meant;
    let Some(new) = new.filter(|_| !thread::is_guest()) else {
        return old;
    };
    *meant = *new;
    if let Some(own) = kernel::action(signal).ok().filter(|_| signal == libc::SIGSEGV) {
        // Whether a sent signal interrupts calls is the program's choice; one that it ignores must not.
        let restart = if new.calls() { new.flags & kernel::RESTART } else { kernel::RESTART };
        let flags = own.flags & !kernel::RESTART | restart;
        // SAFETY: our own handler again.
        let _ = unsafe { kernel::set_action(signal, Some(&Action { flags, ..own })) };
    }
    if let Some(thread) = thread::current().filter(|_| new.handler == libc::SIG_IGN) {
        masks::forget(thread.signals(), signal);
    }
    old
}

/// The program's action for a signal. The caller has every signal blocked.
pub fn meant(signal: c_int) -> Action {
    let Ok(record) = record(signal) else {
        return Action::DEFAULT;
    };
    let meant = *record.hold_in(&Quiet::already());
    if is_claimed(signal) {
        return meant;
    }
    kernel::action(signal).map_or(Action::DEFAULT, |now| seen(&now, &meant))
}

/// The program's action for a signal that is delivered without the kernel: with SA_RESETHAND, it is
/// the default action from now on. The caller has every signal blocked.
pub fn take(signal: c_int) -> Action {
    let action = meant(signal);
    if action.has(kernel::RESETHAND) {
        match record(signal) {
            Ok(record) if is_claimed(signal) => record.hold_in(&Quiet::already()).handler = libc::SIG_DFL,
            _ => reset(signal),
        }
    }
    action
}

/// For the length of an exec the kernel has SIG_IGN where our handler stands; returns ours. No other
/// thread may run: a fault would kill.
pub fn lend_ignored(signal: c_int) -> Option<Action> {
    let own = kernel::action(signal).ok()?;
    // SAFETY: no handler.
    let done = unsafe { kernel::set_action(signal, Some(&Action { handler: libc::SIG_IGN, ..Action::DEFAULT })) };
    done.ok().map(|_| own)
}

/// Our handler again, after [`lend_ignored`].
pub fn take_back(signal: c_int, own: &Action) {
    // SAFETY: our own handler.
    let _ = unsafe { kernel::set_action(signal, Some(own)) };
}

/// The handler that our entry stands for. The caller has every signal blocked.
pub fn handler(signal: c_int) -> Action {
    record(signal).map_or(Action::DEFAULT, |record| *record.hold_in(&Quiet::already()))
}

/// The default action, whatever the program wanted: the process is about to die of it.
pub fn reset(signal: c_int) {
    // SAFETY: no handler.
    let _ = unsafe { kernel::set_action(signal, Some(&Action::DEFAULT)) };
}

const _: () = assert!(OURS & UNBLOCKABLE == 0);
