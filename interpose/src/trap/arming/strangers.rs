//! Threads that nobody told us of: made by a bare `clone` while the guard was not armed. When it is
//! armed, each is asked by SIGSYS to enter, and does so in the handler. One that blocks SIGSYS stays
//! without a guard.

use super::proc::ShortPath;
use crate::births::threads;
use crate::guard::{dispatch_on, prepare_thread};
use crate::shared::thread;
use crate::shared::ucontext::Ucontext;
use crate::signals;
use crate::signals::stack::Alternate;
use core::ffi::CStr;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};
use vmcore::sys::thread as sys;
use vmcore::sys::{call, file};

/// Strangers are asked to enter.
static ASKING: AtomicBool = AtomicBool::new(false);
/// Looks, with a pause between them, for a stranger that has been asked.
const PATIENCE: u32 = 100;

fn is_known(tid: u32) -> bool {
    thread::all().any(|record| record.tid.load(Ordering::Acquire) == tid)
}

/// Asks every thread of the process that has no record to enter.
pub fn invite() {
    let mut path = ShortPath::new();
    let Ok(()) = write!(path, "/proc/{}/task", thread::process()) else {
        return;
    };
    let Some(dir) = path.text().and_then(|path| file::open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0).ok()) else {
        return;
    };
    let mut entries = [0u8; 2048];
    loop {
        let args = [dir as usize, entries.as_mut_ptr() as usize, entries.len(), 0, 0, 0];
        // SAFETY: the buffer has room for so many bytes.
        let len = unsafe { call(libc::SYS_getdents64, args) };
        let Some(mut rest) = usize::try_from(len).ok().filter(|len| *len > 0).and_then(|len| entries.get(..len)) else {
            break;
        };
        // Each: inode, offset, length of the entry, type, name.
        while let (Some(&[low, high]), Some(name)) = (rest.get(16..18), rest.get(19..)) {
            let tid = CStr::from_bytes_until_nul(name).ok().and_then(|name| name.to_str().ok()?.parse().ok());
            if let Some(tid) = tid.filter(|tid| !is_known(*tid)) {
                ask(tid);
            }
            rest = rest.get(usize::from(u16::from_ne_bytes([low, high])).max(20)..).unwrap_or(&[]);
        }
    }
    file::close(dir);
}

fn ask(tid: u32) {
    thread::storage_is_shared();
    ASKING.store(true, Ordering::SeqCst);
    let args = [thread::process() as usize, tid as usize, libc::SIGSYS as usize, 0, 0, 0];
    // SAFETY: no pointers; our handler is in place.
    if unsafe { call(libc::SYS_tgkill, args) } == 0 {
        for _ in 0..PATIENCE {
            if is_known(tid) {
                return;
            }
            sys::nap();
        }
    }
}

/// SIGSYS that is no trap: if the running thread is a stranger that was asked, it enters. False if not.
pub fn enter(context: &mut Ucontext) -> bool {
    if !ASKING.load(Ordering::SeqCst) || is_known(sys::id()) {
        return false;
    }
    let Some(record) = thread::reserve().filter(|record| prepare_thread(record)) else {
        return true;
    };
    record.signals().inherit(&signals::SignalState::default());
    // Its storage is its creator's, unless nobody has left a record there.
    thread::begin(record, thread::current().is_none());
    record.signals().alternate.set(Alternate::from_kernel(&context.stack));
    // The return from the handler sets the stack that its frame names.
    context.stack = signals::kernel_stack(record);
    record.selector.store(1, Ordering::SeqCst);
    record.guard().dispatched.store(dispatch_on(record), Ordering::SeqCst);
    threads::note_unannounced(record);
    threads::count();
    true
}
