//! Switching the guard on, while other threads run.
//!
//! A thread's calls are trapped from the moment its selector says so; but it may be inside a call at
//! that moment, whose memory nobody has pinned. So each thread is watched in `/proc/self/task` until
//! it is seen waiting in a call, whose memory is then pinned on its behalf; or comes to a direct call,
//! and is in none; or has answered a signal from user mode. A trap while SIGSYS is blocked would kill, and
//! libc blocks every signal for short moments: the arming thread lets those pass first.

mod proc;
mod strangers;

use crate::guard::{direct, guard_self};
use crate::shared::guarded::{is_refused, ARMED};
use crate::shared::kernel::{self, OURS};
use crate::shared::thread::{self, Thread};
use crate::shared::ucontext::Ucontext;
use crate::shared::{engine, own_text};
use crate::signals::claims;
use crate::syscalls::pins::claims::Claims;
use crate::syscalls::pins::slots::Slot;
use crate::syscalls::shapes::walk::walk;
use crate::syscalls::shapes::{Len, Shape};
use crate::syscalls::{kept, table};
use core::ffi::c_long;
use core::sync::atomic::Ordering;
use proc::{blocked, whereabouts, Whereabouts};
use vmcore::engine::Engine;
use vmcore::report::say;
use vmcore::sys::thread::{self as threads, SignalSet};
use vmcore::sys::{self, memory};

/// Looks at the threads in quick succession.
const LOOKS: u32 = 50;
/// Looks with a pause of a millisecond before a thread that still runs is sent a signal.
const PAUSES: u32 = 15;
/// Looks with such a pause before we go on without the thread.
const PATIENCE: u32 = 1000;

/// Pages will be absent from now on: every system call of every thread is guarded.
pub fn arm() {
    let Some(engine) = engine::get() else {
        return;
    };
    if is_refused() {
        ARMED.store(true, Ordering::SeqCst);
        say(format_args!(
            "no Syscall User Dispatch here: system calls may fail on memory that is paged out, all but read, write and the like"
        ));
        return;
    }
    claims::insist();
    // SeqCst: pairs with `enter_thread`: a new thread sees the flag, or we see the thread.
    ARMED.store(true, Ordering::SeqCst);
    for signal in (1..=64).filter(|signal| OURS & 1 << (signal - 1) == 0) {
        clear_mask(signal);
    }
    let own = thread::running();
    for thread in thread::all() {
        kept::keep_control_block(engine, thread.guard().control_block.load(Ordering::Acquire));
    }
    guard_others(engine, own);
    strangers::invite();
    if let Some(own) = own.filter(|own| own.guard().dispatched.load(Ordering::Relaxed)) {
        guard_self(own);
    }
}

/// A handler that blocked our signals could not make a call.
fn clear_mask(signal: i32) {
    // SAFETY: the same action with fewer signals blocked.
    unsafe {
        if let Ok(mut action) = kernel::set_action(signal, None) {
            if action.handler > 1 && action.mask.0 & OURS != 0 {
                action.mask = SignalSet(action.mask.0 & !OURS);
                let _ = kernel::set_action(signal, Some(&action));
            }
        }
    }
}

/// SIGSYS that is no trap: if the arming thread asks whether we are in user mode, we are. False if
/// nobody asks.
pub fn answer(context: &mut Ucontext) -> bool {
    let asked = |thread: &&Thread| thread.guard().asked.swap(false, Ordering::AcqRel);
    let Some(thread) = thread::running().filter(asked) else {
        return strangers::enter(context);
    };
    direct::restart(context);
    if thread.guard().dispatched.load(Ordering::Relaxed) {
        guard_self(thread);
    }
    true
}

