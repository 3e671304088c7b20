//! Addresses that the kernel keeps and writes to after the call is over: they stay in memory for good.

use super::memory;
use super::shapes::walk::walk;
use super::shapes::{Memory, Shape};
use crate::shared::thread;
use vmcore::engine::Engine;
use vmcore::sys;
use vmcore::trace::Access;

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

/// The thread ends: the kernel goes through the robust mutexes that it holds. They stay in memory from
/// now on, since nobody is told when the kernel is done.
pub fn keep_robust_list(engine: &'static Engine) {
    const MOST: usize = 2048;
    let (mut head, mut len) = (0usize, 0usize);
    // SAFETY: room for both answers.
    let got = unsafe { sys::call(libc::SYS_get_robust_list, [0, &raw mut head as usize, &raw mut len as usize, 0, 0, 0]) };
    let (Some(first), Some(offset)) = (memory::word(engine, head), memory::word(engine, head + 8)) else {
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
        entry = memory::word(engine, entry).unwrap_or(0) as usize & !1;
    }
}

/// What the arguments of a call point to stays in memory for good.
pub fn keep(engine: &'static Engine, args: &[usize; 6], shapes: &[(u8, Shape)]) {
    shapes.iter().for_each(|(arg, shape)| walk(&mut Keeper(engine), args, *arg, *shape));
}

/// Keeps what it is told of. Such a call's arguments point to nothing that points further.
struct Keeper(&'static Engine);

/// No structure that the kernel keeps is longer.
const MOST: usize = 4096;

impl Memory for Keeper {
    fn claim(&mut self, _arg: u8, address: usize, len: usize, access: Access) {
        if self.0.is_ours(address) {
            self.0.pin(address, len.min(MOST), access, true);
        }
    }

    fn claim_text(&mut self, _arg: u8, _address: usize) {}

    fn claim_rest(&mut self, _arg: u8, _address: usize) {}

    fn peek(&mut self, _address: usize, _to: &mut [u8]) -> bool {
        false
    }
}
