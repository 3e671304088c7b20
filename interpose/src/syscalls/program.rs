//! The program's memory as the guard reaches it: pinned for the kernel, and looked into without ever
//! faulting on an address that the program got wrong.

use super::shapes::Memory;
use super::slots::Pins;
use core::sync::atomic::{AtomicBool, Ordering};
use vmcore::engine::Engine;
use vmcore::sys::{self, thread, Errno, Result};
use vmcore::trace::Access;

/// Pins what a call will access.
pub struct Claims<'a> {
    /// Whose pages.
    pub engine: &'static Engine,
    /// Where the pins are remembered.
    pub pins: &'a mut Pins,
    /// Whether a range could not be pinned whole.
    pub short: bool,
    /// Whether everything has to be pinned, however much that is.
    pub forced: bool,
    /// Bytes pinned.
    pub total: usize,
    /// The call transfers what it is asked for, over the borders of blocks if need be: programs join
    /// buffers that happen to be neighbours.
    pub transfers: bool,
}

/// Ranges beyond this length are cut where their block ends, or where the blocks end: programs pass
/// careless lengths.
const CAREFUL: usize = 64 << 10;
/// The longest string that the kernel takes.
const LONGEST_TEXT: usize = 128 << 10;

impl<'a> Claims<'a> {
    /// Nothing claimed yet.
    pub fn new(engine: &'static Engine, pins: &'a mut Pins) -> Claims<'a> {
        Claims { engine, pins, short: false, forced: false, total: 0, transfers: false }
    }

    /// Pins a range that is ours; how many bytes of it.
    fn pin(&mut self, address: usize, len: usize, access: Access) -> usize {
        // One range may always be pinned, so that somebody gets on.
        if self.total > 0 && !self.forced && self.engine.is_full() {
            return 0;
        }
        let pinned = self.engine.pin(address, len, access, true);
        if pinned == 0 || self.pins.add((address, pinned)) {
            self.total += pinned;
            return pinned;
        }
        self.engine.unpin(address, pinned);
        0
    }
}

impl Memory for Claims<'_> {
    fn claim(&mut self, _arg: u8, address: usize, len: usize, access: Access) {
        // A transfer that cannot be pinned whole goes another way, so the rest of it need not be pinned: each
        // range gets a page at least, and a long vector would get all that there are.
        if len == 0 || self.transfers && self.short || !self.engine.is_ours(address) {
            return;
        }
        let mut len = len;
        if len > CAREFUL {
            if let Some((_, end)) = self.engine.block_around(address) {
                let mut reach = (end - address).next_multiple_of(self.engine.page());
                while self.transfers && reach < len && self.engine.is_block_page(address + reach) {
                    reach += self.engine.page();
                }
                len = len.min(reach);
            }
        }
        self.short |= self.pin(address, len, access) < len;
    }

    fn claim_text(&mut self, _arg: u8, address: usize) {
        if !self.engine.is_ours(address) {
            return;
        }
        let mut at = address;
        while at - address < LONGEST_TEXT && self.engine.is_block_page(at) {
            let len = (at | (self.engine.page() - 1)) + 1 - at;
            if self.pin(at, len, Access::Read) < len {
                self.short = true;
                return;
            }
            // SAFETY: a page of a block, resident and readable as long as it is pinned; other threads may
            // write to it, and then it does not matter what is seen.
            if (at..at + len).any(|at| unsafe { (at as *const u8).read_volatile() } == 0) {
                return;
            }
            at += len;
        }
    }

    fn claim_rest(&mut self, arg: u8, address: usize) {
        if let Some((_, end)) = self.engine.block_around(address) {
            self.claim(arg, address, end.saturating_sub(address), Access::Write);
        }
    }

    fn peek(&mut self, address: usize, to: &mut [u8]) -> bool {
        look(self.engine, address, to)
    }
}

/// Copies program memory that is resident, or not ours, to `to`; false if it cannot be read.
pub fn look(engine: &'static Engine, address: usize, to: &mut [u8]) -> bool {
    let last = address.wrapping_add(to.len()).wrapping_sub(1);
    if engine.is_block_page(address) && engine.is_block_page(last) {
        for (i, byte) in to.iter_mut().enumerate() {
            // SAFETY: pages of a block; if one is absent after all, our own fault handler brings it.
            *byte = unsafe { ((address + i) as *const u8).read_volatile() };
        }
        return true;
    }
    transfer(libc::SYS_process_vm_readv, to.as_mut_ptr() as usize, address, to.len())
}

