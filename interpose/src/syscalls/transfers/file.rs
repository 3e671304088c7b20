//! What the descriptor of a call is, on which depends whether the call may be made in pieces.

use crate::syscalls::pins::slots::Slot;
use vmcore::sys;

/// What a descriptor is, as far as it matters for the length of a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum File {
    /// Waits for nobody, and reads what it is asked for.
    Regular,
    /// Bytes without borders: any part of a request is right.
    Stream,
    /// Each call is one message.
    Message,
}

/// What the call's descriptor is.
pub fn file(slot: &Slot) -> File {
    if slot.number == libc::SYS_getrandom {
        return File::Regular;
    }
    let mut status = core::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: status has room for the answer; all zero is valid.
    let mode = unsafe {
        sys::call(libc::SYS_fstat, [slot.args[0], status.as_mut_ptr() as usize, 0, 0, 0, 0]);
        status.assume_init().st_mode
    };
    match mode & libc::S_IFMT {
        libc::S_IFREG | libc::S_IFBLK => File::Regular,
        libc::S_IFIFO => File::Stream,
        libc::S_IFSOCK => {
            let (mut kind, mut len) = (0i32, 4u32);
            let args = [
                slot.args[0],
                libc::SOL_SOCKET as usize,
                libc::SO_TYPE as usize,
                &raw mut kind as usize,
                &raw mut len as usize,
                0,
            ];
            // SAFETY: SO_TYPE is an int, for which there is room.
            unsafe { sys::call(libc::SYS_getsockopt, args) };
            if kind == libc::SOCK_STREAM {
                File::Stream
            } else {
                File::Message
            }
        }
        _ => File::Message,
    }
}
