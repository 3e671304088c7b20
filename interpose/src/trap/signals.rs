//! Calls about signals: actions, masks, the alternate stack, the return from a handler; and those that wait with,
//! or for, a set of signals.

use super::verdict::Verdict;
use crate::shared::kernel::{Action, OURS};
use crate::shared::thread::Thread;
use crate::shared::ucontext::Ucontext;
use crate::signals::{actions, kernel_stack, masks, stack, trampolines};
use crate::syscalls::memory;
use crate::syscalls::pins::claims::Claims;
use crate::syscalls::pins::slots::Slot;
use crate::syscalls::shapes::Memory;
use crate::syscalls::table::Way;
use vmcore::engine::Engine;
use vmcore::page::Access;
use vmcore::sys::thread::SignalSet;

const EINVAL: isize = -(libc::EINVAL as isize);
const EFAULT: isize = -(libc::EFAULT as isize);

/// Replaces the set that argument `arg` points to by one without our signals.
pub fn without_ours(engine: &'static Engine, slot: &mut Slot, arg: u8, way: Way) -> Verdict {
    let arg = usize::from(arg);
    let at = slot.args[arg];
    if at != 0 {
        let Some(set) = memory::word(engine, at) else {
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

/// Does the same with the set of the pair that argument `arg` points to.
pub fn pair_without_ours(engine: &'static Engine, slot: &mut Slot, arg: u8) -> Verdict {
    let arg = usize::from(arg);
    let at = slot.args[arg];
    if at == 0 {
        return Verdict::Go(Way::Waits);
    }
    let (Some(set), Some(len)) = (memory::word(engine, at), memory::word(engine, at + 8)) else {
        return Verdict::Done(EFAULT);
    };
    if set != 0 {
        let Some(signals) = memory::word(engine, set as usize) else {
            return Verdict::Done(EFAULT);
        };
        slot.scratch[0] = &raw const slot.scratch[2] as usize;
        slot.scratch[1] = len as usize;
        slot.scratch[2] = (signals & !OURS) as usize;
        slot.now[arg] = slot.scratch.as_ptr() as usize;
        slot.finish = true;
    }
    Verdict::Go(Way::Waits)
}

/// rt_sigaction: as the wrapper of the same name.
pub fn action(engine: &'static Engine, [signal, new, old, size]: [usize; 4]) -> isize {
    if size != 8 {
        return EINVAL;
    }
    let wanted: Option<Action> = if new == 0 { None } else { memory::get(engine, new) };
    if new != 0 && wanted.is_none() {
        return EFAULT;
    }
    match actions::change(signal as i32, wanted.as_ref()) {
        Ok(before) if old == 0 || memory::put(engine, old, &before) => 0,
        Ok(_) => EFAULT,
        Err(error) => -(error.0 as isize),
    }
}

/// rt_sigprocmask: the mask is the interrupted context's, which comes into force when we return, and
/// what is noted of our signals.
pub fn change_mask(
    thread: &'static Thread,
    engine: &'static Engine,
    context: &mut Ucontext,
    [how, set, old, size]: [usize; 4],
) -> isize {
    if size != 8 {
        return EINVAL;
    }
    let state = thread.signals();
    let before = context.mask.0 | state.blocked.get();
    if set != 0 {
        let Some(set) = memory::word(engine, set) else {
            return EFAULT;
        };
        let after = match how as i32 {
            libc::SIG_BLOCK => before | set,
            libc::SIG_UNBLOCK => before & !set,
            libc::SIG_SETMASK => set,
            _ => return EINVAL,
        };
        let never = 1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1);
        context.mask = SignalSet(after & !OURS & !never);
        masks::set_ours(state, after);
    }
    if old != 0 && !memory::put(engine, old, &before) {
        return EFAULT;
    }
    0
}

/// rt_sigreturn: repeated from our text, with the program's stack pointer; its frame must be readable.
pub fn go_back(thread: &'static Thread, engine: &'static Engine, context: &mut Ucontext, slot: &mut Slot) -> Verdict {
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
    if let Some(mask) = memory::word(engine, frame + MASK) {
        masks::set_ours(thread.signals(), mask);
        if mask & OURS != 0 {
            memory::poke(engine, frame + MASK, &(mask & !OURS).to_ne_bytes());
        }
    }
    alternate_of_frame(thread, engine, frame);
    if !slot.pins.is_empty() {
        slot.key = 1;
    }
    context.set_rip(trampolines::restorer());
    Verdict::Left
}

/// A frame names the alternate stack that its handler's return brings back: the program's, in one that was made before the
/// thread was taken over, or by the program. The kernel must find ours there.
fn alternate_of_frame(thread: &'static Thread, engine: &'static Engine, frame: usize) {
    const STACK: usize = 16;
    const POINTER: usize = 160;
    let ours = kernel_stack(thread);
    let named: Option<libc::stack_t> = memory::get(engine, frame + STACK);
    let Some((named, pointer)) = named.zip(memory::word(engine, frame + POINTER)) else {
        return;
    };
    if named.ss_sp != ours.ss_sp {
        let state = thread.signals();
        if let Ok(changed) = state.alternate.get().changed(&named, pointer as usize, |new| stack::judge(thread, new)) {
            state.alternate.set(changed);
        }
        memory::put(engine, frame + STACK, &ours);
    }
}

/// sigaltstack: as the wrapper of the same name.
pub fn alternate_stack(engine: &'static Engine, context: &Ucontext, [new, old]: [usize; 2]) -> isize {
    let wanted: Option<libc::stack_t> = if new == 0 { None } else { memory::get(engine, new) };
    if new != 0 && wanted.is_none() {
        return EFAULT;
    }
    // SAFETY: the program's own stack.
    match unsafe { stack::change(wanted.as_ref(), context.rsp()) } {
        Ok(before) if old == 0 || memory::put(engine, old, &before) => 0,
        Ok(_) => EFAULT,
        Err(error) => -(error.0 as isize),
    }
}
