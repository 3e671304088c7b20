//! Jumps that restore a signal mask: setjmp and longjmp, and the contexts of ucontext.h.
//!
//! libc saves and restores the kernel's mask, by system calls of its own. What the program has
//! blocked of our signals travels in the last word of the saved set, which libc leaves alone: a note
//! that is good for that very mask. Without a good note nothing of ours is blocked.

use crate::next;
use crate::shared::kernel::{self, OURS};
use crate::shared::{ends, thread};
use crate::signals::{masks, ready};
use core::arch::naked_asm;
use core::ffi::{c_int, c_void};
use core::sync::atomic::Ordering;

/// The note on `blocked` of ours beside the kernel's mask.
const fn note(mask: u64, blocked: u64) -> u64 {
    mask.wrapping_mul(0x9e37_79b9_7f4a_7c15) & !OURS | blocked
}

/// `jmp_buf`: libc's registers, whether a mask was saved, the set of 128 bytes.
const SAVED: usize = 64;
const JUMP_NOTE: usize = 72 + 120;
/// `ucontext_t`: the kernel's context, whose last member is the set, here of 128 bytes.
const MASK: usize = 296;
const CONTEXT_NOTE: usize = MASK + 120;

/// # Safety
/// `at` must be the last word of a set.
unsafe fn save(at: *mut u64) {
    let blocked = thread::current().map_or(0, |thread| thread.signals().blocked.get());
    let mask = if blocked == 0 { None } else { kernel::change_mask(libc::SIG_BLOCK, None).ok() };
    // SAFETY: `at` is the last word of a set, as the caller promises.
    unsafe { at.write_unaligned(mask.map_or(0, |mask| note(mask.0, blocked))) };
}

/// What the set says of our signals: the note, and what the program itself put in the first word.
///
/// # Safety
/// `mask` must be the first word of a set, and `at` its last; or of what looks like one.
unsafe fn load(mask: *mut u64, at: *const u64) {
    if !ready() {
        return;
    }
    // SAFETY: both are words of what is as long as a set, as the caller promises.
    let (set, noted) = unsafe { (mask.read_unaligned(), at.read_unaligned()) };
    let is_good = noted == note(set & !OURS, noted & OURS);
    let blocked = set & OURS | if is_good { noted & OURS } else { 0 };
    let thread = thread::current();
    // Relaxed: the thread's own calls. A trapped call takes the whole mask from the set; the kernel
    // must not find our signals in it.
    let trapped = thread.is_some_and(|thread| thread.selector.load(Ordering::Relaxed) != 0);
    let wanted = if trapped { set | blocked } else { set & !OURS };
    if wanted != set {
        // SAFETY: as above; the word is the program's mask, which is about to be loaded.
        unsafe { mask.write_unaligned(wanted) };
    }
    if let Some(thread) = thread {
        masks::set_ours(thread.signals(), blocked);
    }
}

fn address(known: Option<unsafe extern "C" fn()>) -> usize {
    known.map_or(0, |function| function as usize)
}

/// What `__sigsetjmp` does first; returns libc's own.
unsafe extern "C" fn before_setjmp(jump: *mut c_void, saves: c_int) -> usize {
    if saves != 0 {
        // SAFETY: a jmp_buf that is about to be filled.
        unsafe { save(jump.wrapping_byte_add(JUMP_NOTE).cast()) };
    }
    address(next!(c"__sigsetjmp", unsafe extern "C" fn()))
}

// They return twice, so libc's own must find our caller's stack: it is jumped to, not called.
macro_rules! jump_to {
    ($before:ident) => {
        naked_asm!(
            "push rdi",
            "push rsi",
            "sub rsp, 8",
            "call {before}",
            "add rsp, 8",
            "pop rsi",
            "pop rdi",
            "jmp rax",
            before = sym $before,
        )
    };
}

/// See sigsetjmp(3).
///
/// # Safety
/// As the original.
#[unsafe(naked)]
pub unsafe extern "C" fn __sigsetjmp(jump: *mut c_void, saves: c_int) -> c_int {
    jump_to!(before_setjmp)
}

