//! The guard: how the system calls of a thread come to be trapped, so that none sees an absent page.
//!
//! The kernel does not fault into our handler: it returns EFAULT. So every system call of the process
//! is trapped by Syscall User Dispatch while pages may be absent. Calls from our own text pass. What happens in
//! a trap is the floor `trap`.
//!
//! - `gadget`: where the program is resumed to make a call, or a child, in its own context.
//! - `direct`: calls that are frequent, made without a trap.
//! - `trapping`: calls that are trapped whether the guard is armed or not.
//! - `birth`: what a thread's record keeps of children that are being born.

pub mod birth;
pub mod direct;
pub mod gadget;
pub mod trapping;

use crate::shared::guarded::{self, ARMED, REFUSED};
use crate::shared::thread::{self, PerThread, Thread};
use crate::shared::{engine, own_text};
use crate::signals::claims;
use crate::syscalls::pins::holds::Holds;
use crate::syscalls::pins::slots::{self, Slot, Slots};
use crate::syscalls::{kept, requests};
use birth::Births;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use vmcore::sys::thread::SignalSet;
use vmcore::sys::{self, memory};

/// What the guard keeps for a thread. All zero: a thread that has not entered.
#[derive(Default)]
pub struct GuardState {
    /// Calls under way; made when the thread enters, kept with the record.
    slots: AtomicPtr<Slots>,
    /// Children that are being born.
    pub births: Births,
    /// A call that was under way when the guard was armed: its pins, until the next trap.
    pub in_flight: AtomicPtr<Slot>,
    /// The pins of direct calls.
    holds: Holds,
    /// The thread's control block: the kernel writes to it when the thread ends.
    pub control_block: AtomicUsize,
    /// The arming thread wants an answer.
    pub asked: AtomicBool,
    /// Whether its calls are trapped and none is under way that began before they were.
    pub guarded: AtomicBool,
    /// Whether dispatch is on.
    pub dispatched: AtomicBool,
}

// SAFETY: zero stands for a thread that has not entered: no slots, no births, nothing pinned. What is no atomic is
// a Cell, which only the thread itself uses.
unsafe impl PerThread for GuardState {}

impl Thread {
    /// What the guard keeps for this thread.
    #[inline(always)]
    pub fn guard(&self) -> &GuardState {
        self.guard_area.state()
    }
}

/// prctl's command for Syscall User Dispatch.
pub const PR_SET_SYSCALL_USER_DISPATCH: usize = 59;
/// Its argument that switches dispatch on.
pub const PR_SYS_DISPATCH_ON: usize = 1;

impl GuardState {
    /// The thread's slots, if it has entered. Used by the thread itself, in the handler of its traps.
    #[allow(clippy::mut_from_ref)]
    pub fn slots(&self) -> Option<&mut Slots> {
        // SAFETY: made by `enter_thread` for this record only; the handler is not interrupted by itself.
        unsafe { self.slots.load(Ordering::Acquire).as_mut() }
    }

