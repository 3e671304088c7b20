//! The system-call guard: no call of anyone in the process sees an absent page.
//!
//! The kernel does not fault into our handler: it returns EFAULT. So every system call of the process
//! is trapped by Syscall User Dispatch while pages may be absent, what it will access is pinned, and
//! the call is made. Calls that may wait are made in the program's own context (`gadget.rs`), the
//! others inside the trap's handler. Calls from our own text pass.
//!
//! - `table`, `shapes`, `ioctls`: what each call accesses. Pure.
//! - `program`, `slots`: pins, and looks into program memory; what is kept during a call.
//! - `dispatch`: the trap; `special`: calls about signals, threads and futexes; `transfer`, `stand_in`,
//!   `messages`: what cannot be pinned; `children`, `births`: clone and its family, exec; `gadget`: where the
//!   program is resumed.
//! - `descriptors`: close, dup2 and the like on descriptors of ours.
//! - `direct`, `direct_doors`: calls that are frequent, made without a trap; `number_door`: syscall(2).
//! - `aio`: requests that the kernel works on after the call.
//! - `mappings`: mprotect, madvise, mlock and the like on pages of ours; also as functions, since they
//!   concern us whether the guard is armed or not.
//! - `refused`: where the kernel has no dispatch.
//! - `arming`: how the guard is switched on while other threads run.

mod aio;
mod arming;
mod births;
mod children;
mod descriptors;
mod direct;
mod direct_doors;
mod dispatch;
mod gadget;
mod ioctls;
mod mappings;
mod messages;
mod number_door;
mod plans;
mod program;
pub mod refused;
mod shapes;
mod slots;
mod special;
mod stand_in;
mod strangers;
mod table;
mod transfer;

use crate::signals::OURS;
use crate::thread::{self, Thread};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use slots::Slots;
use vmcore::sys::thread::SignalSet;
use vmcore::sys::{self, memory};

pub use arming::arm;
pub use births::before_vfork;
pub use gadget::vmalloc_resume_birth;
pub use program::{copy_for_program, give_up, look};

/// What the guard keeps for a thread. All zero: a thread that has not entered.
#[derive(Default)]
pub struct ThreadState {
    /// Calls under way; made when the thread enters, kept with the record.
    slots: AtomicPtr<Slots>,
    /// Children that are being born.
    births: births::Births,
    /// Calls that were under way when the guard was armed: their pins, until the next trap.
    in_flight: AtomicPtr<slots::Slot>,
    /// The pins of direct calls.
    holds: direct::Holds,
    /// The thread's control block: the kernel writes to it when the thread ends.
    control_block: AtomicUsize,
    /// The arming thread wants an answer.
    asked: AtomicBool,
    /// Whether its calls are trapped and none is under way that began before they were.
    guarded: AtomicBool,
    /// Whether dispatch is on.
    dispatched: AtomicBool,
}

/// Whether every thread is guarded.
static ARMED: AtomicBool = AtomicBool::new(false);
/// The kernel refused dispatch.
static REFUSED: AtomicBool = AtomicBool::new(false);

const PR_SET_SYSCALL_USER_DISPATCH: usize = 59;

impl ThreadState {
    /// The thread's slots, if it has entered. Used by the thread itself, in the handler of its traps.
    #[allow(clippy::mut_from_ref)]
    fn slots(&self) -> Option<&mut Slots> {
        // SAFETY: made by `enter_thread` for this record only; the handler is not interrupted by itself.
        unsafe { self.slots.load(Ordering::Acquire).as_mut() }
    }

