//! Calls that programs make all the time, as functions of the C library: they are made from our own
//! text, where the guard lets them pass, so they cost about what they cost without it.
//!
//! - Before the guard is armed, nothing is absent: [`vmalloc_direct`] looks at the flag and makes the
//!   call. A thread that is between the two when the guard is armed is sent back to the look
//!   ([`restart`]); one that is in the call has its memory pinned by the arming thread.
//! - Afterwards, buffers of ours are pinned for the call. What is too much for that (`WAIT_WITH`, or more
//!   ranges than a hold has) goes to libc's function, which traps.
//! - Waiting calls are points where a thread can be cancelled. libc makes the thread cancellable
//!   at any moment for the length of the call, if there are other threads; so do we, after pinning. One
//!   that is cancelled, or leaves by a jump out of a handler, leaves its hold behind; it is found
//!   stale by the thread's next call, as slots are.

use super::transfer::WAIT_WITH;
use super::{refused, ARMED};
use crate::signals::frame::Context;
use crate::{engine, syscalls, thread};
use core::cell::Cell;
use core::ffi::{c_char, c_int};
use core::sync::atomic::Ordering;
use vmcore::engine::Engine;
use vmcore::sys;
use vmcore::sys::thread::stack_pointer;
use vmcore::trace::Access;

/// Ranges that a hold has room for: a message with a few buffers.
const RANGES: usize = 8;
/// Calls of a thread that may be under way: one, and those of signal handlers on top of it.
const HOLDS: usize = 4;
/// As for slots: what is further below the stack pointer belongs to another stack.
const REACH: usize = 8 << 20;

/// The pins of a call. Used by its thread only, and by its signal handlers one inside the other.
#[derive(Default)]
pub struct Hold {
    /// Where the call's stack frame is; 0: free.
    key: Cell<usize>,
    count: Cell<usize>,
    ranges: [Cell<(usize, usize)>; RANGES],
}

/// The holds of a thread.
#[derive(Default)]
pub struct Holds([Hold; HOLDS]);

impl Hold {
    /// Pins a range; false if it cannot be pinned whole.
    fn pin(&self, engine: &'static Engine, range: &Range) -> bool {
        let count = self.count.get();
        let Some(place) = self.ranges.get(count) else {
            return false;
        };
        let pinned = engine.pin_in_program(range.address, range.len, range.access);
        place.set((range.address, pinned));
        self.count.set(count + 1);
        pinned == range.len
    }

    fn release(&self, engine: &'static Engine) {
        for range in self.ranges.iter().take(self.count.get()) {
            let (address, len) = range.get();
            engine.unpin(address, len);
        }
        self.count.set(0);
        self.key.set(0);
    }
}

impl Holds {
    /// A hold for a call from the stack pointer `stack`, when those that a jump left behind are gone.
    fn take(&self, engine: &'static Engine, stack: usize) -> Option<&Hold> {
        let is_left = |hold: &&Hold| hold.key.get() != 0 && stack.wrapping_sub(hold.key.get()) < REACH;
        self.0.iter().filter(is_left).for_each(|hold| hold.release(engine));
        let hold = self.0.iter().find(|hold| hold.key.get() == 0)?;
        hold.key.set(stack);
        Some(hold)
    }

    /// The thread ends, and whatever it was doing.
    pub fn clear(&self, engine: &'static Engine) {
        self.0.iter().filter(|hold| hold.key.get() != 0).for_each(|hold| hold.release(engine));
    }

    /// In a child process, which has no pins.
    pub fn forget(&self) {
        for hold in &self.0 {
            hold.count.set(0);
            hold.key.set(0);
        }
    }
}

/// Memory that a call accesses.
#[derive(Clone, Copy)]
struct Range {
    address: usize,
    len: usize,
    access: Access,
}

/// The memory of ours that a call accesses.
pub struct Ranges {
    engine: &'static Engine,
    count: usize,
    total: usize,
    list: [Range; RANGES],
}

