//! futex. A private word is known to the kernel by its address, so nothing is pinned while a thread
//! sleeps on it: an absent word is noticed before. A shared one is known by its frame: it stays there
//! as long as anybody sleeps.

use super::verdict::Verdict;
use crate::syscalls::pins::claims::Claims;
use crate::syscalls::pins::slots::{Ending, Slot};
use crate::syscalls::shapes::Memory;
use crate::syscalls::table::Way;
use crate::syscalls::{memory, transfers};
use vmcore::engine::Engine;
use vmcore::trace::Access;

const EFAULT: isize = -(libc::EFAULT as isize);

/// What happens before the call is made.
pub fn before(engine: &'static Engine, slot: &mut Slot) -> Verdict {
    let [word, operation, _, time, second, _] = slot.args;
    let private = operation & libc::FUTEX_PRIVATE_FLAG as usize != 0;
    let command = (operation & 0x7f) as i32;
    let waits = matches!(
        command,
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET | libc::FUTEX_LOCK_PI | libc::FUTEX_LOCK_PI2 | libc::FUTEX_WAIT_REQUEUE_PI
    );
    if waits && time != 0 && engine.is_ours(time) {
        let Some(limit) = memory::get::<[usize; 2]>(engine, time) else {
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
                transfers::touch(engine, word);
                slot.ending = Ending::Retry;
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
