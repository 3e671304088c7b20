//! clone, clone3, fork, vfork: calls that make a process or a thread.
//!
//! A child that shares our memory is a birth (`sharing.rs`). One that does not is a fork: the call is
//! made here, in the handler of its trap, between the two halves of a snapshot. The handler's stack is
//! private memory, so the child touches no page of the heap before it has its own copy; the context
//! that both return to is copied with that stack.

use super::fork;
use super::sharing::{self, Child};
use crate::shared::thread::{self, Thread};
use crate::shared::ucontext::Ucontext;
use crate::syscalls::pins::claims::Claims;
use crate::syscalls::pins::slots::Slot;
use crate::syscalls::shapes::Memory;
use crate::syscalls::{kept, memory};
use core::ffi::c_int;
use vmcore::engine::Engine;
use vmcore::sys::{self, thread as threads, Errno};
use vmcore::trace::Access;

/// The structure of clone3: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
/// set_tid, set_tid_size, cgroup; later kernels may know more words.
const WORDS: usize = 16;

/// What a child is made from, in the words of clone3.
#[derive(Default)]
struct CloneArguments {
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

impl CloneArguments {
    fn new(engine: &'static Engine, slot: &Slot) -> Result<CloneArguments, Errno> {
        let [a, b, c, d, e, _] = slot.args;
        let mut wanted = CloneArguments::default();
        match slot.number {
            libc::SYS_clone => {
                let (signal, flags) = (a & 0xff, a & 0xffff_ff00);
                wanted.words = [flags, 0, d, c, signal, b, 0, e, 0, 0, 0, 0, 0, 0, 0, 0];
                // The older call puts the descriptor where the newer ones put the thread's number.
                if flags & flag(libc::CLONE_PIDFD) != 0 {
                    (wanted.words[1], wanted.words[PARENT_TID]) = (c, 0);
                }
            }
            libc::SYS_fork => wanted.words[SIGNAL] = libc::SIGCHLD as usize,
            libc::SYS_vfork => {
                wanted.words[FLAGS] = VM | flag(libc::CLONE_VFORK);
                wanted.words[SIGNAL] = libc::SIGCHLD as usize;
            }
            _ => {
                if b < 64 {
                    return Err(Errno(libc::EINVAL));
                }
                wanted.len = b.min(WORDS * 8);
                let mut bytes = [0u8; WORDS * 8];
                let given = bytes.get_mut(..wanted.len).ok_or(Errno(libc::EINVAL))?;
                if !memory::peek(engine, a, given) {
                    return Err(Errno(libc::EFAULT));
                }
                for (word, bytes) in wanted.words.iter_mut().zip(bytes.chunks_exact(8)) {
                    *word = bytes.try_into().map_or(0, usize::from_ne_bytes);
                }
                // The kernel is not shown the stack of a child with memory of its own.
                if (wanted.words[STACK] == 0) != (wanted.words[STACK_SIZE] == 0) {
                    return Err(Errno(libc::EINVAL));
                }
            }
        }
        Ok(wanted)
    }

    const fn has(&self, flags: usize) -> bool {
        self.words[FLAGS] & flags != 0
    }

    /// Where the child's stack begins; 0 for its parent's.
    const fn stack(&self) -> usize {
        self.words[STACK].wrapping_add(self.words[STACK_SIZE])
    }
}

/// Makes a child, and answers what the call returns; `None` if the program makes the call, at the gadget.
pub fn begin(thread: &'static Thread, engine: &'static Engine, context: &mut Ucontext, slot: &mut Slot) -> Option<isize> {
    let wanted = match CloneArguments::new(engine, slot) {
        Ok(wanted) => wanted,
        Err(error) => return Some(-(error.0 as isize)),
    };
    let mut claims = Claims::new(engine, &mut slot.pins);
    if slot.number == libc::SYS_clone3 {
        claims.claim(0, slot.args[0], slot.args[1].min(4096), Access::Write);
    }
    if wanted.has(PARENT_WORD) {
        claims.claim(0, wanted.words[PARENT_TID], 4, Access::Write);
    }
    if wanted.has(flag(libc::CLONE_PIDFD)) {
        claims.claim(0, wanted.words[1], 4, Access::Write);
    }
    if !wanted.has(VM) {
        return Some(copy(engine, context, slot, &wanted));
    }
    if wanted.has(CHILD_WORD) && engine.is_ours(wanted.words[CHILD_TID]) {
        // The kernel writes there when the thread ends: pinned for good.
        engine.pin(wanted.words[CHILD_TID], 4, Access::Write, true);
    }
    if wanted.has(SET_BLOCK) {
        kept::keep_control_block(engine, wanted.words[BLOCK]);
    }
    let child = if wanted.has(flag(libc::CLONE_VFORK)) { Child::Borrower } else { Child::Beside };
    let Some(birth) = sharing::prepare(thread, child, wanted.has(SET_BLOCK), context.rip(), slot.args) else {
        return Some(-(libc::EAGAIN as isize));
    };
    if !slot.pins.is_empty() {
        // Kept until the next trap, which comes when the call has been made.
        slot.key = 1;
    }
    sharing::leave_for(birth, context);
    None
}

/// A child with memory of its own.
fn copy(engine: &'static Engine, context: &mut Ucontext, slot: &Slot, wanted: &CloneArguments) -> isize {
    // What the kernel would do to the child before it has its own heap is done afterwards. Descriptors
    // are not shared but copied: parent and child close what the other goes on with.
    let mut words = wanted.words;
    words[FLAGS] &= !(SET_BLOCK | SET_CHILD_WORD | flag(libc::CLONE_FILES));
    let stack = wanted.stack();
    (words[STACK], words[STACK_SIZE]) = (0, 0);
    let [flags, pidfd, child_tid, parent_tid, signal, ..] = words;
    let parent_word = if wanted.has(flag(libc::CLONE_PIDFD)) { pidfd } else { parent_tid };
    let child = fork::with_copy(|| {
        // SAFETY: the program's own call, whose child goes on in this very frame.
        unsafe {
            match slot.number {
                libc::SYS_clone3 => sys::call(libc::SYS_clone3, [words.as_ptr() as usize, wanted.len, 0, 0, 0, 0]),
                _ => sys::call(libc::SYS_clone, [flags | signal, 0, parent_word, child_tid, 0, 0]),
            }
        }
    });
    if child == 0 {
        if wanted.has(SET_CHILD_WORD) {
            memory::poke(engine, wanted.words[CHILD_TID], &threads::id().to_ne_bytes());
        }
        if wanted.has(SET_BLOCK) {
            let own = thread::running();
            const ARCH_SET_FS: usize = 0x1002;
            // SAFETY: the program's own wish.
            unsafe { sys::call(libc::SYS_arch_prctl, [ARCH_SET_FS, wanted.words[BLOCK], 0, 0, 0, 0]) };
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
