//! The rest of a transfer that the summons has cut short: a program that handles no signals never sees a count that is
//! short for this reason. What is short by its nature stays so: who reads from a pipe, a terminal or a socket has what
//! was there.

use crate::shared::kernel::{self, for_kernel};
use crate::syscalls::execution::perform;
use core::ffi::c_long;
use vmcore::engine::Engine;
use vmcore::sys;
use vmcore::sys::thread::SignalSet;

/// How much the call has transferred in the end, of which `done` bytes came before the signal; under the program's mask.
pub fn transfer(engine: &'static Engine, mask: SignalSet, number: c_long, args: [usize; 6], mut done: usize) -> usize {
    let [_, _, wanted, flags, ..] = args;
    let goes_on = match number {
        libc::SYS_write | libc::SYS_pwrite64 | libc::SYS_sendto => true,
        libc::SYS_recvfrom => flags & libc::MSG_WAITALL as usize != 0,
        libc::SYS_read | libc::SYS_pread64 => is_endless(args[0]),
        _ => false,
    };
    if !goes_on || done >= wanted {
        return done;
    }
    let _ = kernel::change_mask(libc::SIG_SETMASK, Some(mask));
    while done < wanted {
        let mut rest = args;
        rest[1] += done;
        rest[2] -= done;
        if matches!(number, libc::SYS_pread64 | libc::SYS_pwrite64) {
            rest[3] += done;
        }
        match perform(engine, number, rest) {
            more if more > 0 => done += more as usize,
            _ => break,
        }
    }
    let _ = kernel::change_mask(libc::SIG_SETMASK, Some(for_kernel(SignalSet::ALL)));
    done
}

/// Whether the descriptor is a device that always has more, such as /dev/zero: no terminal.
fn is_endless(fd: usize) -> bool {
    const TCGETS: usize = 0x5401;
    let mut status = core::mem::MaybeUninit::<libc::stat>::zeroed();
    let mut settings = [0u8; 64];
    // SAFETY: the kernel fills the structure, for which zero is valid too; the other has room for a terminal's settings.
    unsafe {
        let got = sys::call(libc::SYS_fstat, [fd, status.as_mut_ptr() as usize, 0, 0, 0, 0]);
        let terminal = sys::call(libc::SYS_ioctl, [fd, TCGETS, settings.as_mut_ptr() as usize, 0, 0, 0]);
        got == 0 && status.assume_init().st_mode & libc::S_IFMT == libc::S_IFCHR && terminal < 0
    }
}