    /// Releases the pins of a call that was under way when the guard was armed, seen from a trap at the
    /// stack pointer `stack`: a signal handler on top of the call does not end it.
    pub fn land(&self, stack: usize) {
        // Acquire: pairs with the release of the arming thread.
        let under_way = self.in_flight.load(Ordering::Acquire);
        // SAFETY: made by the arming thread and handed to this one.
        if unsafe { under_way.as_ref() }.is_none_or(|slot| stack < slot.key) {
            return;
        }
        let slot = self.in_flight.swap(core::ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: made by the arming thread and handed to this one.
        if let Some(slot) = unsafe { slot.as_mut() } {
            slot.end();
            // SAFETY: as above.
            let _ = unsafe { memory::unmap(core::ptr::from_mut(slot) as usize, 4096) };
        }
    }
}

/// The kernel has refused dispatch: only direct calls will be guarded, and nothing traps any more.
pub fn refuse() {
    REFUSED.store(true, Ordering::Relaxed);
    claims::renounce(libc::SIGSYS);
}

/// Asks the kernel for dispatch of the running thread's calls, whose record is `thread`; false if it refuses.
pub fn dispatch_on(thread: &Thread) -> bool {
    let Some((start, len)) = own_text::range() else {
        return false;
    };
    let args = [PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, start, len, thread.selector.as_ptr() as usize, 0];
    // SAFETY: the selector lives as long as the record: for ever.
    unsafe { sys::call(libc::SYS_prctl, args) == 0 }
}

/// The slots of a thread that is about to begin; false if there is no memory for them.
pub fn prepare_thread(thread: &Thread) -> bool {
    let guard = thread.guard();
    if guard.slots.load(Ordering::Acquire).is_null() {
        let Ok(at) = memory::reserve(slots::BYTES, memory::Protection::ReadWrite) else {
            return false;
        };
        guard.slots.store(at as *mut Slots, Ordering::Release);
    }
    guard.asked.store(false, Ordering::Relaxed);
    guard.guarded.store(false, Ordering::Relaxed);
    guard.control_block.store(0, Ordering::Relaxed);
    true
}

/// The thread asks for dispatch of its system calls, which pass as long as the guard is not armed.
pub fn enter_thread(thread: &'static Thread) {
    let guard = thread.guard();
    if !prepare_thread(thread) {
        return refuse();
    }
    let control_block: usize;
    // SAFETY: the x86-64 ABI: the word at fs:0 is its own address.
    unsafe { core::arch::asm!("mov {}, qword ptr fs:[0]", out(reg) control_block, options(readonly, nostack)) };
    guard.control_block.store(control_block, Ordering::Release);
    thread.selector.store(0, Ordering::SeqCst);
    if guarded::is_refused() || !dispatch_on(thread) {
        return refuse();
    }
    guard.dispatched.store(true, Ordering::SeqCst);
    // SeqCst: pairs with `trap::arming::arm`, which sets the flag before it looks for threads.
    if ARMED.load(Ordering::SeqCst) {
        guard_self(thread);
    }
}

/// The running thread's calls are trapped from now on, if that cannot kill it.
pub fn guard_self(thread: &Thread) {
    thread.selector.store(1, Ordering::SeqCst);
    // Release: pairs with the acquire in `trap::arming`.
    thread.guard().guarded.store(true, Ordering::Release);
}

/// The running thread makes a direct call: it is in none that began before the guard was armed. (Libc,
/// with signals blocked for a moment, makes no direct calls.)
#[inline]
pub fn guard_at_direct_call(thread: &Thread) {
    let guard = thread.guard();
    if !guard.guarded.load(Ordering::Relaxed) && guard.dispatched.load(Ordering::Relaxed) {
        guard_self(thread);
    }
}

/// Called by a thread that waits in our own code, with signals blocked until it goes back to the program:
/// from then on its calls may be trapped.
pub fn answer_waiting() {
    // SeqCst: as in `enter_thread`.
    if !ARMED.load(Ordering::SeqCst) {
        return;
    }
    let unguarded =
        |thread: &&Thread| thread.selector.load(Ordering::Relaxed) == 0 && thread.guard().dispatched.load(Ordering::Relaxed);
    if let Some(thread) = thread::running().filter(unguarded) {
        guard_self(thread);
    }
}

/// The thread says farewell: what the kernel reads when it ends stays in memory.
pub fn keep_for_the_end() {
    if let Some(engine) = engine::get() {
        let _stack = engine.keep_stack();
        // A handler of the program must not find its pages in our hands.
        let signals = sys::thread::set_signal_mask(SignalSet::ALL);
        kept::keep_robust_list(engine);
        sys::thread::set_signal_mask(signals);
    }
}

/// What a thread that has ended leaves of calls under way.
pub fn forget_thread(thread: &'static Thread) {
    thread.selector.store(0, Ordering::SeqCst);
    thread.guard().dispatched.store(false, Ordering::SeqCst);
    thread.guard().land(usize::MAX);
    if let Some(slots) = thread.guard().slots() {
        slots.clear();
    }
    if let Some(engine) = engine::get() {
        thread.guard().holds.clear(engine);
    }
}

/// In a child process, whose only thread is `own`: dispatch is not inherited, and the pins of the parent
/// are not ours.
pub fn survive_fork(own: Option<&'static Thread>) {
    let Some(thread) = own else {
        return;
    };
    let was = thread.selector.swap(0, Ordering::SeqCst);
    thread.guard().in_flight.store(core::ptr::null_mut(), Ordering::Relaxed);
    if let Some(slots) = thread.guard().slots() {
        slots.forget();
    }
    thread.guard().holds.forget();
    requests::forget();
    enter_thread(thread);
    // The parent's pin on it, if the thread's stack is a block, was forgotten like all others.
    if let Some(engine) = engine::get().filter(|_| ARMED.load(Ordering::Relaxed)) {
        kept::keep_control_block(engine, thread.guard().control_block.load(Ordering::Relaxed));
    }
    if was != 0 && thread.guard().dispatched.load(Ordering::Relaxed) {
        thread.selector.store(1, Ordering::SeqCst);
    }
}
