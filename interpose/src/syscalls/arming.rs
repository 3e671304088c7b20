//! Switching the guard on, while other threads run.
//!
//! A thread's calls are trapped from the moment its selector says so; but it may be inside a call at
//! that moment, whose memory nobody has pinned. So each thread is watched in `/proc/self/task` until
//! it is seen waiting in a call, whose memory is then pinned on its behalf; or comes to a direct call,
//! and is in none; or has answered a signal from user mode. A trap while SIGSYS is blocked would kill, and libc blocks every signal for short
//! moments: those pass first.

use super::program::Claims;
use super::shapes::{walk, Shape};
use super::slots::Slot;
use super::{direct, own_text, refused, special, strangers, table, ARMED, REFUSED};
use crate::signals::frame::Context;
use crate::signals::{kernel, OURS};
use crate::thread::{self, Thread};
use core::ffi::CStr;
use core::fmt::Write;
use core::sync::atomic::Ordering;
use vmcore::engine::Engine;
use vmcore::sys::thread::{self as threads, SignalSet};
use vmcore::sys::{self, file, memory};

/// Looks at the threads in quick succession.
const LOOKS: u32 = 50;
/// Looks with a pause of a millisecond before a thread that still runs is sent a signal.
const PAUSES: u32 = 15;
/// Looks with such a pause before we go on without the thread.
const PATIENCE: u32 = 1000;

/// Pages will be absent from now on: every system call of every thread is guarded.
pub fn arm() {
    let Some(engine) = crate::engine::get() else {
        return;
    };
    if REFUSED.load(Ordering::Relaxed) {
        return refused::arm();
    }
    super::insist();
    // SeqCst: pairs with `enter_thread`: a new thread sees the flag, or we see the thread.
    ARMED.store(true, Ordering::SeqCst);
    for signal in (1..=64).filter(|signal| OURS & 1 << (signal - 1) == 0) {
        clear_mask(signal);
    }
    let own = thread::running();
    for thread in thread::all() {
        special::keep_control_block(engine, thread.guard.control_block.load(Ordering::Acquire));
    }
    guard_others(engine, own);
    strangers::invite();
    if let Some(own) = own.filter(|own| own.guard.dispatched.load(Ordering::Relaxed)) {
        guard_self(own);
    }
}

/// The running thread's calls are trapped from now on, if that cannot kill it.
pub fn guard_self(thread: &Thread) {
    thread.selector.store(1, Ordering::SeqCst);
    // Release: pairs with the acquire in `guard_others`.
    thread.guard.guarded.store(true, Ordering::Release);
}