/// A sandbox refuses the kernel's copying between processes, also from this one to itself.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Copies between our memory and the program's, by the kernel: a wrong address is an error, not a fault.
fn transfer(number: i64, ours: usize, program: usize, len: usize) -> bool {
    // Relaxed: whoever does not see it yet is refused once more.
    if !REFUSED.load(Ordering::Relaxed) {
        let local = [ours, len];
        let remote = [program, len];
        let own = thread::process_id() as usize;
        let args = [own, local.as_ptr() as usize, 1, remote.as_ptr() as usize, 1, 0];
        // SAFETY: both vectors live through the call, and `ours` has room.
        let done = unsafe { sys::call(number, args) };
        if !matches!(-done as i32, libc::EPERM | libc::EACCES | libc::ENOSYS) {
            return done == len as isize;
        }
        REFUSED.store(true, Ordering::Relaxed);
    }
    let (to, from) = if number == libc::SYS_process_vm_writev { (program, ours) } else { (ours, program) };
    // SAFETY: `ours` has room; a fault at the program's address ends the copy.
    unsafe { copy_carefully(to, from, len) == 0 }
}

/// Copies `len` bytes; how many are left when it meets memory that cannot be accessed. The fault handler
/// knows the one instruction that touches memory ([`give_up`]).
#[unsafe(naked)]
unsafe extern "C" fn copy_carefully(to: usize, from: usize, len: usize) -> usize {
    core::arch::naked_asm!(
        ".globl vmalloc_copies, vmalloc_copied",
        ".hidden vmalloc_copies, vmalloc_copied",
        "mov rcx, rdx",
        "vmalloc_copies: rep movsb",
        "vmalloc_copied: mov rax, rcx",
        "ret",
    )
}

/// Copies `len` bytes to or from an address of the program's, in its own context; EFAULT if it cannot be
/// accessed.
///
/// # Safety
/// The other address is valid; nobody else uses either.
pub unsafe fn copy_for_program(to: usize, from: usize, len: usize) -> Result<()> {
    // SAFETY: the caller's promise; a fault at the program's address ends the copy.
    match unsafe { copy_carefully(to, from, len) } {
        0 => Ok(()),
        _ => Err(Errno(libc::EFAULT)),
    }
}

/// The instruction at `rip` has met memory that is not to be had: where to go on if it is that of a
/// careful copy.
pub fn give_up(rip: usize) -> Option<usize> {
    unsafe extern "C" {
        static vmalloc_copies: u8;
        static vmalloc_copied: u8;
    }
    (rip == (&raw const vmalloc_copies) as usize).then_some((&raw const vmalloc_copied) as usize)
}

/// Copies `len` bytes between memory of ours and program memory, which may be absent; how many.
pub fn copy(engine: &'static Engine, ours: usize, program: usize, len: usize, to_program: bool) -> usize {
    let (access, number) =
        if to_program { (Access::Write, libc::SYS_process_vm_writev) } else { (Access::Read, libc::SYS_process_vm_readv) };
    let mut done = 0;
    while done < len {
        let at = program + done;
        let mut n = (len - done).min(CAREFUL);
        let is_ours = engine.is_ours(at);
        if is_ours {
            n = engine.pin(at, n, access, true);
        }
        let copied = n > 0 && transfer(number, ours + done, at, n);
        if is_ours {
            engine.unpin(at, n);
        }
        if !copied {
            break;
        }
        done += n;
    }
    done
}

/// Copies `from` to program memory; false if it cannot be written.
pub fn poke(engine: &'static Engine, address: usize, from: &[u8]) -> bool {
    copy(engine, from.as_ptr() as usize, address, from.len(), true) == from.len()
}

/// Copies program memory, which may be absent, to `to`; false if it cannot be read.
pub fn peek(engine: &'static Engine, address: usize, to: &mut [u8]) -> bool {
    copy(engine, to.as_mut_ptr() as usize, address, to.len(), false) == to.len()
}
