//! What the application and the pager say to each other, and the faults that make the application speak. Runs in
//! the fault handler: raw system calls, no allocation, no panic.
//!
//! All of it is guarded by one lock, which is never held while the application waits for its turn: signals are
//! handled then, and a handler that touches the arena, or another thread that does, waits for the same turn.

use core::fmt;
use external_pager::protocol::{Answer, Request, ARENA_BASE, ARENA_SIZE};
use vmcore::page::Access;
use vmcore::report::say;
use vmcore::sync::{Guard, Lock};
use vmcore::sys::thread::{self, Quiet, SignalSet};
use vmcore::sys::Errno;

use super::connection::{Connection, PATIENCE};
use super::tlb::Tlb;
use crate::faults::{Range, Touch, Touched};

/// What a process is to the pager.
#[derive(Clone, Copy)]
pub enum State {
    /// Nothing: no connection yet, or a child after fork.
    Alone,
    /// Not running. The frame file comes with the first turn.
    Waiting(Connection, Option<Tlb>),
    /// Running.
    Running(Connection, Tlb),
    /// The pager has ended, or has cut it off.
    Orphaned,
}

/// What this process is.
pub static STATE: Lock<State> = Lock::new(State::Alone);
/// The arena, as those whose faults we take know it.
pub static ARENA: Range = Range { start: ARENA_BASE, end: ARENA_BASE + ARENA_SIZE, door: &Arena };

struct Arena;

impl Touched for Arena {
    fn touched(&self, touch: Touch) -> bool {
        // Nothing is ever executed there.
        !touch.fetch && serve(touch)
    }
}

/// Makes a connection, unless there is one or was one.
pub fn begin(connect: impl FnOnce() -> Connection) {
    let mut state = STATE.hold();
    if let State::Alone = *state {
        *state = State::Waiting(connect(), None);
    }
}

/// A request of the program, in its turn.
pub fn ask(request: Request) -> Result<Answer, Errno> {
    let mut state = STATE.hold();
    exchange(&mut state, request)
}

/// Lets others run.
pub fn give_up_turn() {
    let mut state = STATE.hold();
    let State::Running(connection, tlb) = *state else {
        return;
    };
    // Nothing is mapped while others run: what we could not see then is seen to by faults later.
    *state = match Tlb::flush().and_then(|()| connection.send(Request::Yield)) {
        Ok(()) => State::Waiting(connection, Some(tlb)),
        Err(error) => lose(connection, error),
    };
}

/// A touch of the arena.
fn serve(touch: Touch) -> bool {
    let address = touch.address as u64;
    let request = match touch.access {
        Access::Read => Request::Load { address },
        Access::Write => Request::Store { address },
    };
    wait_for_turn(true);
    let quiet = Quiet::already();
    let mut state = STATE.hold_in(&quiet);
    if let State::Alone = *state {
        // A child that is no application yet: nothing of its arena is valid.
        return false;
    }
    match exchange(&mut state, request) {
        Ok(answer) if answer.value == libc::EIO as u64 => {
            die(format_args!("the pager's disk has failed: the page at {address:#x} cannot be had"))
        }
        Ok(answer) => answer.done,
        Err(_) => die(format_args!("the page at {address:#x} cannot be had without the pager")),
    }
}

/// Asks and gets the answer; what it says of the page table is done.
fn exchange(state: &mut Guard<'_, State>, request: Request) -> Result<Answer, Errno> {
    let State::Running(connection, tlb) = **state else {
        return Err(Errno(libc::ENOTCONN));
    };
    let answered = connection.send(request).and_then(|()| answer(connection)).and_then(|answer| {
        tlb.apply(&answer)?;
        Ok(answer)
    });
    answered.map_err(|error| {
        **state = lose(connection, error);
        Errno(libc::ENOTCONN)
    })
}

/// The answer, however long it takes; a pager that takes long is worth a word.
fn answer(connection: Connection) -> Result<Answer, Errno> {
    let mut told = false;
    loop {
        match connection.receive(true) {
            Err(Errno(libc::EAGAIN)) if told => {}
            Err(Errno(libc::EAGAIN)) => {
                say(format_args!("the external pager has not answered for {} s: still waiting", PATIENCE));
                told = true;
            }
            other => return other.map(|(answer, _)| answer),
        }
    }
}

/// Returns when the process runs, or has no pager. `masked` in the fault handler, which has every signal blocked.
pub fn wait_for_turn(masked: bool) {
    loop {
        let connection = {
            let quiet = Quiet::unless(masked);
            let mut state = STATE.hold_in(&quiet);
            let State::Waiting(connection, tlb) = *state else {
                return;
            };
            match connection.receive(false) {
                Ok((_, sent)) => {
                    *state = match tlb.or(sent.map(Tlb::new)) {
                        Some(tlb) => State::Running(connection, tlb),
                        // It was sent, and the kernel found no number for it.
                        None => lose(connection, Errno(libc::EMFILE)),
                    };
                    return;
                }
                Err(Errno(libc::EAGAIN)) => connection,
                Err(error) => {
                    *state = lose(connection, error);
                    return;
                }
            }
        };
        connection.wait();
    }
}

/// The connection has ended: says so.
fn lose(connection: Connection, error: Errno) -> State {
    connection.close();
    match error.0 {
        libc::EPIPE | libc::ECONNRESET => say(format_args!(
            "the external pager has ended, or has cut this application off (its messages say why): the arena is lost"
        )),
        libc::EMFILE => say(format_args!("no descriptor is left for the arena's memory (ulimit -n): the arena is lost")),
        error => say(format_args!("no understanding with the external pager (error {error}): the arena is lost")),
    }
    State::Orphaned
}

/// The page is lost, and so is who touches it: SIGBUS, as for a file that cannot be read.
fn die(why: fmt::Arguments<'_>) -> ! {
    say(why);
    loop {
        // SAFETY: all zero is the default action with no flags.
        unsafe {
            let default: libc::sigaction = core::mem::zeroed();
            libc::sigaction(libc::SIGBUS, &default, core::ptr::null_mut());
            libc::raise(libc::SIGBUS);
        }
        thread::set_signal_mask(SignalSet::ALL.without(libc::SIGBUS));
    }
}
