//! Calls that change what the guard stands on: signal masks and actions, futexes, structures that the
//! kernel keeps writing to, the end of a thread.

use super::dispatch::{Context, OURS};
use super::program::{self, Claims};
use super::shapes::{walk, Memory, Shape};
use super::slots::{Kind, Pins, Slot};
use super::table::Way;
use super::{children, transfer};
use crate::signals::kernel;
use crate::thread::{self, Thread};
use core::sync::atomic::Ordering;
use vmcore::engine::Engine;
use vmcore::sys;
use vmcore::trace::Access;

/// What becomes of a call.
pub enum Verdict {
    /// It is carried out, perhaps with other arguments.
    Go(Way),
    /// It has been, with this result.
    Done(isize),
    /// The context goes elsewhere.
    Left,
}

const EINVAL: isize = -(libc::EINVAL as isize);
const EFAULT: isize = -(libc::EFAULT as isize);
/// Bytes of libc's control block of a thread, and of what the kernel writes to in it.
pub const CONTROL_BLOCK: usize = 2304;

/// What happens before a special call is made.
pub fn before(thread: &'static Thread, engine: &'static Engine, context: &mut Context, slot: &mut Slot) -> Verdict {
    let [a, b, c, d, e, f] = slot.args;
    match slot.number {
        13 => action(engine, slot),
        14 => Verdict::Done(mask(engine, context, [a, b, c, d])),
        15 => go_back(engine, context, slot),
        // The sets that a call waits with, or waits for, never hold our signals.
        128 | 130 => without_ours(engine, slot, 0, a, Way::Waits),
        271 => without_ours(engine, slot, 3, d, Way::Waits),
        281 | 441 => without_ours(engine, slot, 4, e, Way::Waits),
        282 | 289 => without_ours(engine, slot, 1, b, Way::Soon),
        270 => mask_pair(engine, slot, f),
        131 => Verdict::Done(alternate_stack(thread, engine, context, [a, b])),
        56 | 57 | 58 | 435 => children::begin(thread, engine, context, slot),
        60 => {
            if let Some(slots) = thread.guard.slots() {
                slots.clear();
            }
            Verdict::Go(Way::Soon)
        }
        // Syscall User Dispatch is taken.
        157 if a == super::PR_SET_SYSCALL_USER_DISPATCH => Verdict::Done(EINVAL),
        202 => futex(engine, slot),
        // The kernel keeps these addresses and writes to them later: pinned for good.
        218 => keep(engine, a, 4),
        273 => keep(engine, a, 24),
        334 => keep(engine, a, b.min(4096)),
        209 => {
            // The kernel is done with the buffers when it says so elsewhere: pinned for good.
            let mut for_good = Pins::NONE;
            walk(&mut Claims::new(engine, &mut for_good), &slot.args, 2, Shape::Iocbs(1));
            Verdict::Go(Way::Soon)
        }
        278 => splice_memory(engine, slot),
        _ => Verdict::Go(Way::Soon),
    }
}

fn keep(engine: &'static Engine, address: usize, len: usize) -> Verdict {
    if engine.is_ours(address) {
        engine.pin(address, len, Access::Write, true);
    }
    Verdict::Go(Way::Soon)
}

fn word(engine: &'static Engine, address: usize) -> Option<u64> {
    let mut bytes = [0; 8];
    program::peek(engine, address, &mut bytes).then(|| u64::from_ne_bytes(bytes))
}

/// Replaces the set that argument `arg` points to by one without our signals.
fn without_ours(engine: &'static Engine, slot: &mut Slot, arg: usize, at: usize, way: Way) -> Verdict {
    if at != 0 {
        let Some(set) = word(engine, at) else {
            return Verdict::Done(EFAULT);
        };
        if set & OURS != 0 {
            slot.scratch[0] = (set & !OURS) as usize;
            slot.now[arg] = slot.scratch.as_ptr() as usize;
            slot.finish = true;
        }
    }
    Verdict::Go(way)
}

