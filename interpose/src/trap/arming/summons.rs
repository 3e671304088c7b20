//! The handler to which every thread comes when the guard is armed. It runs where the program's handlers would: on the
//! alternate stack that the program has set, or on the thread's own. No page is absent before the thread is guarded.
//!
//! A call that the signal has cut short is made again, by the same instruction, which now traps. The kernel does so by
//! itself, but for calls that it ends with EINTR whatever a handler asks for; which of them it was says what the
//! arming thread has seen, or the instruction before. A transfer that has stopped in the middle goes on (`rest.rs`).

use super::rest;
use crate::guard::{direct, take_over};
use crate::shared::kernel::{self, SUMMONS};
use crate::shared::thread::{self, Thread};
use crate::shared::ucontext::Ucontext;
use crate::shared::{engine, own_text};
use crate::signals::{actions, claims, fault};
use crate::syscalls::memory;
use crate::syscalls::table::MOST;
use core::ffi::{c_int, c_long, c_void};
use core::sync::atomic::Ordering;
use vmcore::engine::Engine;
use vmcore::sys;
use vmcore::sys::thread::SignalSet;

/// Installs the handler.
pub fn install() {
    // SAFETY: the handler makes raw calls only and takes no lock that its thread may hold.
    let _ = unsafe { claims::claim(SUMMONS, on_summons) };
}

unsafe extern "C" fn on_summons(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's record of what the signal interrupted, which nobody else refers to.
    let interrupted = unsafe { &mut *context.cast::<Ucontext>() };
    // Acquire: pairs with `summon`, after which the call is here in which the thread was seen.
    let is_summoned =
        |thread: &&Thread| thread.guard().summoned.load(Ordering::Acquire) && !thread.guard().guarded.load(Ordering::Relaxed);
    let Some(thread) = thread::running().filter(is_summoned) else {
        // It may have been summoned by two others, or be cancelled.
        if actions::meant(SUMMONS).calls() {
            // SAFETY: the handler's own arguments, at its end.
            unsafe { fault::forward(info, context) };
        }
        return;
    };
    // One that nobody told us of finds its record in its own thread-local storage from now on.
    if thread::current().is_none() {
        thread::begin(thread, true);
    }
    let seen = thread.guard().seen.take();
    take_over(thread, interrupted);
    if let Some(engine) = engine::get() {
        end_call(engine, interrupted, &seen);
    }
}

/// Bytes of a `syscall` instruction.
const SYSCALL: usize = 2;

/// A call that has been cut short is made again, or goes on where it stopped, if we can tell which it was.
fn end_call(engine: &'static Engine, context: &mut Ucontext, seen: &[usize; 9]) {
    let is_over = context.returned_from_call();
    let result = context.rax() as isize;
    let is_cut = result == -(libc::EINTR as isize);
    let Some(number) = number_of(engine, context, seen).filter(|_| is_over && (is_cut || result > 0)) else {
        return direct::look_again(context);
    };
    let args = context.args();
    match number {
        _ if !is_cut => context.set_rax(rest::transfer(engine, context.mask, number, args, result as usize)),
        // What is left of a sleep only the kernel knows, until this handler returns.
        libc::SYS_nanosleep => sleep_on(context),
        libc::SYS_clock_nanosleep if args[1] & libc::TIMER_ABSTIME as usize == 0 => sleep_on(context),
        _ => {
            context.set_rip(context.rip() - SYSCALL);
            context.set_rax(number as usize);
            direct::look_again(context);
        }
    }
}

/// The number of the call that has just returned to `context`: as it was seen, or as the instructions say that made it.
fn number_of(engine: &'static Engine, context: &Ucontext, seen: &[usize; 9]) -> Option<c_long> {
    if own_text::contains(context.rip()) {
        return direct::number_made(context);
    }
    let [number, a, b, c, d, e, f, stack, counter] = *seen;
    if context.rip() == counter && context.rsp() == stack && context.args() == [a, b, c, d, e, f] {
        return Some(number as c_long);
    }
    let mut code = [0u8; 5];
    let read = memory::look(engine, context.rip() - SYSCALL - code.len(), &mut code);
    number_loaded(read.then_some(code)?, |register| context.general(register))
}

/// The number that the instruction before a `syscall` loads, as the C library's do: from itself, or a register that the
/// call has left alone.
fn number_loaded(code: [u8; 5], register: impl Fn(usize) -> u64) -> Option<c_long> {
    const FIRST_OF_UPPER: usize = 8;
    let [.., prefix, _, operands] = code;
    let number = match code {
        // mov eax, number
        [0xb8, number @ ..] => u32::from_le_bytes(number),
        // xor eax, eax
        [.., 0x31, 0xc0] => 0,
        // mov eax, register
        [.., 0x89, _] if operands & 0xc7 == 0xc0 => {
            let upper = if prefix == 0x44 { FIRST_OF_UPPER } else { 0 };
            register(usize::from(operands >> 3 & 7) + upper) as u32
        }
        _ => return None,
    };
    Some(c_long::from(number)).filter(|number| (*number as usize) < MOST)
}

/// The interrupted sleep goes on under the program's mask, and ends as it would have.
fn sleep_on(context: &mut Ucontext) {
    let _ = kernel::change_mask(libc::SIG_SETMASK, Some(context.mask));
    // SAFETY: the thread's own call, whose memory the kernel has read; what it may write, the rest of the time, is a
    // word that fails with EFAULT at worst.
    let result = unsafe { sys::call(libc::SYS_restart_syscall, [0; 6]) };
    let _ = kernel::change_mask(libc::SIG_SETMASK, Some(kernel::for_kernel(SignalSet::ALL)));
    context.set_rax(result as usize);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found_where_the_c_library_loads_it() {
        let registers = |register: usize| if register == 12 { libc::SYS_clock_nanosleep as u64 } else { 9999 };
        assert_eq!(number_loaded([0xb8, 7, 0, 0, 0], registers), Some(libc::SYS_poll));
        assert_eq!(number_loaded([0, 0, 0, 0x31, 0xc0], registers), Some(libc::SYS_read));
        assert_eq!(number_loaded([0, 0, 0x44, 0x89, 0xe0], registers), Some(libc::SYS_clock_nanosleep));
        assert_eq!(number_loaded([0, 0, 0x48, 0x89, 0xd0], registers), None);
        assert_eq!(number_loaded([0x90; 5], registers), None);
    }
}
