//! The C library's older functions for signals: signal(3) in its dialects, System V's and BSD's.

use super::actions::change_action;
use crate::shared::errno::{answer, set_errno};
use crate::shared::kernel;
use crate::signals::masks;
use core::ffi::{c_int, c_uint};
use core::sync::atomic::{AtomicU64, Ordering};
use vmcore::sys::thread::SignalSet;
use vmcore::sys::{Errno, Result};

/// The signals that siginterrupt wants to interrupt system calls.
static INTERRUPTS: AtomicU64 = AtomicU64::new(0);

const SIG_HOLD: usize = 2;

fn one(signal: c_int) -> Result<SignalSet> {
    if (1..=64).contains(&signal) {
        Ok(SignalSet::EMPTY.with(signal))
    } else {
        Err(Errno(libc::EINVAL))
    }
}

/// A handler as signal(3) gives it back.
fn handler_or_error(result: Result<usize>) -> usize {
    result.unwrap_or_else(|error| {
        set_errno(error.0);
        libc::SIG_ERR
    })
}

fn set_handler(signal: c_int, handler: usize, flags: c_int, mask: SignalSet) -> Result<usize> {
    if handler == libc::SIG_ERR {
        return Err(Errno(libc::EINVAL));
    }
    change_action(signal, Some((handler, flags, mask))).map(|old| old.handler)
}

macro_rules! bsd {
    ($name:ident) => {
        /// See signal(2): the handler stays, and calls that it interrupts go on.
        pub fn $name(signal: c_int, handler: usize) -> usize {
            handler_or_error(one(signal).and_then(|mask| {
                let restarts = INTERRUPTS.load(Ordering::Relaxed) & mask.0 == 0;
                set_handler(signal, handler, if restarts { libc::SA_RESTART } else { 0 }, mask)
            }))
        }
    };
}

bsd!(signal);
bsd!(bsd_signal);
bsd!(ssignal);

macro_rules! sysv {
    ($name:ident) => {
        /// See sysv_signal(3): the handler is good for one signal, and calls are interrupted.
        pub fn $name(signal: c_int, handler: usize) -> usize {
            const INTERRUPT: c_int = 0x2000_0000;
            let flags = libc::SA_RESETHAND | libc::SA_NODEFER | INTERRUPT;
            handler_or_error(set_handler(signal, handler, flags, SignalSet::EMPTY))
        }
    };
}

sysv!(sysv_signal);
sysv!(__sysv_signal);

/// See sigset(3).
pub fn sigset(signal: c_int, handler: usize) -> usize {
    let change = || {
        let set = one(signal)?;
        if handler == SIG_HOLD {
            let now = change_action(signal, None)?.handler;
            let mask = masks::change(libc::SIG_BLOCK, Some(set))?;
            return Ok(if mask.has(signal) { SIG_HOLD } else { now });
        }
        let old = set_handler(signal, handler, 0, SignalSet::EMPTY)?;
        let mask = masks::change(libc::SIG_UNBLOCK, Some(set))?;
        Ok(if mask.has(signal) { SIG_HOLD } else { old })
    };
    handler_or_error(change())
}

/// See sigset(3).
pub fn sigignore(signal: c_int) -> c_int {
    answer(set_handler(signal, libc::SIG_IGN, 0, SignalSet::EMPTY))
}

/// See siginterrupt(3).
pub fn siginterrupt(signal: c_int, interrupts: c_int) -> c_int {
    answer(change_action(signal, None).and_then(|now| {
        let set = one(signal)?;
        let flags = if interrupts != 0 {
            INTERRUPTS.fetch_or(set.0, Ordering::Relaxed);
            now.flags & !kernel::RESTART
        } else {
            INTERRUPTS.fetch_and(!set.0, Ordering::Relaxed);
            now.flags | kernel::RESTART
        };
        change_action(signal, Some((now.handler, flags as c_int, now.mask)))
    }))
}

/// See sigset(3).
pub fn sighold(signal: c_int) -> c_int {
    answer(one(signal).and_then(|set| masks::change(libc::SIG_BLOCK, Some(set))))
}

/// See sigset(3).
pub fn sigrelse(signal: c_int) -> c_int {
    answer(one(signal).and_then(|set| masks::change(libc::SIG_UNBLOCK, Some(set))))
}

/// The old form of a set: the first 32 signals.
fn old_set(mask: c_int) -> SignalSet {
    SignalSet(u64::from(mask as c_uint))
}

fn old_answer(result: Result<SignalSet>) -> c_int {
    result.map_or_else(|error| answer::<()>(Err(error)), |set| set.0 as c_int)
}

/// See sigblock(3).
pub fn sigblock(mask: c_int) -> c_int {
    old_answer(masks::change(libc::SIG_BLOCK, Some(old_set(mask))))
}

/// See sigblock(3).
pub fn sigsetmask(mask: c_int) -> c_int {
    old_answer(masks::change(libc::SIG_SETMASK, Some(old_set(mask))))
}

/// See sigblock(3).
pub fn siggetmask() -> c_int {
    old_answer(masks::change(libc::SIG_BLOCK, None))
}
