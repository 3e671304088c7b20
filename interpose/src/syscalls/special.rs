//! Calls that change what the guard stands on: signal masks and actions, futexes, structures that the
//! kernel keeps writing to, the end of a thread.

use super::dispatch::Context;
use super::program::{self, Claims};
use super::shapes::{walk, Memory, Shape};
use super::slots::{Kind, Pins, Slot};
use super::table::Way;
use super::{aio, children, descriptors, mappings, transfer};
use crate::signals::kernel::Action;
use crate::signals::{actions, masks, stack, trampolines, OURS};
use crate::thread::{self, Thread};
use vmcore::engine::Engine;
use vmcore::sys::{self, file};
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

impl Verdict {
    /// The result, if there is one already.
    pub fn result(&self) -> Option<isize> {
        match self {
            Verdict::Done(result) => Some(*result),
            _ => None,
        }
    }
}

const EINVAL: isize = -(libc::EINVAL as isize);
const EFAULT: isize = -(libc::EFAULT as isize);
/// Bytes of libc's control block of a thread, and of what the kernel writes to in it.
const CONTROL_BLOCK: usize = 2304;

/// A thread's control block at `block` stays in memory from now on, if it is in a block: the kernel writes
/// to it when it schedules the thread, and when the thread ends. So does the word of thread-local storage
/// where our handlers look for the thread's record.
pub fn keep_control_block(engine: &'static Engine, block: usize) {
    let own = block.wrapping_add_signed(thread::storage_offset());
    for (address, len) in [(block, CONTROL_BLOCK), (own, size_of::<usize>())] {
        if engine.is_ours(address) {
            engine.pin(address, len, Access::Write, true);
        }
    }
}

/// What happens before a special call is made.
pub fn before(thread: &'static Thread, engine: &'static Engine, context: &mut Context, slot: &mut Slot) -> Verdict {
    let [a, b, c, d, e, f] = slot.args;
    match slot.number {
        13 => Verdict::Done(action(engine, [a, b, c, d])),
        14 => Verdict::Done(mask(thread, engine, context, [a, b, c, d])),
        15 => go_back(engine, context, slot),
        // The sets that a call waits with, or waits for, never hold our signals.
        128 | 130 => without_ours(engine, slot, 0, a, Way::Waits),
        271 => without_ours(engine, slot, 3, d, Way::Waits),
        281 | 441 => without_ours(engine, slot, 4, e, Way::Waits),
        333 => {
            slot.kind = Kind::Requests;
            slot.finish = true;
            mask_pair(engine, slot, f)
        }
        282 | 289 => without_ours(engine, slot, 1, b, Way::Soon),
        270 => mask_pair(engine, slot, f),
        131 => Verdict::Done(alternate_stack(engine, context, [a, b])),
        56 | 57 | 58 | 435 => children::begin(thread, engine, context, slot),
        59 | 322 => children::execute(thread, context, slot),
        60 => {
            if let Some(slots) = thread.guard.slots() {
                slots.clear();
            }
            keep_robust_list(engine);
            Verdict::Go(Way::Soon)
        }
        9 | 10 | 11 | 25 | 28 | 149..=152 | 325 | 329 | 462 => {
            mappings::answer(engine, slot.number, slot.args).map_or(Verdict::Go(Way::Soon), Verdict::Done)
        }
        3 | 33 | 72 | 292 | 436 => {
            descriptors::answer(engine, slot.number, [a, b, c]).map_or(Verdict::Go(Way::Waits), Verdict::Done)
        }
        16 if b as u32 == mappings::UFFDIO_REGISTER => mappings::watch(engine, c).map_or(Verdict::Go(Way::Soon), Verdict::Done),
        16 => Verdict::Go(Way::Waits),
        5 | 32 => descriptors::answer(engine, slot.number, [a, b, c]).map_or(Verdict::Go(Way::Soon), Verdict::Done),
        160 | 302 => {
            // setrlimit, prlimit64: of the sizes of files, perhaps.
            file::expect_size_limit();
            Verdict::Go(Way::Soon)
        }
        // The kernel would keep buffers for as long as it likes: programs have another way, and take it.
        54 if is_zero_copy([b, c]) => Verdict::Done(-(libc::ENOPROTOOPT as isize)),
        425 => Verdict::Done(-(libc::ENOSYS as isize)),
        // Syscall User Dispatch is taken.
        157 if a == super::PR_SET_SYSCALL_USER_DISPATCH => Verdict::Done(EINVAL),
        202 => futex(engine, slot),
        // The kernel keeps these addresses and writes to them later: pinned for good.
        218 => keep(engine, a, 4),
        273 => keep(engine, a, 24),
        334 => keep(engine, a, b.min(4096)),
        209 => {
            aio::submit(engine, slot);
            slot.kind = Kind::Requests;
            slot.finish = true;
            Verdict::Go(Way::Soon)
        }
        207 | 208 => {
            slot.kind = Kind::Requests;
            slot.finish = true;
            Verdict::Go(Way::Waits)
        }
        278 => splice_memory(engine, slot),
        _ => Verdict::Go(Way::Soon),
    }
}

