//! This module makes children that share our memory: threads, whoever asks for them, and processes that live
//! from vfork to exec. Such a child is guarded from its first instruction. Dispatch is not inherited, so the gadget that
//! makes the call (`guard/gadget.rs`) gives the child our alternate stack and asks for dispatch before it
//! goes back to the program; parent and child do so through a `syscall` that traps,
//! with the [`Birth`] in r9, which no call of the family uses.
//!
//! - A new thread gets a record before it is born. Its end is seen by the destructor if libc made it
//!   for pthread_create; else by whoever needs a record next (`threads::enter`).
//! - A child of vfork or posix_spawn goes on in its parent's record while the parent sleeps: the same
//!   slots, the same alternate stack. What it changed there is put back when the parent wakes.

use super::threads;
use crate::guard::birth::Birth;
use crate::guard::{self, gadget, trapping};
use crate::shared::errno::set_errno;
use crate::shared::guarded::ARMED;
use crate::shared::thread::{self, Thread};
use crate::shared::ucontext::Ucontext;
use crate::signals::{self, masks};
use core::ptr::null;
use core::sync::atomic::Ordering;

/// What kind of child is to be born.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Child {
    /// A thread, or a process that goes on beside its parent.
    Beside,
    /// A process for which its parent sleeps.
    Borrower,
}

/// A birth by the thread's own call from `go_on`, with these arguments; `None` if there is no memory for
/// it. `own_storage`: the child has thread-local storage of its own.
pub fn prepare(
    thread: &'static Thread,
    child: Child,
    own_storage: bool,
    go_on: usize,
    args: [usize; 6],
) -> Option<&'static Birth> {
    let birth = match child {
        Child::Beside => {
            threads::bury_dead();
            let record = thread::reserve()?;
            if !guard::prepare_thread(record) {
                thread::give_back(record);
                return None;
            }
            record.signals().inherit(thread.signals());
            record.awaited.store(true, Ordering::Relaxed);
            // Its calls are trapped from the first to the last: it may end without a word to us.
            record.selector.store(1, Ordering::Relaxed);
            let birth = record.guard().births.list.first()?;
            birth.record.set(record);
            birth.selector.set(record.selector.as_ptr());
            birth.alternate.set(signals::kernel_stack(record));
            birth
        }
        Child::Borrower => {
            let births = &thread.guard().births;
            if !thread::is_borrowed(thread) {
                // Whoever slept here has woken, or a handler has jumped out of it.
                births.depth.set(0);
            }
            let birth = births.list.get(births.depth.get())?;
            births.depth.set(births.depth.get() + 1);
            birth.record.set(null());
            birth.selector.set(thread.selector.as_ptr());
            birth.alternate.set(signals::kernel_stack(thread));
            birth
        }
    };
    birth.parent.set(thread);
    birth.own_storage.set(own_storage);
    birth.by_wrapper.set(false);
    birth.signals.set(thread.signals().saved());
    birth.slots.set(thread.guard().slots().map_or(0, |slots| slots.in_use()));
    birth.go_on.set(go_on);
    birth.args.set(args);
    Some(birth)
}

/// Has the program make its call at the gadget.
pub fn leave_for(birth: &'static Birth, context: &mut Ucontext) {
    let [a, b, c, d, e, _] = context.args();
    context.set_args([a, b, c, d, e, core::ptr::from_ref(birth) as usize]);
    context.set_rip(gadget::resume_birth());
}

/// How vfork(2) goes on in its wrapper.
#[repr(C)]
pub struct Vfork {
    /// The birth, if the child has to be guarded.
    birth: *const Birth,
    /// Else the C library's own function, which does it all; 0 if the child has to be a fork.
    native: usize,
}

/// Prepares vfork(2) by its wrapper; the address to return to is `go_on`, and the C library's own function is `native`.
pub fn before_vfork(go_on: usize, native: usize) -> Vfork {
    // SeqCst: whoever arms the guard waits for parents that sleep for such a child.
    if !ARMED.load(Ordering::SeqCst) {
        return Vfork { birth: null(), native };
    }
    let thread = thread::current().filter(|thread| thread.guard().dispatched.load(Ordering::Relaxed));
    let birth = thread.and_then(|thread| {
        let birth = prepare(thread, Child::Borrower, false, go_on, [0; 6])?;
        birth.by_wrapper.set(true);
        trapping::trap_from_now(thread);
        Some(birth)
    });
    Vfork { birth: birth.map_or(null(), core::ptr::from_ref), native: 0 }
}

/// A trap of a birth: the parent's call has returned, or the child begins.
pub fn born(context: &mut Ucontext) {
    let [_, _, _, result, _, birth] = context.args();
    // SAFETY: the gadget's word, from `prepare`: in a record, which lives for ever.
    let birth = unsafe { &*(birth as *const Birth) };
    // SAFETY: as above; null for none.
    let (record, parent) = unsafe { (birth.record.get().as_ref(), birth.parent.get().as_ref()) };
    let mut result = result as isize;
    let (go_on, args, by_wrapper) = (birth.go_on.get(), birth.args.get(), birth.by_wrapper.get());
    match (record, parent) {
        (Some(record), _) if result == 0 => begin(record, birth.own_storage.get()),
        (Some(record), _) if result < 0 => thread::give_back(record),
        // Release: the birth is read no more; pairs with `thread::reserve`.
        (Some(record), _) => record.awaited.store(false, Ordering::Release),
        (None, Some(parent)) if result == 0 => {
            if birth.own_storage.get() {
                thread::keep_current(parent);
            }
        }
        (None, Some(parent)) => wake(parent, birth),
        (None, None) => {}
    }
    if by_wrapper && result < 0 {
        set_errno(-result as i32);
        result = -1;
    }
    context.set_args(args);
    context.set_rip(go_on);
    context.set_rax(result as usize);
}

/// A new thread's first steps.
fn begin(record: &'static Thread, own_storage: bool) {
    threads::bury_dead();
    thread::begin(record, own_storage);
    record.guard().dispatched.store(true, Ordering::SeqCst);
    // Release: pairs with `trap::arming`, which need not summon it.
    record.guard().guarded.store(true, Ordering::Release);
    threads::note_unannounced(record);
    threads::count();
}

/// The parent wakes: the borrower executes another program, or has ended.
fn wake(parent: &'static Thread, birth: &Birth) {
    if let Some(slots) = parent.guard().slots() {
        slots.end_all_but(birth.slots.get());
    }
    let births = &parent.guard().births;
    let index = births.list.iter().position(|known| core::ptr::eq(known, birth));
    births.depth.set(index.unwrap_or(0));
    masks::put_back(parent.signals(), &birth.signals.get());
}
