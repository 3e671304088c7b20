//! clone, clone3, fork, vfork, execve: calls that make a process or a thread, or end what is here.
//!
//! A child that shares our memory is a birth (`births.rs`). One that does not is a fork: the call is
//! made here, in the handler of its trap, between the two halves of a snapshot. The handler's stack is
//! private memory, so the child touches no page of the heap before it has its own copy; the context
//! that both return to is copied with that stack.

use super::births::{self, Child};
use super::dispatch::Context;
use super::program::{self, Claims};
use super::shapes::{walk, Memory};
use super::slots::Slot;
use super::special::{self, Verdict};
use super::table::{self, Way};
use crate::signals::{actions, kernel, masks};
use crate::thread::{self, Thread};
use crate::{processes, statistics};
use core::ffi::c_int;
use vmcore::engine::Engine;
use vmcore::sys::thread::{self as threads, SignalSet};
use vmcore::sys::{self, Errno};
use vmcore::trace::Access;

/// The structure of clone3: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
/// set_tid, set_tid_size, cgroup; later kernels may know more words.
const WORDS: usize = 16;

/// What a child is made from, in the words of clone3.
#[derive(Default)]
struct Plan {
    words: [usize; WORDS],
    /// Bytes of it that the program gave; 0 for the older calls.
    len: usize,
}

const FLAGS: usize = 0;
const CHILD_TID: usize = 2;
const PARENT_TID: usize = 3;
const SIGNAL: usize = 4;
const STACK: usize = 5;
const STACK_SIZE: usize = 6;
const BLOCK: usize = 7;

const fn flag(flag: c_int) -> usize {
    flag as u32 as usize
}

const VM: usize = flag(libc::CLONE_VM);
const SET_BLOCK: usize = flag(libc::CLONE_SETTLS);
const PARENT_WORD: usize = flag(libc::CLONE_PARENT_SETTID);
const SET_CHILD_WORD: usize = flag(libc::CLONE_CHILD_SETTID);
const CHILD_WORD: usize = SET_CHILD_WORD | flag(libc::CLONE_CHILD_CLEARTID);

impl Plan {
    fn new(engine: &'static Engine, slot: &Slot) -> Result<Plan, Errno> {
        let [a, b, c, d, e, _] = slot.args;
        let mut plan = Plan::default();
        match slot.number {
            56 => {
                let (signal, flags) = (a & 0xff, a & 0xffff_ff00);
                plan.words = [flags, 0, d, c, signal, b, 0, e, 0, 0, 0, 0, 0, 0, 0, 0];
                // The older call puts the descriptor where the newer ones put the thread's number.
                if flags & flag(libc::CLONE_PIDFD) != 0 {
                    (plan.words[1], plan.words[PARENT_TID]) = (c, 0);
                }
            }
            57 => plan.words[SIGNAL] = libc::SIGCHLD as usize,
            58 => {
                plan.words[FLAGS] = VM | flag(libc::CLONE_VFORK);
                plan.words[SIGNAL] = libc::SIGCHLD as usize;
            }
            _ => {
                if b < 64 {
                    return Err(Errno(libc::EINVAL));
                }
                plan.len = b.min(WORDS * 8);
                let mut bytes = [0u8; WORDS * 8];
                let given = bytes.get_mut(..plan.len).ok_or(Errno(libc::EINVAL))?;
                if !program::peek(engine, a, given) {
                    return Err(Errno(libc::EFAULT));
                }
                for (word, bytes) in plan.words.iter_mut().zip(bytes.chunks_exact(8)) {
                    *word = bytes.try_into().map_or(0, usize::from_ne_bytes);
                }
                // The kernel is not shown the stack of a child with memory of its own.
                if (plan.words[STACK] == 0) != (plan.words[STACK_SIZE] == 0) {
                    return Err(Errno(libc::EINVAL));
                }
            }
        }
        Ok(plan)
    }

    const fn has(&self, flags: usize) -> bool {
        self.words[FLAGS] & flags != 0
    }

    /// Where the child's stack begins; 0 for its parent's.
    const fn stack(&self) -> usize {
        self.words[STACK].wrapping_add(self.words[STACK_SIZE])
    }
}

