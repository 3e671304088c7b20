//! The program's memory as this library looks at it: never faulting on an address that the program got wrong.

use core::sync::atomic::{AtomicBool, Ordering};
use vmcore::engine::Engine;
use vmcore::sys::{self, Errno, Result};
use vmcore::trace::Access;

/// Ranges beyond this length are cut where their block ends, or where the blocks end: programs pass
/// careless lengths.
pub const CAREFUL: usize = 64 << 10;

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
        let own = sys::thread::process_id() as usize;
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
/// knows the one instruction that touches memory ([`fixup`]).
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
    // SAFETY: the caller promises that this library's side is valid and nobody else's; a fault at the program's address
    // ends the copy.
    match unsafe { copy_carefully(to, from, len) } {
        0 => Ok(()),
        _ => Err(Errno(libc::EFAULT)),
    }
}

/// The instruction at `rip` has met memory that is not to be had: where to go on if it is that of a
/// careful copy.
pub fn fixup(rip: usize) -> Option<usize> {
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

/// A word of program memory, which may be absent.
pub fn word(engine: &'static Engine, address: usize) -> Option<u64> {
    let mut bytes = [0; 8];
    peek(engine, address, &mut bytes).then(|| u64::from_ne_bytes(bytes))
}

/// Reads a structure from program memory.
pub fn get<T: Copy>(engine: &'static Engine, at: usize) -> Option<T> {
    let mut value = core::mem::MaybeUninit::<T>::zeroed();
    let (ours, len) = (value.as_mut_ptr() as usize, size_of::<T>());
    // SAFETY: filled with the program's bytes; used for structures of plain numbers only.
    (copy(engine, ours, at, len, false) == len).then(|| unsafe { value.assume_init() })
}

/// Writes a structure to program memory.
pub fn put<T: Copy>(engine: &'static Engine, at: usize, value: &T) -> bool {
    copy(engine, core::ptr::from_ref(value) as usize, at, size_of::<T>(), true) == size_of::<T>()
}