/// The running thread makes a direct call: it is in none that began before the guard was armed. (Libc,
/// with signals blocked for a moment, makes no direct calls.)
#[inline]
pub fn guard_at_door(thread: &Thread) {
    let guard = &thread.guard;
    if !guard.guarded.load(Ordering::Relaxed) && guard.dispatched.load(Ordering::Relaxed) {
        guard_self(thread);
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

/// Called by a thread that waits in our own code, with signals blocked until it goes back to the program:
/// from then on its calls may be trapped.
pub fn answer_waiting() {
    // SeqCst: as in `enter_thread`.
    if !ARMED.load(Ordering::SeqCst) {
        return;
    }
    let unguarded =
        |thread: &&Thread| thread.selector.load(Ordering::Relaxed) == 0 && thread.guard.dispatched.load(Ordering::Relaxed);
    if let Some(thread) = thread::running().filter(unguarded) {
        guard_self(thread);
    }
}

/// SIGSYS that is no trap: if the arming thread asks whether we are in user mode, we are. False if
/// nobody asks.
pub fn answer(context: &mut Context) -> bool {
    let asked = |thread: &&Thread| thread.guard.asked.swap(false, Ordering::AcqRel);
    let Some(thread) = thread::running().filter(asked) else {
        return strangers::enter(context);
    };
    direct::restart(context);
    if thread.guard.dispatched.load(Ordering::Relaxed) {
        guard_self(thread);
    }
    true
}

/// Where a thread is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Gone,
    Running,
    /// Number, arguments, stack pointer and program counter.
    Call([usize; 9]),
}

/// Looks at the other threads again and again, until each is guarded or has been waited for in vain.
fn guard_others(engine: &'static Engine, own: Option<&'static Thread>) {
    for look in 0..LOOKS + PATIENCE {
        let mut left = false;
        for thread in thread::all() {
            let is_own = own.is_some_and(|own| core::ptr::eq(own, thread));
            // Acquire: pairs with `guard_self`.
            if !is_own && thread.guard.dispatched.load(Ordering::SeqCst) && !thread.guard.guarded.load(Ordering::Acquire) {
                let done = guard(engine, thread, look);
                thread.guard.guarded.fetch_or(done, Ordering::AcqRel);
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
    for thread in thread::all().filter(|thread| thread.guard.dispatched.load(Ordering::SeqCst)) {
        if !thread.guard.guarded.load(Ordering::Acquire) && blocked(thread.tid.load(Ordering::Acquire)) == EVERYTHING {
            thread.selector.store(1, Ordering::SeqCst);
        }
    }
}

/// Looks at a thread once; whether it is guarded, or gone.
fn guard(engine: &'static Engine, thread: &'static Thread, look: u32) -> bool {
    let tid = thread.tid.load(Ordering::Acquire);
    match place(tid) {
        Place::Gone => return true,
        Place::Call(call) if may_trap(tid, &call) => {
            thread.selector.store(1, Ordering::SeqCst);
            if may_trap(tid, &call) {
                return pin_call(engine, thread, tid);
            }
            thread.selector.store(0, Ordering::SeqCst);
        }
        // Only a thread that makes no calls, or is in libc's own all the time: a signal may cut a call
        // short.
        Place::Running if look >= LOOKS + PAUSES && blocked(tid) & 1 << (libc::SIGSYS - 1) == 0 => {
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
    if thread.guard.asked.swap(true, Ordering::Release) {
        return;
    }
    let args = [thread::process() as usize, tid as usize, libc::SIGSYS as usize, 0, 0, 0];
    // SAFETY: no pointers; our handler is in place.
    let sent = unsafe { sys::call(libc::SYS_tgkill, args) == 0 };
    thread.guard.asked.fetch_and(sent, Ordering::Relaxed);
}

/// Whether a trap right after `call` finds SIGSYS unblocked.
fn may_trap(tid: u32, call: &[usize; 9]) -> bool {
    // These calls block signals only while they wait.
    let replaces_mask = matches!(call[0], 128 | 130 | 270 | 271 | 281 | 441);
    let ours = own_text().is_some_and(|(start, len)| call[8].wrapping_sub(start) < len);
    replaces_mask || ours || blocked(tid) & 1 << (libc::SIGSYS - 1) == 0
}

/// The selector is set: pins what the thread's call accesses, if it is in one. False to look again.
fn pin_call(engine: &'static Engine, thread: &'static Thread, tid: u32) -> bool {
    let Place::Call(call) = place(tid) else {
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
    slot.begin(number, [a, b, c, d, e, f]);
    slot.key = stack;
    let shapes = table::find(number).map_or(table::UNKNOWN, |call| call.shapes);
    let mut claims = Claims::new(engine, &mut slot.pins);
    for (arg, shape) in shapes {
        walk(&mut claims, &slot.args, *arg, *shape);
    }
    if number == libc::SYS_futex as usize {
        walk(&mut claims, &slot.args, 0, Shape::In(super::shapes::Len::Fixed(4)));
    }
    let same = place(tid) == Place::Call(call);
    if !same || slot.pins.is_empty() {
        slot.end();
        // SAFETY: ours; nobody else knows it.
        let _ = unsafe { memory::unmap(at, 4096) };
        return same;
    }
    // Release: pairs with `land`. If the thread has trapped in between, its next trap takes it.
    thread.guard.in_flight.store(at as *mut Slot, Ordering::Release);
    true
}

/// Reads a small file of a thread.
fn read(tid: u32, name: &str, buffer: &mut [u8]) -> Option<usize> {
    let mut path = Path::new();
    // By its number: we may be a child that shares its parent's memory.
    write!(path, "/proc/{}/task/{tid}/{name}", thread::process()).ok()?;
    let path = path.text()?;
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as usize;
    // SAFETY: the path is a C string.
    let fd = unsafe { sys::call(libc::SYS_openat, [libc::AT_FDCWD as usize, path.as_ptr() as usize, flags, 0, 0, 0]) };
    if fd < 0 {
        return None;
    }
    let mut len = 0;
    while let Some(n) = buffer.get_mut(len..).and_then(|rest| file::read(fd as i32, rest).ok()).filter(|n| *n > 0) {
        len += n;
    }
    file::close(fd as i32);
    Some(len)
}

/// A short path, made without allocating.
pub struct Path {
    bytes: [u8; 64],
    len: usize,
}

impl Path {
    /// Empty.
    pub const fn new() -> Path {
        Path { bytes: [0; 64], len: 0 }
    }

    /// As a C string.
    pub fn text(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok()
    }
}

impl Write for Path {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        // One byte stays zero.
        if self.len + text.len() >= self.bytes.len() {
            return Err(core::fmt::Error);
        }
        if let Some(to) = self.bytes.get_mut(self.len..self.len + text.len()) {
            to.copy_from_slice(text.as_bytes());
        }
        self.len += text.len();
        Ok(())
    }
}

fn exists(tid: u32) -> bool {
    // SAFETY: no pointers; signal 0 only asks.
    unsafe { sys::call(libc::SYS_tgkill, [thread::process() as usize, tid as usize, 0, 0, 0, 0]) == 0 }
}

/// `running`, or `number args… stack counter`, or `-1 stack counter` outside of a call.
fn place(tid: u32) -> Place {
    let mut buffer = [0; 256];
    let Some(len) = read(tid, "syscall", &mut buffer) else {
        return if exists(tid) { Place::Running } else { Place::Gone };
    };
    let text = buffer.get(..len).unwrap_or(&[]);
    let mut words = text.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let mut call = [0; 9];
    for (i, word) in call.iter_mut().enumerate() {
        let value = words.next().and_then(|word| if i == 0 { number(word, 10) } else { number(word, 16) });
        match value {
            Some(value) => *word = value,
            None => return Place::Running,
        }
    }
    Place::Call(call)
}

fn number(text: &[u8], base: u32) -> Option<usize> {
    let text = core::str::from_utf8(text).ok()?;
    usize::from_str_radix(text.strip_prefix("0x").unwrap_or(text), base).ok()
}

/// The signals that the thread blocks.
fn blocked(tid: u32) -> u64 {
    let mut buffer = [0; 4096];
    let len = read(tid, "status", &mut buffer).unwrap_or(0);
    let text = buffer.get(..len).unwrap_or(&[]);
    let line = text.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"SigBlk:"));
    line.and_then(|line| number(line.get(7..)?.trim_ascii(), 16)).unwrap_or(0) as u64
}