/// Whether setsockopt asks for sends without a copy.
pub fn is_zero_copy([level, name]: [usize; 2]) -> bool {
    (level as i32, name as i32) == (libc::SOL_SOCKET, libc::SO_ZEROCOPY)
}

fn keep(engine: &'static Engine, address: usize, len: usize) -> Verdict {
    if engine.is_ours(address) {
        engine.pin(address, len, Access::Write, true);
    }
    Verdict::Go(Way::Soon)
}

/// The thread ends: the kernel goes through the robust mutexes that it holds. They stay in memory from
/// now on, since nobody is told when the kernel is done.
pub fn keep_robust_list(engine: &'static Engine) {
    const MOST: usize = 2048;
    let (mut head, mut len) = (0usize, 0usize);
    // SAFETY: room for both answers.
    let got = unsafe { sys::call(libc::SYS_get_robust_list, [0, &raw mut head as usize, &raw mut len as usize, 0, 0, 0]) };
    let (Some(first), Some(offset)) = (word(engine, head), word(engine, head + 8)) else {
        return;
    };
    let mut entry = first as usize & !1;
    for _ in 0..MOST {
        if got < 0 || entry == 0 || entry == head {
            return;
        }
        for at in [entry, entry.wrapping_add(offset as usize)] {
            if engine.is_ours(at) {
                engine.pin(at, 8, Access::Write, true);
            }
        }
        entry = word(engine, entry).unwrap_or(0) as usize & !1;
    }
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

/// Reads a structure from program memory.
fn get<T: Copy>(engine: &'static Engine, at: usize) -> Option<T> {
    let mut value = core::mem::MaybeUninit::<T>::zeroed();
    let (ours, len) = (value.as_mut_ptr() as usize, size_of::<T>());
    // SAFETY: filled with the program's bytes; used for structures of plain numbers only.
    (program::copy(engine, ours, at, len, false) == len).then(|| unsafe { value.assume_init() })
}

/// Writes a structure to program memory.
fn put<T: Copy>(engine: &'static Engine, at: usize, value: &T) -> bool {
    program::copy(engine, core::ptr::from_ref(value) as usize, at, size_of::<T>(), true) == size_of::<T>()
}

/// rt_sigaction: as the door of the same name.
fn action(engine: &'static Engine, [signal, new, old, size]: [usize; 4]) -> isize {
    if size != 8 {
        return EINVAL;
    }
    let wanted: Option<Action> = if new == 0 { None } else { get(engine, new) };
    if new != 0 && wanted.is_none() {
        return EFAULT;
    }
    match actions::change(signal as i32, wanted.as_ref()) {
        Ok(before) if old == 0 || put(engine, old, &before) => 0,
        Ok(_) => EFAULT,
        Err(error) => -(error.0 as isize),
    }
}

/// rt_sigprocmask: the mask is the interrupted context's, which comes into force when we return, and
/// what is noted of our signals.
fn mask(thread: &'static Thread, engine: &'static Engine, context: &mut Context, [how, set, old, size]: [usize; 4]) -> isize {
    if size != 8 {
        return EINVAL;
    }
    let state = &thread.signals;
    let before = context.mask() | state.blocked.get();
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
        masks::set_ours(state, after);
    }
    if old != 0 && !put(engine, old, &before) {
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
    context.set_rip(trampolines::restorer());
    Verdict::Left
}

/// sigaltstack: as the door of the same name.
fn alternate_stack(engine: &'static Engine, context: &Context, [new, old]: [usize; 2]) -> isize {
    let wanted: Option<libc::stack_t> = if new == 0 { None } else { get(engine, new) };
    if new != 0 && wanted.is_none() {
        return EFAULT;
    }
    // SAFETY: the program's own stack.
    match unsafe { stack::change(wanted.as_ref(), context.rsp()) } {
        Ok(before) if old == 0 || put(engine, old, &before) => 0,
        Ok(_) => EFAULT,
        Err(error) => -(error.0 as isize),
    }
}

/// Whether the buffers of a vmsplice are ours.
pub fn splices_ours(engine: &'static Engine, args: &[usize; 6]) -> bool {
    let mut pins = Pins::NONE;
    walk(&mut Claims::new(engine, &mut pins), args, 1, Shape::Vector(Access::Read, 2));
    let touches_ours = !pins.is_empty() && args[2] > 0 && args[1] != 0;
    pins.release();
    touches_ours
}

/// vmsplice gives pages to a pipe, and ours do not stay: it is given a copy, of as much as the pipe can take.
pub fn splice_memory(engine: &'static Engine, slot: &mut Slot) -> Verdict {
    let file = slot.args[0];
    if splices_ours(engine, &slot.args) {
        let ask = |command: i32| {
            // SAFETY: no pointers.
            unsafe { sys::call(libc::SYS_fcntl, [file, command as usize, 0, 0, 0, 0]) }
        };
        if ask(libc::F_GETFL) as i32 & libc::O_ACCMODE == libc::O_RDONLY {
            (slot.number, slot.now_number) = (19, 19);
        } else if let Ok(room @ 1..) = usize::try_from(ask(libc::F_GETPIPE_SZ)) {
            return transfer::copy_for_pipe(engine, slot, room).map_or_else(Verdict::Done, |()| Verdict::Go(Way::Waits));
        }
    }
    Verdict::Go(Way::Waits)
}

/// futex. A private word is known to the kernel by its address, so nothing is pinned while a thread
/// sleeps on it: an absent word is noticed before. A shared one is known by its frame: it stays there
/// as long as anybody sleeps.
fn futex(engine: &'static Engine, slot: &mut Slot) -> Verdict {
    let [word, operation, _, time, second, _] = slot.args;
    let private = operation & libc::FUTEX_PRIVATE_FLAG as usize != 0;
    let command = (operation & 0x7f) as i32;
    let waits = matches!(
        command,
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET | libc::FUTEX_LOCK_PI | libc::FUTEX_LOCK_PI2 | libc::FUTEX_WAIT_REQUEUE_PI
    );
    if waits && time != 0 && engine.is_ours(time) {
        let Some(limit) = get::<[usize; 2]>(engine, time) else {
            return Verdict::Done(EFAULT);
        };
        [slot.scratch[0], slot.scratch[1]] = limit;
        slot.now[3] = slot.scratch.as_ptr() as usize;
        slot.finish = true;
    }
    let mut claims = Claims::new(engine, &mut slot.pins);
    match command {
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET if private => {
            if engine.is_ours(word) {
                transfer::touch(engine, word);
                slot.kind = Kind::Retry;
                slot.finish = true;
            }
        }
        libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET if private => {}
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET | libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET => {
            claims.claim(0, word, 4, Access::Read);
        }
        _ => {
            claims.claim(0, word, 4, Access::Write);
            if matches!(
                command,
                libc::FUTEX_REQUEUE
                    | libc::FUTEX_CMP_REQUEUE
                    | libc::FUTEX_WAKE_OP
                    | libc::FUTEX_WAIT_REQUEUE_PI
                    | libc::FUTEX_CMP_REQUEUE_PI
            ) {
                claims.claim(4, second, 4, Access::Write);
            }
        }
    }
    slot.finish |= !slot.pins.is_empty();
    Verdict::Go(if waits { Way::Waits } else { Way::Soon })
}