/// Looks at the other threads again and again, until each is guarded or has been waited for in vain.
fn guard_others(engine: &'static Engine, own: Option<&'static Thread>) {
    for look in 0..LOOKS + PATIENCE {
        let mut left = false;
        for thread in thread::all() {
            let is_own = own.is_some_and(|own| core::ptr::eq(own, thread));
            // Acquire: pairs with `guard_self`.
            if !is_own && thread.guard().dispatched.load(Ordering::SeqCst) && !thread.guard().guarded.load(Ordering::Acquire) {
                let done = guard(engine, thread, look);
                thread.guard().guarded.fetch_or(done, Ordering::AcqRel);
                left |= !done;
            }
        }
        if !left {
            return;
        } else if look < LOOKS {
            threads::yield_now();
        } else {
            threads::nap();
        }
    }
    // Everything blocked for so long: such a thread is in our own code, perhaps waiting for us, and lets
    // signals in before it goes back to the program.
    const EVERYTHING: u64 = !(1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1));
    for thread in thread::all().filter(|thread| thread.guard().dispatched.load(Ordering::SeqCst)) {
        if !thread.guard().guarded.load(Ordering::Acquire) && blocked(thread.tid.load(Ordering::Acquire)) == EVERYTHING {
            thread.selector.store(1, Ordering::SeqCst);
        }
    }
}

/// Looks at a thread once; whether it is guarded, or gone.
fn guard(engine: &'static Engine, thread: &'static Thread, look: u32) -> bool {
    let tid = thread.tid.load(Ordering::Acquire);
    match whereabouts(tid) {
        Whereabouts::Gone => return true,
        Whereabouts::Call(call) if may_trap(tid, &call) => {
            thread.selector.store(1, Ordering::SeqCst);
            if may_trap(tid, &call) {
                return pin_call(engine, thread, tid);
            }
            thread.selector.store(0, Ordering::SeqCst);
        }
        // Only a thread that makes no calls, or is in libc's own all the time: a signal may cut a call
        // short.
        Whereabouts::Running if look >= LOOKS + PAUSES && blocked(tid) & 1 << (libc::SIGSYS - 1) == 0 => {
            // Release: pairs with `answer`.
            ask(thread, tid);
        }
        _ => {}
    }
    false
}

/// Sends the thread a signal, once: who handles it is in user mode.
fn ask(thread: &Thread, tid: u32) {
    // Release: pairs with `answer`.
    if thread.guard().asked.swap(true, Ordering::Release) {
        return;
    }
    let args = [thread::process() as usize, tid as usize, libc::SIGSYS as usize, 0, 0, 0];
    // SAFETY: no pointers; our handler is in place.
    let sent = unsafe { sys::call(libc::SYS_tgkill, args) == 0 };
    thread.guard().asked.fetch_and(sent, Ordering::Relaxed);
}

/// Whether a trap right after `call` finds SIGSYS unblocked.
fn may_trap(tid: u32, call: &[usize; 9]) -> bool {
    // These calls block signals only while they wait.
    let replaces_mask = table::find(call[0] as c_long).replaces_mask();
    let ours = own_text::contains(call[8]);
    replaces_mask || ours || blocked(tid) & 1 << (libc::SIGSYS - 1) == 0
}

/// The selector is set: pins what the thread's call accesses, if it is in one. False to look again.
fn pin_call(engine: &'static Engine, thread: &'static Thread, tid: u32) -> bool {
    let Whereabouts::Call(call) = whereabouts(tid) else {
        return false;
    };
    let Ok(at) = memory::reserve(4096, memory::Protection::ReadWrite) else {
        return true;
    };
    const { assert!(size_of::<Slot>() <= 4096) };
    // SAFETY: fresh memory, large enough, and valid as a slot when written.
    let slot = unsafe {
        (at as *mut Slot).write(Slot::FREE);
        &mut *(at as *mut Slot)
    };
    let [number, a, b, c, d, e, f, stack, _] = call;
    let number = number as c_long;
    slot.begin(number, [a, b, c, d, e, f]);
    slot.key = stack;
    let shapes = table::find(number).shapes;
    let mut claims = Claims::new(engine, &mut slot.pins);
    for (arg, shape) in shapes {
        walk(&mut claims, &slot.args, *arg, *shape);
    }
    if number == libc::SYS_futex {
        walk(&mut claims, &slot.args, 0, Shape::In(Len::Fixed(4)));
    }
    let same = whereabouts(tid) == Whereabouts::Call(call);
    if !same || slot.pins.is_empty() {
        slot.end();
        // SAFETY: ours; nobody else knows it.
        let _ = unsafe { memory::unmap(at, 4096) };
        return same;
    }
    // Release: pairs with `land`. If the thread has trapped in between, its next trap takes it.
    thread.guard().in_flight.store(at as *mut Slot, Ordering::Release);
    true
}
