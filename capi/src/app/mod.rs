//! The application's side of the external pager: `vm_app.h`.
//!
//! Who includes the header is an application from its start on. Here are the three calls, and what a process needs
//! before the first; what happens below the fault handler is in `dialogue.rs`.

mod connection;
mod dialogue;
mod fork;
mod name;
mod tlb;

use connection::Connection;
use core::ffi::{c_int, c_void};
use core::fmt;
use dialogue::ARENA;
use external_pager::protocol::{Answer, Request, SOCKET_VARIABLE, VERSION};
use name::Path;
use tlb::Tlb;
use vmcore::report::say;
use vmcore::sync::Lock;
use vmcore::sys::Errno;

use crate::{faults, stacks};

/// The exit status of an application without a pager (EX_UNAVAILABLE).
const EXIT_NO_PAGER: c_int = 69;

/// Whether the arena's addresses and the faults there are ours already.
static SETTLED: Lock<bool> = Lock::new(false);
/// Connects and waits for the turn, unless that has been done.
#[no_mangle]
pub extern "C" fn vm_app_start() {
    settle();
    // Before the lock: the environment may lie in memory that faults itself.
    let path = Path::find();
    dialogue::begin(|| connect(&path));
    dialogue::wait_for_turn(false);
}

/// See `vm_app.h`.
#[no_mangle]
pub extern "C" fn vm_extend() -> *mut c_void {
    match ask(Request::Extend) {
        Ok(answer) if answer.done => answer.value as usize as *mut c_void,
        Ok(answer) => {
            set_errno(answer.value as c_int);
            core::ptr::null_mut()
        }
        Err(error) => {
            set_errno(error.0);
            core::ptr::null_mut()
        }
    }
}

/// See `vm_app.h`.
#[no_mangle]
pub extern "C" fn vm_syslog(message: *mut c_void, len: u32) -> c_int {
    let error = match ask(Request::Syslog { address: message as u64, len }) {
        Ok(answer) if answer.done => return 0,
        Ok(answer) => answer.value as c_int,
        Err(error) => error.0,
    };
    set_errno(error);
    -1
}

/// See `vm_app.h`.
#[no_mangle]
pub extern "C" fn vm_yield() {
    vm_app_start();
    dialogue::give_up_turn();
    dialogue::wait_for_turn(false);
}

/// A request of the program, in its turn.
fn ask(request: Request) -> Result<Answer, Errno> {
    vm_app_start();
    dialogue::ask(request)
}

/// Makes the process ready for an arena, once, and the thread ready for faults.
fn settle() {
    {
        let mut settled = SETTLED.hold();
        if !*settled {
            if let Err(error) = Tlb::reserve() {
                let (from, to) = (ARENA.start, ARENA.end);
                match error.0 {
                    libc::EEXIST => leave(format_args!("the arena {from:#x} to {to:#x} is in use")),
                    error => {
                        leave(format_args!("no address space for the arena {from:#x} to {to:#x} (error {error}; ulimit -v)"))
                    }
                }
            }
            if let Err(refused) = faults::watch(&ARENA) {
                leave(format_args!("cannot watch the arena: {refused:?}"));
            }
            *settled = true;
        }
    }
    // Also for another thread, and when the program has installed a handler of its own since.
    if !(stacks::enter_thread() && faults::install()) {
        leave(format_args!("the system refuses a handler for faults, or a stack for it"));
    }
    fork::prepare();
}

fn connect(path: &Path) -> Connection {
    let shown = path.shown();
    let Some(name) = path.name() else {
        leave(format_args!("the name of the pager's socket is longer than {} bytes: {shown}...", name::MOST - 1));
    };
    let opened = Connection::open(name).and_then(|connection| {
        connection.send(Request::Hello { version: VERSION })?;
        Ok(connection)
    });
    opened.unwrap_or_else(|error| match error.0 {
        libc::ENOENT | libc::ECONNREFUSED => leave(format_args!(
            "no external pager listens at {shown}: start one with `vmalloc pager -m PAGES`, or set {SOCKET_VARIABLE}"
        )),
        libc::EPERM => leave(format_args!("another user listens at {shown}")),
        error => leave(format_args!("cannot connect to the external pager at {shown}: error {error}")),
    })
}

fn set_errno(error: c_int) {
    // SAFETY: the thread's own errno.
    unsafe { *libc::__errno_location() = error };
}

/// An application that cannot be one ends.
fn leave(why: fmt::Arguments<'_>) -> ! {
    say(why);
    // SAFETY: ends the process, which has only begun.
    unsafe { libc::_exit(EXIT_NO_PAGER) }
}
