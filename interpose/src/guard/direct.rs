//! Direct calls: what programs ask for all the time is made by functions of the C library that are ours, from our
//! own text, where the guard lets it pass. So it costs about what it costs without the guard. What such a call
//! accesses is in the table, as for every other.
//!
//! - Before the guard is armed, nothing is absent: [`vmalloc_direct`] looks at the flag and makes the
//!   call. Whoever arms the guard interrupts the threads: [`look_again`] sends back to the look whoever has looked
//!   and not yet called, or whose call was cut short.
//! - Afterwards, the call's buffers in our memory are pinned while it lasts. What is too much for that (`WAIT_WITH`, or
//!   more ranges than a hold has) goes to libc's function, which traps.
//! - Waiting calls are points where a thread can be cancelled. libc makes the thread cancellable
//!   at any moment for the length of the call, if there are other threads; so do we, after pinning. A thread
//!   that is cancelled, or jumps out of a handler, leaves its hold behind, which its next call finds stale.

use super::come_at_direct_call;
use crate::shared::guarded::{is_refused, ARMED};
use crate::shared::ucontext::Ucontext;
use crate::shared::{engine, thread};
use crate::syscalls::pins::holds::{Hold, Ranges};
use crate::syscalls::shapes::walk::walk_inline;
use crate::syscalls::table::{self, Call, Way};
use crate::syscalls::transfers::WAIT_WITH;
use crate::syscalls::{execution, failures};
use core::ffi::{c_char, c_int, c_long};
use core::sync::atomic::Ordering;
use vmcore::engine::Engine;
use vmcore::sys;
use vmcore::sys::thread::stack_pointer;

core::arch::global_asm!(
    ".text",
    ".balign 16",
    ".hidden vmalloc_direct",
    ".globl vmalloc_direct",
    ".type vmalloc_direct, @function",
    "vmalloc_direct:",
    ".cfi_startproc",
    "push rdi", // for whoever has to make the call again
    ".cfi_adjust_cfa_offset 8",
    "mov rax, rdi",
    "mov r11, rsi",
    "mov rdi, qword ptr [r11]",
    "mov rsi, qword ptr [r11 + 8]",
    "mov rdx, qword ptr [r11 + 16]",
    "mov r10, qword ptr [r11 + 24]",
    "mov r8, qword ptr [r11 + 32]",
    "mov r9, qword ptr [r11 + 40]",
    ".hidden vmalloc_direct_look",
    ".globl vmalloc_direct_look",
    "vmalloc_direct_look:",
    "cmp byte ptr [rip + {armed}], 0",
    "jne 2f",
    "syscall",
    ".hidden vmalloc_direct_made",
    ".globl vmalloc_direct_made",
    "vmalloc_direct_made:",
    "add rsp, 8",
    ".cfi_adjust_cfa_offset -8",
    "ret",
    "2:",
    ".cfi_adjust_cfa_offset 8",
    "add rsp, 8",
    ".cfi_adjust_cfa_offset -8",
    "mov rax, {not_made}",
    "ret",
    ".cfi_endproc",
    ".size vmalloc_direct, . - vmalloc_direct",
    armed = sym ARMED,
    not_made = const NOT_MADE,
);

/// No result of a system call: the guard is armed.
const NOT_MADE: isize = -0x10000;

unsafe extern "C" {
    /// Makes the call `number` unless the guard is armed.
    fn vmalloc_direct(number: usize, args: &[usize; 6]) -> isize;
    fn vmalloc_direct_look();
    fn vmalloc_direct_made();
    /// libc's own: not zero as long as there is one thread.
    static __libc_single_threaded: c_char;
    fn pthread_setcanceltype(new: c_int, old: *mut c_int) -> c_int;
}

const DEFERRED: c_int = 0;
const ASYNCHRONOUS: c_int = 1;

/// The guard is armed while the thread was interrupted in `context`: if it has looked at the flag and
/// is to make its call now, it looks again.
pub fn look_again(context: &mut Ucontext) {
    let (look, made) = (vmalloc_direct_look as *const () as usize, vmalloc_direct_made as *const () as usize);
    if (look..made).contains(&context.rip()) {
        context.set_rip(look);
    }
}

