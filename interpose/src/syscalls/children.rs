//! clone, clone3, fork and vfork: calls that return twice.
//!
//! A child that shares our memory and runs on a stack of its own finds where it begins below the top of
//! that stack; one that shares the stack too finds it in the thread's record. A child that does not
//! share memory is a fork, and goes through the door that copies the heap.

use super::dispatch::{leave_for, Context};
use super::gadget;
use super::program::{self, Claims};
use super::shapes::Memory;
use super::slots::Slot;
use super::special::{Verdict, CONTROL_BLOCK};
use crate::thread::Thread;
use core::sync::atomic::Ordering;
use vmcore::engine::Engine;
use vmcore::sys::thread as sys;
use vmcore::trace::Access;

/// What a child is made from, in the words of clone3.
#[derive(Default)]
struct Plan {
    flags: usize,
    pidfd: usize,
    child_word: usize,
    parent_word: usize,
    stack: usize,
    block: usize,
}

const VM: usize = libc::CLONE_VM as usize;
const SET_BLOCK: usize = libc::CLONE_SETTLS as usize;
const PARENT_WORD: usize = libc::CLONE_PARENT_SETTID as usize;
const CHILD_WORD: usize = (libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID) as usize;

fn plan(engine: &'static Engine, slot: &Slot) -> Option<Plan> {
    let [a, b, c, d, e, _] = slot.args;
    Some(match slot.number {
        56 => Plan { flags: a, stack: b, pidfd: c, parent_word: c, child_word: d, block: e },
        57 => Plan { flags: libc::SIGCHLD as usize, ..Plan::default() },
        58 => Plan { flags: VM | (libc::CLONE_VFORK | libc::SIGCHLD) as usize, ..Plan::default() },
        _ => {
            // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls
            let mut bytes = [0u8; 64];
            if !program::peek(engine, a, &mut bytes) {
                return None;
            }
            let mut words = bytes.chunks_exact(8).map(|bytes| bytes.try_into().map_or(0, usize::from_ne_bytes));
            let mut next = || words.next().unwrap_or(0);
            let (flags, pidfd, child_word, parent_word, _signal) = (next(), next(), next(), next(), next());
            let (base, size, block) = (next(), next(), next());
            Plan { flags, pidfd, child_word, parent_word, stack: base.wrapping_add(size), block }
        }
    })
}

/// A call that makes a child.
pub fn begin(thread: &'static Thread, engine: &'static Engine, context: &mut Context, slot: &mut Slot) -> Verdict {
    let Some(plan) = plan(engine, slot) else {
        return Verdict::Done(-(libc::EFAULT as isize));
    };
    if plan.flags & VM == 0 && is_fork(&plan) {
        return Verdict::Done(fork(engine, &plan));
    }
    if plan.flags & VM != 0 && plan.stack == 0 {
        // Relaxed: read by this thread, and by the child that it waits for.
        thread.guard.vfork_return.store(context.rip(), Ordering::Relaxed);
        context.set_rip(gadget::resume_vfork());
        return Verdict::Left;
    }
    let args = slot.args;
    let mut claims = Claims::new(engine, &mut slot.pins);
    if slot.number == 435 {
        claims.claim(0, args[0], args[1].min(4096), Access::Write);
    }
    if plan.flags & PARENT_WORD != 0 {
        claims.claim(0, plan.parent_word, 4, Access::Write);
    }
    if plan.flags & CHILD_WORD != 0 && engine.is_ours(plan.child_word) {
        // The kernel writes there when the thread ends: pinned for good.
        engine.pin(plan.child_word, 4, Access::Write, true);
    }
    if plan.flags & SET_BLOCK != 0 && engine.is_ours(plan.block) {
        engine.pin(plan.block, CONTROL_BLOCK, Access::Write, true);
    }
    if plan.flags & libc::CLONE_PIDFD as usize != 0 {
        claims.claim(0, plan.pidfd, 4, Access::Write);
    }
    let mut gadget = gadget::resume();
    if plan.stack != 0 {
        // What the child touches before it has an alternate stack for faults of its own.
        claims.claim(0, plan.stack.wrapping_sub(8192), 8192, Access::Write);
        if !program::poke(engine, plan.stack.wrapping_sub(8), &context.rip().to_ne_bytes()) {
            slot.end();
            return Verdict::Done(-(libc::EFAULT as isize));
        }
        gadget = gadget::resume_clone();
    }
    if !slot.pins.is_empty() {
        // Kept until this thread's next trap.
        slot.key = 1;
    }
    slot.finish = false;
    leave_for(engine, context, slot, gadget);
    Verdict::Left
}

/// Whether the child is a plain copy of this process.
fn is_fork(plan: &Plan) -> bool {
    plan.stack == 0 && plan.flags & !(PARENT_WORD | CHILD_WORD | 0xff) == 0
}

/// A fork by a raw call: as libc's, with a copy of the heap for the child.
fn fork(engine: &'static Engine, plan: &Plan) -> isize {
    let child = crate::processes::_Fork();
    if child < 0 {
        return -(libc::ENOMEM as isize);
    }
    if child == 0 {
        if plan.flags & libc::CLONE_CHILD_SETTID as usize != 0 {
            program::poke(engine, plan.child_word, &sys::id().to_ne_bytes());
        }
    } else if plan.flags & PARENT_WORD != 0 {
        program::poke(engine, plan.parent_word, &child.to_ne_bytes());
    }
    child as isize
}