/// See setjmp(3): BSD's, which saves the mask.
///
/// # Safety
/// As the original.
#[unsafe(naked)]
pub unsafe extern "C" fn setjmp(jump: *mut c_void) -> c_int {
    naked_asm!("mov esi, 1", "jmp {sigsetjmp}", sigsetjmp = sym __sigsetjmp)
}

/// # Safety
/// A jmp_buf that was filled.
unsafe fn before_longjmp(jump: *mut c_void) {
    // SAFETY: a jmp_buf that was filled says at SAVED whether a set follows, as the caller promises.
    unsafe {
        if jump.wrapping_byte_add(SAVED).cast::<c_int>().read() != 0 {
            load(jump.wrapping_byte_add(SAVED + 8).cast(), jump.wrapping_byte_add(JUMP_NOTE).cast());
        }
    }
}

type Jump = unsafe extern "C" fn(*mut c_void, c_int) -> !;

fn no_jump() -> ! {
    ends::abort()
}

macro_rules! longjmp {
    ($name:ident) => {
        /// See longjmp(3).
        ///
        /// # Safety
        /// As the original.
        pub unsafe fn $name(jump: *mut c_void, value: c_int) -> ! {
            let next = next!(c"siglongjmp", Jump);
            // SAFETY: the program jumps to a jmp_buf that setjmp has filled.
            unsafe {
                before_longjmp(jump);
                next.map_or_else(|| no_jump(), |next| next(jump, value))
            }
        }
    };
}

longjmp!(longjmp);
longjmp!(_longjmp);
longjmp!(siglongjmp);

/// longjmp that refuses to jump down the stack. It asks the kernel whether a signal handler leaves an
/// alternate stack, but the kernel does not know the program's.
///
/// # Safety
/// As the original.
pub unsafe fn __longjmp_chk(jump: *mut c_void, value: c_int) -> ! {
    let here = 0u8;
    let leaves = thread::current().is_some_and(|thread| thread.signals().alternate.get().contains(&raw const here as usize));
    if leaves {
        // SAFETY: the program jumps to a jmp_buf that setjmp has filled.
        unsafe { siglongjmp(jump, value) }
    }
    let next = next!(c"__longjmp_chk", Jump);
    // SAFETY: the program jumps to a jmp_buf that setjmp has filled.
    unsafe {
        before_longjmp(jump);
        next.map_or_else(|| no_jump(), |next| next(jump, value))
    }
}

unsafe extern "C" fn before_getcontext(context: *mut c_void) -> usize {
    // SAFETY: a ucontext_t that is about to be filled.
    unsafe { save(context.wrapping_byte_add(CONTEXT_NOTE).cast()) };
    address(next!(c"getcontext", unsafe extern "C" fn()))
}

/// See getcontext(3).
///
/// # Safety
/// As the original.
#[unsafe(naked)]
pub unsafe extern "C" fn getcontext(context: *mut c_void) -> c_int {
    jump_to!(before_getcontext)
}

/// # Safety
/// A context that was filled, or one in a signal frame.
unsafe fn before_setcontext(context: *mut c_void) {
    // SAFETY: the context was filled, or lies in a signal frame, as the caller promises; behind the kernel's context in
    // a frame lie words that are no note.
    unsafe { load(context.wrapping_byte_add(MASK).cast(), context.wrapping_byte_add(CONTEXT_NOTE).cast()) };
}

/// See setcontext(3).
///
/// # Safety
/// As the original.
pub unsafe fn setcontext(context: *mut c_void) -> c_int {
    let next = next!(c"setcontext", unsafe extern "C" fn(*mut c_void) -> c_int);
    // SAFETY: the program goes on in a context that was filled.
    unsafe {
        before_setcontext(context);
        next.map_or(-1, |next| next(context))
    }
}

unsafe extern "C" fn before_swapcontext(from: *mut c_void, to: *mut c_void) -> usize {
    // SAFETY: the program gives room for a context, and one that was filled.
    unsafe {
        save(from.wrapping_byte_add(CONTEXT_NOTE).cast());
        before_setcontext(to);
    }
    address(next!(c"swapcontext", unsafe extern "C" fn()))
}

/// See swapcontext(3).
///
/// # Safety
/// As the original.
#[unsafe(naked)]
pub unsafe extern "C" fn swapcontext(from: *mut c_void, to: *mut c_void) -> c_int {
    jump_to!(before_swapcontext)
}
