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
        self.blocked.set(creator.blocked.get());
        self.temporary.set(masks::Temporary::default());
        self.alternate.set(stack::Alternate::default());
        self.pending.iter().for_each(|pending| pending.set([0; 16]));
    }
}

static READY: AtomicBool = AtomicBool::new(false);

/// Whether the handlers are installed. Until then every wrapper does the native thing.
pub fn ready() -> bool {
    // Acquire: pairs with the release in `install`.
    READY.load(Ordering::Acquire)
}

/// Takes SIGSEGV, and the handlers that the program has set already. Once, at process start.
pub fn install() {
    if ready() {
        return;
    }
    fault::install();
    actions::adopt();
    // Release: pairs with `ready`.
    READY.store(true, Ordering::Release);
}

/// The running thread gets its alternate stack, and SIGSEGV gets through to it.
pub fn enter_thread(thread: &'static Thread) {
    let state = thread.signals();
    state.temporary.set(masks::Temporary::default());
    state.alternate.set(stack::Alternate::default());
    state.pending.iter().for_each(|pending| pending.set([0; 16]));
    let old = kernel::change_mask(libc::SIG_UNBLOCK, Some(SignalSet(OURS)));
    state.blocked.set(old.map_or(0, |old| old.0 & OURS));
    // SAFETY: the stack lives as long as the record, for ever.
    if let Ok(old) = unsafe { kernel::set_alternate(Some(&kernel_stack(thread))) } {
        state.alternate.set(stack::Alternate::from_kernel(&old));
    }
}

/// In a child process: locks that another thread of the parent held are free.
pub fn survive_fork() {
    actions::survive_fork();
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