fn mask_pair(engine: &'static Engine, slot: &mut Slot, at: usize) -> Verdict {
    if at == 0 {
        return Verdict::Go(Way::Waits);
    }
    let (Some(set), Some(len)) = (word(engine, at), word(engine, at + 8)) else {
        return Verdict::Done(EFAULT);
    };
    if set != 0 {
        let Some(signals) = word(engine, set as usize) else {
            return Verdict::Done(EFAULT);
        };
        slot.scratch[0] = &raw const slot.scratch[2] as usize;
        slot.scratch[1] = len as usize;
        slot.scratch[2] = (signals & !OURS) as usize;
        slot.now[5] = slot.scratch.as_ptr() as usize;
        slot.finish = true;
    }
    Verdict::Go(Way::Waits)
}

/// rt_sigaction: our signals keep our handlers, and no handler blocks them.
fn action(engine: &'static Engine, slot: &mut Slot) -> Verdict {
    let [signal, new, old, ..] = slot.args;
    if signal == libc::SIGSEGV as usize || signal == libc::SIGSYS as usize {
        if old != 0 && !program::poke(engine, old, &[0; 32]) {
            return Verdict::Done(EFAULT);
        }
        return Verdict::Done(0);
    }
    if new != 0 {
        let mut bytes = [0u8; 32];
        if !program::peek(engine, new, &mut bytes) {
            return Verdict::Done(EFAULT);
        }
        for (word, bytes) in slot.scratch.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = bytes.try_into().map_or(0, usize::from_ne_bytes);
        }
        slot.scratch[3] &= !(OURS as usize);
        slot.now[1] = slot.scratch.as_ptr() as usize;
    }
    Verdict::Go(Way::Soon)
}

/// rt_sigprocmask: the mask is the interrupted context's, which comes into force when we return.
fn mask(engine: &'static Engine, context: &mut Context, [how, set, old, size]: [usize; 4]) -> isize {
    if size != 8 {
        return EINVAL;
    }
    let before = context.mask();
    if set != 0 {
        let Some(set) = word(engine, set) else {
            return EFAULT;
        };
        let after = match how as i32 {
            libc::SIG_BLOCK => before | set,
            libc::SIG_UNBLOCK => before & !set,
            libc::SIG_SETMASK => set,
            _ => return EINVAL,
        };
        let never = 1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1);
        context.set_mask(after & !OURS & !never);
    }
    if old != 0 && !program::poke(engine, old, &before.to_ne_bytes()) {
        return EFAULT;
    }
    0
}

/// rt_sigreturn: repeated from our text, with the program's stack pointer; its frame must be readable.
fn go_back(engine: &'static Engine, context: &mut Context, slot: &mut Slot) -> Verdict {
    /// In the kernel's `struct ucontext`: pointer to the floating-point state, and the mask.
    const FLOATING: usize = 224;
    const MASK: usize = 296;
    let frame = context.rsp();
    let mut claims = Claims::new(engine, &mut slot.pins);
    claims.claim(0, frame, 512, Access::Write);
    if let Some(floating) = claims.word(frame + FLOATING).filter(|at| *at != 0) {
        claims.claim(0, floating, 512, Access::Read);
        // The kernel's own words in it: a magic number, and how long the extended state is.
        if claims.half(floating + 464) == Some(0x4650_5853) {
            let len = claims.half(floating + 468).unwrap_or(512).min(1 << 16);
            claims.claim(0, floating, len as usize, Access::Read);
        }
    }
    if let Some(mask) = word(engine, frame + MASK).filter(|mask| mask & OURS != 0) {
        program::poke(engine, frame + MASK, &(mask & !OURS).to_ne_bytes());
    }
    if !slot.pins.is_empty() {
        slot.key = 1;
    }
    context.set_rip(kernel::restorer());
    Verdict::Left
}

/// sigaltstack by a raw call: the alternate stack of the thread is ours, and the program's own one is
/// known to the wrapper only.
fn alternate_stack(thread: &'static Thread, engine: &'static Engine, context: &Context, [new, old]: [usize; 2]) -> isize {
    let (base, size) = (thread.stack(), thread::STACK);
    let inside = context.rsp().wrapping_sub(base) < size;
    if new != 0 && inside {
        return -(libc::EPERM as isize);
    }
    if old != 0 {
        let answer = if inside { [base, libc::SS_ONSTACK as usize, size] } else { [0, libc::SS_DISABLE as usize, 0] };
        for (i, word) in answer.iter().enumerate() {
            if !program::poke(engine, old + i * 8, &word.to_ne_bytes()) {
                return EFAULT;
            }
        }
    }
    0
}