impl Ranges {
    /// The kernel will access so many bytes; `None` if that is one range too many.
    #[inline(always)]
    pub fn add(&mut self, address: usize, len: usize, access: Access) -> Option<()> {
        if len != 0 && self.engine.is_ours(address) {
            *self.list.get_mut(self.count)? = Range { address, len, access };
            self.count += 1;
            self.total = self.total.saturating_add(len);
        }
        Some(())
    }

    /// Reads a structure of the program's, if that cannot fault on a wrong address: in a block, or on
    /// the stack of the caller.
    pub fn look<T: Copy>(&self, at: *const T) -> Option<T> {
        const NEAR: usize = 256 << 10;
        let address = at as usize;
        let on_stack = address.wrapping_sub(stack_pointer()) < NEAR;
        let in_block = |at: usize| self.engine.is_block_page(at);
        let readable = on_stack || in_block(address) && in_block(address + size_of::<T>() - 1);
        // SAFETY: readable, as was just seen; if another thread changes that, the program is wrong.
        readable.then(|| unsafe { at.read_unaligned() })
    }
}

core::arch::global_asm!(
    ".text",
    ".balign 16",
    ".hidden vmalloc_direct",
    ".globl vmalloc_direct",
    ".type vmalloc_direct, @function",
    "vmalloc_direct:",
    ".cfi_startproc",
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
    "ret",
    "2:",
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
/// not yet made its call, it looks again.
pub fn restart(context: &mut Context) {
    use crate::signals::frame::register::RIP;
    let (look, made) = (vmalloc_direct_look as *const () as u64, vmalloc_direct_made as *const () as u64);
    if (look..made).contains(&context.registers[RIP]) {
        context.registers[RIP] = look;
    }
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

/// Makes the call; `None` if libc's function has to. `waits` if it is a point of cancellation; `claim`
/// adds the memory that it accesses, or says that it cannot.
#[inline(always)]
pub fn call(number: usize, args: [usize; 6], waits: bool, claim: impl FnOnce(&mut Ranges) -> Option<()>) -> Option<isize> {
    let make = |work: &dyn Fn() -> isize| if waits { cancellable(ASYNCHRONOUS, work) } else { work() };
    if !ARMED.load(Ordering::Relaxed) {
        // SAFETY: the program's own call.
        let result = make(&|| unsafe { vmalloc_direct(number, &args) });
        if result != NOT_MADE {
            return Some(result);
        }
    }
    let engine = engine::get()?;
    let made = call_guarded(engine, number, args, waits, claim);
    if made.is_none() && refused::is_it() {
        return Some(refused::call(engine, number, args));
    }
    made
}

/// The guard is armed.
#[inline]
fn call_guarded(
    engine: &'static Engine,
    number: usize,
    args: [usize; 6],
    waits: bool,
    claim: impl FnOnce(&mut Ranges) -> Option<()>,
) -> Option<isize> {
    let make = |work: &dyn Fn() -> isize| if waits { cancellable(ASYNCHRONOUS, work) } else { work() };
    let thread = thread::current().filter(|thread| !thread.has_left());
    if let Some(thread) = thread {
        syscalls::arming::guard_at_door(thread);
    }
    let none = Range { address: 0, len: 0, access: Access::Read };
    let mut ranges = Ranges { engine, count: 0, total: 0, list: [none; RANGES] };
    claim(&mut ranges)?;
    // SAFETY: the program's own call; what it accesses of ours is pinned where this is called.
    let plain = || unsafe { sys::call(number as i64, args) };
    if ranges.count == 0 {
        return Some(make(&plain));
    }
    if ranges.total > WAIT_WITH {
        return None;
    }
    // A thread that has not entered yet, or has left: nobody will jump out of its call.
    let spare = Hold::default();
    // Pinning is no moment to be cancelled at.
    cancellable(DEFERRED, || {
        let hold = thread.map_or(Some(&spare), |thread| thread.guard.holds.take(engine, stack_pointer()))?;
        let held = ranges.list.iter().take(ranges.count).all(|range| hold.pin(engine, range)) && !(waits && engine.is_crowded());
        let result = held.then(|| refused::note(number, make(&plain)));
        hold.release(engine);
        result
    })
}