    /// Releases the pins of a call that was under way when the guard was armed, seen from a trap at the
    /// stack pointer `stack`: a signal handler on top of the call does not end it.
    fn land(&self, stack: usize) {
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

/// Installs the trap handler of the process.
pub fn install() {
    if gadget::build_door().is_err() || dispatch::install().is_err() {
        REFUSED.store(true, Ordering::Relaxed);
    }
    vmcore::sys::thread::while_waiting(arming::answer_waiting);
}

/// The executable part of this library: from where, and how long.
fn own_text() -> Option<(usize, usize)> {
    unsafe extern "C" {
        #[link_name = "__ehdr_start"]
        static HEADER: libc::Elf64_Ehdr;
    }
    // SAFETY: the linker puts the symbol at the beginning of this library's first segment, which holds
    // the program headers too.
    unsafe {
        let base = (&raw const HEADER) as usize;
        let headers = (base + HEADER.e_phoff as usize) as *const libc::Elf64_Phdr;
        (0..HEADER.e_phnum as usize)
            .map(|i| *headers.add(i))
            .find(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0)
            .map(|header| (base + header.p_vaddr as usize, header.p_memsz as usize))
    }
}

/// Whether the instruction at `address` is this library's.
pub fn is_own_code(address: usize) -> bool {
    own_text().is_some_and(|(start, len)| address.wrapping_sub(start) < len)
}

fn dispatch_on(thread: &Thread) -> bool {
    let Some((start, len)) = own_text() else {
        return false;
    };
    let args = [PR_SET_SYSCALL_USER_DISPATCH, 1, start, len, thread.selector.as_ptr() as usize, 0];
    // SAFETY: the selector lives as long as the record: for ever.
    unsafe { sys::call(libc::SYS_prctl, args) == 0 }
}

/// The slots of a thread that is about to begin; false if there is no memory for them.
fn prepare_thread(thread: &Thread) -> bool {
    let guard = &thread.guard;
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
    let guard = &thread.guard;
    if !prepare_thread(thread) {
        REFUSED.store(true, Ordering::Relaxed);
        return;
    }
    let control_block: usize;
    // SAFETY: the x86-64 ABI: the word at fs:0 is its own address.
    unsafe { core::arch::asm!("mov {}, qword ptr fs:[0]", out(reg) control_block, options(readonly, nostack)) };
    guard.control_block.store(control_block, Ordering::Release);
    thread.selector.store(0, Ordering::SeqCst);
    if REFUSED.load(Ordering::Relaxed) || !dispatch_on(thread) {
        REFUSED.store(true, Ordering::Relaxed);
        return;
    }
    guard.dispatched.store(true, Ordering::SeqCst);
    // SeqCst: pairs with `arm`, which sets the flag before it looks for threads.
    if ARMED.load(Ordering::SeqCst) {
        arming::guard_self(thread);
    }
}

/// The thread says farewell: what the kernel reads when it ends stays in memory.
pub fn keep_for_the_end() {
    if let Some(engine) = crate::engine::get() {
        let _stack = engine.keep_stack();
        // A handler of the program must not find its pages in our hands.
        let signals = sys::thread::set_signal_mask(SignalSet::ALL);
        special::keep_robust_list(engine);
        sys::thread::set_signal_mask(signals);
    }
}

/// What a thread that has ended leaves of calls under way.
pub fn forget_thread(thread: &'static Thread) {
    thread.selector.store(0, Ordering::SeqCst);
    thread.guard.dispatched.store(false, Ordering::SeqCst);
    thread.guard.land(usize::MAX);
    if let Some(slots) = thread.guard.slots() {
        slots.clear();
    }
    if let Some(engine) = crate::engine::get() {
        thread.guard.holds.clear(engine);
    }
}

/// Puts our handlers back, if the program has replaced them by system calls of its own; its wishes are
/// remembered.
pub fn insist() {
    crate::signals::fault::insist();
    if !REFUSED.load(Ordering::Relaxed) {
        dispatch::insist();
    }
}

/// The thread's calls are trapped although the guard may not be armed; what its selector was.
fn trap_from_now(thread: &'static Thread) -> u8 {
    // A trap without our handler kills, and so does one while SIGSYS is blocked; the program may have done
    // either by a call of its own (Chromium's children, before they execute).
    insist();
    if let Ok(old) = crate::signals::kernel::change_mask(libc::SIG_UNBLOCK, Some(SignalSet(OURS))) {
        if old.0 & OURS != 0 {
            thread.signals.blocked.set(thread.signals.blocked.get() | old.0 & OURS);
        }
    }
    thread.selector.swap(1, Ordering::SeqCst)
}

/// The selector is again what it was, unless the guard has been armed meanwhile.
fn trap_no_longer(thread: &Thread, was: u8) {
    if was == 0 && !ARMED.load(Ordering::SeqCst) {
        thread.selector.store(0, Ordering::SeqCst);
        // SeqCst: as in `enter_thread`.
        if ARMED.load(Ordering::SeqCst) {
            arming::guard_self(thread);
        }
    }
}

/// As long as this lives, the running thread's calls are trapped: those that libc makes for a door which
/// makes children, so that the children are guarded, or get their copy, at the very call.
pub struct Trapping(Option<(&'static Thread, u8)>);

impl Trapping {
    /// From now on.
    pub fn begin() -> Trapping {
        let thread = thread::current().filter(|thread| thread.guard.dispatched.load(Ordering::Relaxed));
        Trapping(thread.map(|thread| (thread, trap_from_now(thread))))
    }
}

impl Drop for Trapping {
    fn drop(&mut self) {
        if let Some((thread, was)) = self.0 {
            trap_no_longer(thread, was);
        }
    }
}

/// Whether the running thread's calls are trapped now.
pub fn is_trapping() -> bool {
    // Relaxed: the thread's own calls.
    thread::current().is_some_and(|thread| thread.selector.load(Ordering::Relaxed) != 0)
}

/// In a child process, whose only thread is `own`: dispatch is not inherited, and the pins of the parent
/// are not ours.
pub fn survive_fork(own: Option<&'static Thread>) {
    let Some(thread) = own else {
        return;
    };
    let was = thread.selector.swap(0, Ordering::SeqCst);
    thread.guard.in_flight.store(core::ptr::null_mut(), Ordering::Relaxed);
    if let Some(slots) = thread.guard.slots() {
        slots.forget();
    }
    thread.guard.holds.forget();
    aio::forget();
    enter_thread(thread);
    // The parent's pin on it, if the thread's stack is a block, was forgotten like all others.
    if let Some(engine) = crate::engine::get().filter(|_| ARMED.load(Ordering::Relaxed)) {
        special::keep_control_block(engine, thread.guard.control_block.load(Ordering::Relaxed));
    }
    if was != 0 && thread.guard.dispatched.load(Ordering::Relaxed) {
        thread.selector.store(1, Ordering::SeqCst);
    }
}