/// vmsplice gives pages to a pipe, and ours do not stay: they are copied instead.
fn splice_memory(engine: &'static Engine, slot: &mut Slot) -> Verdict {
    let [file, at, count, ..] = slot.args;
    let mut pins = Pins::NONE;
    walk(&mut Claims::new(engine, &mut pins), &slot.args, 1, Shape::Vector(Access::Read, 2));
    let touches_ours = !pins.is_empty() && count > 0 && at != 0;
    pins.release();
    if touches_ours {
        // SAFETY: no pointers.
        let flags = unsafe { sys::call(libc::SYS_fcntl, [file, libc::F_GETFL as usize, 0, 0, 0, 0]) };
        let writes = flags as i32 & libc::O_ACCMODE != libc::O_RDONLY;
        slot.number = if writes { 20 } else { 19 };
        slot.now_number = slot.number;
    }
    Verdict::Go(Way::Waits)
}

/// futex: a word of ours is private to the process, whatever the caller says. The kernel would key a
/// shared one by its frame, and lose the waiters when the page moves.
fn futex(engine: &'static Engine, slot: &mut Slot) -> Verdict {
    const PRIVATE: usize = libc::FUTEX_PRIVATE_FLAG as usize;
    let [word, operation, count, time, second, _] = slot.args;
    let command = operation & 0x7f;
    let ours = engine.is_ours(word);
    // The kernel itself wakes who waits for the end of a thread, and as a shared word; it is pinned.
    let private = ours && operation & PRIVATE == 0 && !is_control_block(word);
    if private {
        slot.now[1] |= PRIVATE;
        slot.finish = true;
    }
    let waits = matches!(command, 0 | 6 | 9 | 11 | 13);
    if waits && time != 0 && engine.is_ours(time) {
        let mut bytes = [0; 16];
        if !program::peek(engine, time, &mut bytes) {
            return Verdict::Done(EFAULT);
        }
        for (word, bytes) in slot.scratch.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = bytes.try_into().map_or(0, usize::from_ne_bytes);
        }
        slot.now[3] = slot.scratch.as_ptr() as usize;
        slot.finish = true;
    }
    let mut claims = Claims::new(engine, &mut slot.pins);
    match command {
        // Nothing is pinned while a thread sleeps: an absent word is noticed before.
        0 | 9 if ours => {
            transfer::touch(engine, word);
            slot.kind = Kind::Retry;
            slot.finish = true;
        }
        0 | 9 => {}
        1 | 10 if private => {
            // Who went to sleep before the guard was armed is still known by the frame.
            claims.claim(0, word, 4, Access::Read);
            let shared = [word, operation, count, time, second, slot.args[5]];
            // SAFETY: the program's own call.
            let woken = unsafe { sys::call(libc::SYS_futex, shared) }.max(0);
            slot.pins.release();
            let left = count as i32 as isize - woken;
            if left <= 0 {
                return Verdict::Done(woken);
            }
            slot.now[2] = left as usize;
            // SAFETY: as above.
            let more = unsafe { sys::call(libc::SYS_futex, slot.now) };
            return Verdict::Done(if more < 0 && woken == 0 { more } else { woken + more.max(0) });
        }
        1 | 10 => {}
        _ => {
            claims.claim(0, word, 4, Access::Write);
            if matches!(command, 3 | 4 | 5 | 11 | 12) {
                claims.claim(4, second, 4, Access::Write);
            }
        }
    }
    if !slot.pins.is_empty() {
        slot.finish = true;
    }
    Verdict::Go(if waits { Way::Waits } else { Way::Soon })
}

fn is_control_block(address: usize) -> bool {
    thread::all().any(|thread| {
        // Relaxed: the block of a thread that runs was stored before it could be waited for.
        let block = thread.guard.control_block.load(Ordering::Relaxed);
        address.wrapping_sub(block) < CONTROL_BLOCK
    })
}
