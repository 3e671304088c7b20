//! The requests of the application that runs, handed to the decisions.

use std::io::{self, Write};

use external_pager::decisions::{Fault, NoPage};
use external_pager::protocol::{Answer, Change, Request, ARENA_BASE, PAGE_SIZE};

use super::events::say;
use super::server::Server;

/// What goes before each message.
const SYSLOG: &[u8] = b"syslog \t\t\t";

impl Server {
    /// Does what the running application asks; `None` if it may not ask for it.
    pub(super) fn answer(&mut self, request: Request) -> Option<Answer> {
        let mut answer = match request {
            Request::Load { address } => self.fault(address, false),
            Request::Store { address } => self.fault(address, true),
            Request::Extend => self.extend(),
            Request::Syslog { address, len } => self.syslog(address, len),
            Request::Hello { .. } | Request::Yield => return None,
        };
        self.tell_changes(&mut answer);
        Some(answer)
    }

    fn fault(&mut self, address: u64, write: bool) -> Answer {
        // An address that does not fit is in no arena.
        let address = usize::try_from(address).unwrap_or(usize::MAX);
        let entry = self.decisions.entry(address);
        if entry.allows(write) {
            // The page table allows it: the application only has not heard, or has forgotten.
            let mut answer = Answer::new(true, 0);
            let page = (address - ARENA_BASE) / PAGE_SIZE;
            let _ = answer.push(Change { page: page as u32, entry });
            return answer;
        }
        let result = self.decisions.fault(address, write);
        let access = if write { "write" } else { "read" };
        self.events.line(format_args!("vm_fault({address:#x}, {access}) = {}", if result.is_ok() { 0 } else { -1 }));
        answer_for(result)
    }

    fn extend(&mut self) -> Answer {
        match self.decisions.extend() {
            Ok(address) => {
                self.events.line(format_args!("vm_extend() = {address:#x}"));
                Answer::new(true, address as u64)
            }
            Err(reason) => {
                self.events.line(format_args!("vm_extend() = NULL"));
                let errno = match reason {
                    NoPage::DiskFull => libc::ENOSPC,
                    NoPage::ArenaFull | NoPage::Memory => libc::ENOMEM,
                };
                Answer::new(false, errno as u64)
            }
        }
    }

    fn syslog(&mut self, address: u64, len: u32) -> Answer {
        let memory = self.memory;
        let mut text = SYSLOG.to_vec();
        let mut whole = true;
        let at = usize::try_from(address).unwrap_or(usize::MAX);
        let result = self.decisions.syslog(at, len, |frame, offset, len| {
            let before = text.len();
            text.resize(before + len, 0);
            whole &= text.get_mut(before..).is_some_and(|part| memory.bytes(frame, offset, part).is_ok());
        });
        let result = if whole { result } else { Err(Fault::Lost) };
        if result.is_ok() {
            text.push(b'\n');
            print(&text);
        }
        self.events.line(format_args!("vm_syslog({address:#x}, {len}) = {}", if result.is_ok() { 0 } else { -1 }));
        answer_for(result)
    }

    /// Adds to the answer what the application must know before it goes on.
    fn tell_changes(&mut self, answer: &mut Answer) {
        let room = Answer::MOST_CHANGES - answer.changes().len();
        match self.memory.take_changes().filter(|changes| changes.len() <= room) {
            Some(changes) => {
                for change in changes {
                    let _ = answer.push(change);
                }
            }
            None => answer.flush = true,
        }
    }
}

fn answer_for(result: Result<(), Fault>) -> Answer {
    match result {
        Ok(()) => Answer::new(true, 0),
        Err(Fault::Invalid) => Answer::new(false, libc::EFAULT as u64),
        Err(Fault::Lost) => Answer::new(false, libc::EIO as u64),
    }
}

/// A console that nobody reads any more is no reason to stop.
fn print(text: &[u8]) {
    let mut console = io::stdout().lock();
    if let Err(error) = console.write_all(text).and_then(|()| console.flush()) {
        say(format_args!("cannot print a message of an application: {error}"));
    }
}
