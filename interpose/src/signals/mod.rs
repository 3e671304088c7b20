//! Signals: SIGSEGV is ours without the program noticing.
//!
//! - `fault`: the fault handler, and what becomes of a signal that is the program's after all.
//! - `farewell`: what is written before the process dies of a signal. `halt`: its other threads stop first.
//! - `deliver`: one entry for every handler of the program. The kernel calls it on our alternate
//!   stack, which is always there (`shared::room` says how large); it builds the frame anew where the program wants it, on pages that
//!   it brings in first. `frame` is the geometry, `trampolines` the text that handlers come from and return to.
//! - `actions`, `masks`, `stack`: the kernel's calls as the program sees them. They take and give the
//!   kernel's own forms, so the wrappers and the trap share them.
//! - `claims`: the handlers that are ours, and how they are put back.
//!
//! [`OURS`] never get blocked in the kernel. Whether the program has blocked them is noted in its
//! thread's [`SignalState`], and travels with saved masks: in the words of a `jmp_buf` and of a
//! context that libc leaves alone, and in a signal frame.

pub mod actions;
pub mod claims;
pub mod deliver;
pub mod farewell;
pub mod fault;
pub mod frame;
pub mod halt;
pub mod masks;
pub mod stack;
pub mod trampolines;

use crate::shared::kernel::{self, OURS};
use crate::shared::room;
use crate::shared::thread::{self, PerThread, Thread};
use crate::shared::ucontext::Ucontext;
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};
use vmcore::sys::thread::SignalSet;

/// What this floor keeps for a thread. All zero: nothing blocked, no alternate stack.
#[derive(Default)]
pub struct SignalState {
    /// Which of [`OURS`] the program has blocked.
    pub blocked: Cell<u64>,
    /// The mask for the length of a call like sigsuspend.
    pub temporary: Cell<masks::Temporary>,
    /// The thread's signals are ours to see to: the kernel has our alternate stack for it, and blocks none of [`OURS`].
    /// Until then all of this state says nothing, and the kernel has what the program asked for.
    pub taken: Cell<bool>,
    /// The program's alternate stack.
    pub alternate: Cell<stack::Alternate>,
    /// Signals of [`OURS`] that were sent while the program blocked them; all zero for none.
    pub pending: [Cell<kernel::Info>; 2],
    /// The last fault (where, by which instruction, and how many had been served until then), and how many
    /// equal ones came before it.
    pub last_fault: Cell<((usize, u64, u64), u32)>,
}

// SAFETY: as the comment of each field says, zero stands for nothing blocked, kept or set; every field is a Cell.
unsafe impl PerThread for SignalState {}

impl Thread {
    /// What the signals' floor keeps for this thread.
    #[inline(always)]
    pub fn signals(&self) -> &SignalState {
        self.signals_area.state()
    }
}

/// What a child that borrows its parent's record may change, and the parent finds again.
#[derive(Clone, Copy, Default)]
pub struct Saved {
    blocked: u64,
    temporary: masks::Temporary,
    alternate: stack::Alternate,
}

impl SignalState {
    /// What a borrower may change.
    pub fn saved(&self) -> Saved {
        Saved { blocked: self.blocked.get(), temporary: self.temporary.get(), alternate: self.alternate.get() }
    }

    /// A new thread has its creator's mask, and nothing else.
    pub fn inherit(&self, creator: &SignalState) {
        self.taken.set(true);
        self.blocked.set(creator.blocked.get());
        self.temporary.set(masks::Temporary::default());
        self.alternate.set(stack::Alternate::default());
        self.pending.iter().for_each(|pending| pending.set([0; 16]));
    }
}

static READY: AtomicBool = AtomicBool::new(false);

/// Whether the handlers are installed. Until then the process is native: every wrapper leaves the program's wish to the
/// kernel, which has nothing of ours.
#[inline]
pub fn ready() -> bool {
    // Acquire: pairs with the release in `install`.
    READY.load(Ordering::Acquire)
}

/// Takes SIGSEGV, and puts our entry before the handlers that the program has set, however it did. Called when pages are
/// about to be absent, and once more when every thread has been reached: what one of them has set in between is found then.
pub fn install() {
    fault::install();
    actions::adopt();
    // Release: pairs with `ready`.
    READY.store(true, Ordering::Release);
}

/// A thread enters; the kernel has what it inherited, or asked for.
pub fn enter_thread(thread: &'static Thread) {
    let state = thread.signals();
    state.taken.set(false);
    state.blocked.set(0);
    state.temporary.set(masks::Temporary::default());
    state.alternate.set(stack::Alternate::default());
    state.pending.iter().for_each(|pending| pending.set([0; 16]));
}

/// Takes over what the kernel has for the running thread: in a handler, with every signal blocked, that returns to
/// `context`. The kernel gets our alternate stack and may let our signals in; what the program has asked for is noted.
pub fn take_over(thread: &'static Thread, context: &mut Ucontext) {
    let state = thread.signals();
    state.temporary.set(masks::Temporary::default());
    state.blocked.set(context.mask.0 & OURS);
    context.mask = kernel::for_kernel(context.mask);
    // As it was when the signal came, even if the kernel has taken it away for the length of this handler.
    state.alternate.set(stack::Alternate::from_kernel(&context.stack));
    context.stack = kernel_stack(thread);
    stack::hand_over(thread);
    state.taken.set(true);
}

/// Takes over for the length of a call that is trapped although nothing is absent, in no handler. Every signal must be
/// blocked; `mask` is what the program has blocked, of which ours are noted.
pub fn borrow(thread: &'static Thread, mask: SignalSet) {
    let state = thread.signals();
    state.temporary.set(masks::Temporary::default());
    state.blocked.set(mask.0 & OURS);
    // SAFETY: no stack is given.
    let asked = unsafe { kernel::set_alternate(None) };
    state.alternate.set(asked.map_or(stack::Alternate::default(), |old| stack::Alternate::from_kernel(&old)));
    stack::hand_over(thread);
    state.taken.set(true);
}

/// The end of what [`borrow`] began: the kernel has again what the program asked for. Every signal must be blocked; of ours,
/// those are returned that the program wants to be.
pub fn give_back(thread: &'static Thread) -> SignalSet {
    let state = thread.signals();
    state.taken.set(false);
    // SAFETY: the program's own stack, or none.
    let _ = unsafe { kernel::set_alternate(Some(&state.alternate.take().for_kernel())) };
    SignalSet(state.blocked.take())
}

/// In a child process: locks that another thread of the parent held are free.
pub fn survive_fork() {
    actions::survive_fork();
    claims::survive_fork(!ready() && thread::running().is_some_and(|thread| thread.signals().taken.get()));
    halt::survive_fork();
    if let Some(thread) = thread::running() {
        // A child starts without pending signals.
        thread.signals().pending.iter().for_each(|pending| pending.set([0; 16]));
    }
}

/// The part of a thread's alternate stack that the kernel uses.
pub fn kernel_stack(thread: &Thread) -> libc::stack_t {
    let room = room::of_this_processor();
    libc::stack_t { ss_sp: (thread.stack() + room.departure) as *mut _, ss_flags: 0, ss_size: room.kernel }
}