/// A call that makes a child.
pub fn begin(thread: &'static Thread, engine: &'static Engine, context: &mut Context, slot: &mut Slot) -> Verdict {
    let plan = match Plan::new(engine, slot) {
        Ok(plan) => plan,
        Err(error) => return Verdict::Done(-(error.0 as isize)),
    };
    let mut claims = Claims::new(engine, &mut slot.pins);
    if slot.number == 435 {
        claims.claim(0, slot.args[0], slot.args[1].min(4096), Access::Write);
    }
    if plan.has(PARENT_WORD) {
        claims.claim(0, plan.words[PARENT_TID], 4, Access::Write);
    }
    if plan.has(flag(libc::CLONE_PIDFD)) {
        claims.claim(0, plan.words[1], 4, Access::Write);
    }
    if !plan.has(VM) {
        return Verdict::Done(copy(engine, context, slot, &plan));
    }
    if plan.has(CHILD_WORD) && engine.is_ours(plan.words[CHILD_TID]) {
        // The kernel writes there when the thread ends: pinned for good.
        engine.pin(plan.words[CHILD_TID], 4, Access::Write, true);
    }
    if plan.has(SET_BLOCK) {
        special::keep_control_block(engine, plan.words[BLOCK]);
    }
    let child = if plan.has(flag(libc::CLONE_VFORK)) { Child::Borrower } else { Child::Beside };
    let Some(birth) = births::prepare(thread, child, plan.has(SET_BLOCK), context.rip(), slot.args) else {
        return Verdict::Done(-(libc::EAGAIN as isize));
    };
    if !slot.pins.is_empty() {
        // Kept until the next trap, which comes when the call has been made.
        slot.key = 1;
    }
    births::leave_for(birth, context);
    Verdict::Left
}

/// A child with memory of its own.
fn copy(engine: &'static Engine, context: &mut Context, slot: &Slot, plan: &Plan) -> isize {
    // What the kernel would do to the child before it has its own heap is done afterwards. Descriptors
    // are not shared but copied: parent and child close what the other goes on with.
    let mut words = plan.words;
    words[FLAGS] &= !(SET_BLOCK | SET_CHILD_WORD | flag(libc::CLONE_FILES));
    let stack = plan.stack();
    (words[STACK], words[STACK_SIZE]) = (0, 0);
    let [flags, pidfd, child_tid, parent_tid, signal, ..] = words;
    let parent_word = if plan.has(flag(libc::CLONE_PIDFD)) { pidfd } else { parent_tid };
    let child = processes::with_copy(|| {
        // SAFETY: the program's own call, whose child goes on in this very frame.
        unsafe {
            match slot.number {
                435 => sys::call(435, [words.as_ptr() as usize, plan.len, 0, 0, 0, 0]),
                _ => sys::call(libc::SYS_clone, [flags | signal, 0, parent_word, child_tid, 0, 0]),
            }
        }
    });
    if child == 0 {
        if plan.has(SET_CHILD_WORD) {
            program::poke(engine, plan.words[CHILD_TID], &threads::id().to_ne_bytes());
        }
        if plan.has(SET_BLOCK) {
            let own = thread::running();
            const ARCH_SET_FS: usize = 0x1002;
            // SAFETY: the program's own wish.
            unsafe { sys::call(libc::SYS_arch_prctl, [ARCH_SET_FS, plan.words[BLOCK], 0, 0, 0, 0]) };
            if let Some(own) = own {
                thread::keep_current(own);
            }
        }
        if stack != 0 {
            context.set_rsp(stack);
        }
    }
    child
}

/// execve and execveat. What the program has blocked of our signals is blocked in the new program too.
pub fn execute(thread: &'static Thread, context: &Context, slot: &mut Slot) -> Verdict {
    statistics::before_exec(slot.number, &slot.args);
    let state = &thread.signals;
    let ignores = actions::meant(libc::SIGSEGV).handler == libc::SIG_IGN && thread::is_alone();
    if state.blocked.get() == 0 && !ignores {
        return Verdict::Go(Way::Waits);
    }
    // Not at the gadget: if the call fails, its thread must not be without our signals there.
    let Some(engine) = crate::engine::get() else {
        return Verdict::Go(Way::Waits);
    };
    let args = slot.args;
    let shapes = table::find(slot.number).map_or(table::UNKNOWN, |call| call.shapes);
    let mut claims = Claims::new(engine, &mut slot.pins);
    shapes.iter().for_each(|(arg, shape)| walk(&mut claims, &args, *arg, *shape));
    let own = if ignores { actions::lend_ignored(libc::SIGSEGV) } else { None };
    let _ = kernel::change_mask(libc::SIG_SETMASK, Some(SignalSet(context.mask() | state.blocked.get())));
    // SAFETY: the program's own call, its memory pinned.
    let result = unsafe { sys::call(slot.number as i64, slot.args) };
    let _ = kernel::change_mask(libc::SIG_SETMASK, Some(masks::for_kernel(SignalSet::ALL)));
    if let Some(own) = own {
        actions::take_back(libc::SIGSEGV, &own);
    }
    Verdict::Done(result)
}
