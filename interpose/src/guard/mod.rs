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
use crate::shared::kernel::{self, OURS, SUMMONS};
use crate::shared::thread::{self, PerThread, Thread};
use crate::shared::ucontext::Ucontext;
use crate::shared::{engine, own_text};
use crate::signals::{self, claims};
use crate::syscalls::pins::holds::Holds;
use crate::syscalls::pins::slots::{self, Slots};
use crate::syscalls::{kept, requests};
use birth::Births;
use core::cell::Cell;
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
    /// The pins of direct calls.
    holds: Holds,
    /// The thread's control block: the kernel writes to it when the thread ends.
    pub control_block: AtomicUsize,
    /// The call in which whoever arms the guard has seen the thread: number, arguments, stack pointer, program counter.
    pub seen: Cell<[usize; 9]>,
    /// The thread has been sent [`SUMMONS`].
    pub summoned: AtomicBool,
    /// The kernel has what the guard needs for this thread, and it is in no call that began before.
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
}

/// The kernel has refused dispatch: only direct calls can be guarded, and nothing traps.
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
    guard.summoned.store(false, Ordering::Relaxed);
    guard.guarded.store(false, Ordering::Relaxed);
    guard.dispatched.store(false, Ordering::Relaxed);
    guard.control_block.store(0, Ordering::Relaxed);
    true
}

/// The running thread enters. While nothing can be absent, its calls are its own; afterwards it is guarded at once, or as
/// soon as it lets signals in.
pub fn enter_thread(thread: &'static Thread) {
    let guard = thread.guard();
    if !prepare_thread(thread) {
        return refuse();
    }
    guard.control_block.store(control_block(), Ordering::Release);
    thread.selector.store(0, Ordering::SeqCst);
    // SeqCst: pairs with `trap::arming::arm`, which sets the flag before it looks for threads.
    if ARMED.load(Ordering::SeqCst) {
        summon(thread);
    }
}

/// Has the thread of the record come to [`take_over`], in a handler of [`SUMMONS`], when it next lets signals in; false if
/// there is no such thread any more.
pub fn summon(thread: &Thread) -> bool {
    // AcqRel: pairs with the handler, which finds what was seen. A second signal would cut a call short for nothing.
    if thread.guard().summoned.swap(true, Ordering::AcqRel) {
        return true;
    }
    if guarded::is_refused() {
        // libc may have put its own handler there meanwhile, by a call that nobody saw: it would cancel the thread.
        claims::insist();
    }
    let tid = thread.tid.load(Ordering::Acquire) as usize;
    // SAFETY: no pointers; our handler is in place.
    let sent = |number, args| unsafe { sys::call(number, args) == 0 };
    // A sandbox may refuse the newer of the two.
    sent(libc::SYS_tgkill, [thread::process() as usize, tid, SUMMONS as usize, 0, 0, 0])
        || sent(libc::SYS_tkill, [tid, SUMMONS as usize, 0, 0, 0, 0])
}

/// The running thread makes a direct call while the guard is armed: it comes to its summons first, which would cut the call
/// short. (A child that borrows the record does not have to.)
#[inline]
pub fn come_at_direct_call(thread: &Thread) {
    // Relaxed: the thread's own note.
    if !thread.guard().guarded.load(Ordering::Relaxed) && !thread::is_borrowed(thread) {
        summon(thread);
    }
}

/// The running thread is guarded from now on: in a handler, with every signal blocked, that returns to `context`.
pub fn take_over(thread: &'static Thread, context: &mut Ucontext) {
    let guard = thread.guard();
    if !thread.signals().taken.get() {
        signals::take_over(thread, context);
    }
    if let Some(engine) = engine::get() {
        kept::keep_control_block(engine, guard.control_block.load(Ordering::Relaxed));
    }
    dispatch(thread);
    // The stack that this handler runs on may lie in a block, and its pages may leave from now on.
    let _ = kernel::change_mask(libc::SIG_UNBLOCK, Some(SignalSet(OURS)));
    // Release: pairs with `trap::arming`.
    guard.guarded.store(true, Ordering::Release);
}

/// The running thread's calls are trapped from now on, if the kernel can do that.
fn dispatch(thread: &Thread) {
    if guarded::is_refused() || !dispatch_on(thread) {
        return refuse();
    }
    thread.guard().dispatched.store(true, Ordering::SeqCst);
    thread.selector.store(1, Ordering::SeqCst);
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
    if let Some(slots) = thread.guard().slots() {
        slots.clear();
    }
    if let Some(engine) = engine::get() {
        thread.guard().holds.clear(engine);
    }
}

/// Where libc's control block of the running thread lies.
fn control_block() -> usize {
    let at;
    // SAFETY: the x86-64 ABI: the word at fs:0 is its own address.
    unsafe { core::arch::asm!("mov {}, qword ptr fs:[0]", out(reg) at, options(readonly, nostack)) };
    at
}

/// In a child process, whose only thread is `own`: dispatch is not inherited, and the pins of the parent
/// are not ours.
pub fn survive_fork(own: Option<&'static Thread>) {
    let Some(thread) = own else {
        return;
    };
    let was = thread.selector.swap(0, Ordering::SeqCst);
    if let Some(slots) = thread.guard().slots() {
        slots.forget();
    }
    thread.guard().holds.forget();
    requests::forget();
    // A clone may have given the child another than the parent's thread has. The pin on that, if it is in a block, was
    // forgotten like all others, and the kernel kills whose block it finds absent.
    thread.guard().control_block.store(control_block(), Ordering::Release);
    if let Some(engine) = engine::get().filter(|_| ARMED.load(Ordering::Relaxed)) {
        kept::keep_control_block(engine, thread.guard().control_block.load(Ordering::Relaxed));
    }
    if was != 0 {
        dispatch(thread);
    }
}
