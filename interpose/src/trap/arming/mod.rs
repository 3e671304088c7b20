//! Switching the guard on, while other threads run.
//!
//! Until now the process was native: the kernel has for each thread what the program asked for, however it did. Whoever
//! arms the guard takes over the handlers of the process, and summons every thread by a signal that no program blocks: in its
//! handler the thread takes over its own mask and alternate stack, and has its calls trapped (`summons.rs`).
//! So it is in no call that began before: a call that the signal has cut short is made again, and traps.
//!
//! Nothing is absent before every thread has come, or cannot be waited for.

mod proc;
mod rest;
mod summons;

use crate::births::threads;
use crate::guard::{prepare_thread, refuse, summon, trapping};
use crate::shared::guarded::{is_refused, ARMED};
use crate::shared::kernel::{self, OURS, SUMMONS};
use crate::shared::thread::{self, Thread};
use crate::shared::{engine, own_text};
use crate::signals::{self, claims};
use core::sync::atomic::Ordering;
use proc::{blocked, each_thread, whereabouts, Whereabouts};
use vmcore::report::say;
use vmcore::sys::thread as threads_of_kernel;

/// Looks at the threads in quick succession.
const LOOKS: u32 = 50;
/// Looks with a pause of a millisecond before we go on without a thread that has not come.
const PATIENCE: u32 = 1000;

/// Pages will be absent from now on: every system call of every thread is guarded. The caller has every signal blocked, so
/// it comes to its own summons when it lets them in, before it is back in the program.
pub fn arm() {
    if engine::get().is_none() {
        return;
    }
    take_signals();
    if is_refused() {
        say(format_args!(
            "no Syscall User Dispatch here: system calls may fail on memory that is paged out, all but read, write and the like"
        ));
    }
    summons::install();
    // SeqCst: pairs with `guard::enter_thread`: a new thread sees the flag, or we see the thread.
    ARMED.store(true, Ordering::SeqCst);
    let own = thread::running();
    summon_others();
    // What a thread has set by its own system call, on its way here.
    take_signals();
    if let Some(own) = own {
        summon(own);
    }
}

/// The handlers of the process are ours, before those of the program.
fn take_signals() {
    match trapping::handler() {
        // SAFETY: the handler of traps makes raw calls only and takes no lock that its thread may hold.
        Some(handler) if !is_refused() => unsafe {
            if claims::claim(libc::SIGSYS, handler).is_err() || !trapping::is_possible() {
                refuse();
            }
        },
        _ => {}
    }
    signals::install();
}

/// Looks at the other threads again and again, until each has come or has been waited for in vain.
fn summon_others() {
    let own = threads_of_kernel::id();
    for look in 0..LOOKS + PATIENCE {
        let mut left = false;
        let mut visit = |tid: u32| left |= tid != own && !has_come(tid);
        if !each_thread(&mut visit) {
            thread::all().for_each(|thread| visit(thread.tid.load(Ordering::Acquire)));
        }
        if !left {
            return;
        } else if look < LOOKS {
            threads_of_kernel::yield_now();
        } else {
            threads_of_kernel::nap();
        }
    }
}

/// Looks at a thread once, and summons it if nobody has yet; whether it has come, or will before it is back in the program,
/// or is gone.
fn has_come(tid: u32) -> bool {
    // It may enter by itself while we give it a record. Acquire: pairs with `guard::take_over`.
    let is_guarded = || {
        let is_its_own = |record: &Thread| record.tid.load(Ordering::Acquire) == tid;
        thread::all().any(|record| is_its_own(record) && record.guard().guarded.load(Ordering::Acquire))
    };
    let is_known = thread::all().any(|record| record.tid.load(Ordering::Acquire) == tid);
    if !is_known && thread::is_birth_under_way() {
        // It may be the thread that is being born, guarded from its first instruction.
        return false;
    }
    let Some(thread) = record_of(tid).filter(|_| !is_guarded()) else {
        return true;
    };
    let guard = thread.guard();
    let seen = whereabouts(tid);
    if is_guarded() {
        return true;
    }
    if !guard.summoned.load(Ordering::Acquire) {
        if let Whereabouts::Call(call) = seen {
            guard.seen.set(call);
        }
        return !summon(thread);
    }
    match seen {
        Whereabouts::Gone => true,
        // It waits in our own code, perhaps for us, and lets the signal in before it goes back to the program.
        Whereabouts::Call(call) => own_text::contains(call[8]) && blocked(tid) & 1 << (SUMMONS - 1) != 0,
        Whereabouts::Running => false,
    }
}

/// The record of a thread. One of a bare clone that nobody told us of gets it now; `None` if there is no memory for that.
fn record_of(tid: u32) -> Option<&'static Thread> {
    if let Some(known) = thread::all().find(|record| record.tid.load(Ordering::Acquire) == tid) {
        return Some(known);
    }
    let record = thread::reserve()?;
    if !prepare_thread(record) {
        thread::give_back(record);
        return None;
    }
    thread::storage_is_shared();
    signals::enter_thread(record);
    record.selector.store(0, Ordering::SeqCst);
    // Release: whoever finds the number finds the rest.
    record.tid.store(tid, Ordering::Release);
    threads::note_unannounced(record);
    threads::count();
    Some(record)
}

const _: () = assert!(OURS & 1 << (SUMMONS - 1) == 0 && kernel::number(&kernel::info(SUMMONS, 0, 0)) == SUMMONS);