/// The number of the direct call that has just returned to `context`; `None` if none has.
pub fn number_made(context: &Ucontext) -> Option<c_long> {
    let is_made = context.rip() == vmalloc_direct_made as *const () as usize;
    // SAFETY: `vmalloc_direct` has left the number there.
    is_made.then(|| unsafe { *(context.rsp() as *const c_long) })
}

/// Does `work` with the thread cancellable as `kind` says, if anybody could cancel it.
#[inline(always)]
fn cancellable<T>(kind: c_int, work: impl FnOnce() -> T) -> T {
    // SAFETY: a byte of libc's that is set once, when a second thread is made.
    if unsafe { (&raw const __libc_single_threaded).read_volatile() } != 0 {
        return work();
    }
    let mut before = 0;
    // SAFETY: room for the old kind; nothing of ours is held by `work` that a cancelled thread would
    // have to give back, but a hold, which is found.
    unsafe { pthread_setcanceltype(kind, &raw mut before) };
    let result = work();
    // SAFETY: as above; the kind was libc's own answer.
    unsafe { pthread_setcanceltype(before, core::ptr::null_mut()) };
    result
}

/// A call that the compiler knows, so that nothing is looked up when it is made.
struct Direct<const NUMBER: c_long>;

impl<const NUMBER: c_long> Direct<NUMBER> {
    const CALL: &'static Call = table::row(NUMBER);

    /// Claims what it accesses.
    #[inline(always)]
    fn claim(ranges: &mut Ranges, args: &[usize; 6]) {
        const { assert!(Self::CALL.shapes.len() <= 3) };
        let mut claim = |i: usize| {
            if let Some((arg, shape)) = Self::CALL.shapes.get(i) {
                walk_inline(ranges, args, *arg, *shape);
            }
        };
        claim(0);
        claim(1);
        claim(2);
    }
}

/// Makes the call with these arguments; `None` if libc's function has to. It is a point of cancellation if it waits.
#[inline(always)]
pub fn call<const NUMBER: c_long>(args: [usize; 6]) -> Option<isize> {
    let call = Direct::<NUMBER>::CALL;
    if !ARMED.load(Ordering::Relaxed) {
        // SAFETY: the program's own call; nothing is absent when it is made.
        let result = make(call, &|| unsafe { vmalloc_direct(call.number as usize, &args) });
        if result != NOT_MADE {
            return Some(result);
        }
    }
    let engine = engine::get()?;
    let made = call_guarded::<NUMBER>(engine, args);
    if made.is_none() && is_refused() {
        let result = execution::perform(engine, call.number, args);
        let touches_ours = args.iter().any(|arg| engine.is_ours(*arg));
        return Some(if touches_ours { failures::note(call.number, result) } else { result });
    }
    made
}

/// Makes a call by `work`, with the thread cancellable if the call may wait.
#[inline(always)]
fn make(call: &'static Call, work: &dyn Fn() -> isize) -> isize {
    match call.way {
        Way::Waits => cancellable(ASYNCHRONOUS, work),
        Way::Soon => work(),
    }
}

/// The guard is armed.
#[inline(always)]
fn call_guarded<const NUMBER: c_long>(engine: &'static Engine, args: [usize; 6]) -> Option<isize> {
    let call = Direct::<NUMBER>::CALL;
    let thread = thread::current().filter(|thread| !thread.has_left());
    if let Some(thread) = thread {
        come_at_direct_call(thread);
    }
    let mut ranges = Ranges::new(engine);
    Direct::<NUMBER>::claim(&mut ranges, &args);
    if ranges.failed {
        return None;
    }
    // SAFETY: the program's own call; what it accesses of ours is pinned where this is called.
    let plain = || unsafe { sys::call(call.number, args) };
    if ranges.found().is_empty() {
        return Some(make(call, &plain));
    }
    if ranges.total > WAIT_WITH {
        return None;
    }
    // A thread that has not entered yet, or has left: nobody will jump out of its call.
    let spare = Hold::default();
    // Pinning is no moment to be cancelled at.
    cancellable(DEFERRED, || {
        let hold = thread.map_or(Some(&spare), |thread| thread.guard().holds.take(engine, stack_pointer()))?;
        let pinned = ranges.found().iter().all(|range| hold.pin(engine, range));
        let held = pinned && !(call.way == Way::Waits && engine.is_crowded());
        let result = held.then(|| failures::note(call.number, make(call, &plain)));
        hold.release(engine);
        result
    })
}
