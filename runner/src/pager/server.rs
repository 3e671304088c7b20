//! The pager process: one thread, one request after the other, none of which waits for an application.
//!
//! Each round looks at every connection once: who has ended, who asks. Then, if nobody runs, the next in the
//! queue is switched to and gets the answer that it waits for.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use external_pager::decisions::Decisions;
use external_pager::protocol::{Answer, Request, VERSION};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::events::{say, Events};
use super::memory::Memory;
use super::session::{Phase, Received, Session};
use super::socket::Listener;
use super::turns::Turns;

/// Who connects says what it wants within this time.
const MANNERS: Duration = Duration::from_secs(10);
/// Descriptors that are kept for ourselves; a connection needs two.
const OWN_DESCRIPTORS: u64 = 32;

/// The pager.
pub struct Server {
    pub(super) memory: &'static Memory,
    pub(super) events: &'static Events,
    pub(super) decisions: Decisions,
    listener: Listener,
    patience: Option<Duration>,
    sessions: BTreeMap<u64, Session>,
    most_sessions: usize,
    turns: Turns<u64>,
    next: u64,
}

impl Server {
    /// A pager without applications. `patience`: how long the one that runs may be silent while others
    /// wait.
    pub fn new(
        listener: Listener,
        memory: &'static Memory,
        decisions: Decisions,
        events: &'static Events,
        patience: Option<Duration>,
    ) -> Server {
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        let most_sessions = (descriptors.saturating_sub(OWN_DESCRIPTORS) / 2).clamp(1, u64::from(Decisions::MOST_PROCESSES));
        Server {
            memory,
            events,
            decisions,
            listener,
            patience,
            sessions: BTreeMap::new(),
            most_sessions: most_sessions as usize,
            turns: Turns::new(),
            next: 0,
        }
    }

    /// The signals that end a pager. From now on they wait until it looks, so that it always ends in good order.
    pub fn signals() -> Result<SignalFd> {
        let ends = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        ends.thread_block().context("cannot block signals")?;
        SignalFd::with_flags(&ends, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).context("cannot wait for signals")
    }

    /// Serves until a signal ends it.
    pub fn serve(&mut self, signals: &SignalFd) -> Result<()> {
        loop {
            let (ended, asking, wanted) = self.wait(signals)?;
            for id in ended {
                self.end(id, None);
            }
            // Not earlier: who had ended before the signal came is in the trace.
            if signals.read_signal()?.is_some() {
                return Ok(());
            }
            for id in asking {
                self.hear(id);
            }
            if wanted {
                self.accept();
            }
            self.lose_patience();
            self.switch();
        }
    }

    /// Waits until something happens: which connections have ended, which ask, and whether somebody
    /// wants in.
    fn wait(&self, signals: &SignalFd) -> Result<(Vec<u64>, Vec<u64>, bool)> {
        let mut polled = vec![PollFd::new(signals, PollFlags::IN)];
        polled.extend(self.sessions.values().map(|session| PollFd::new(session, PollFlags::IN)));
        // When the house is full, who wants in waits outside.
        if self.sessions.len() < self.most_sessions {
            polled.push(PollFd::new(self.listener.socket(), PollFlags::IN));
        }
        let limit = self.deadline().map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        match poll(&mut polled, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for applications"),
        }
        let happened: Vec<PollFlags> = polled.iter().skip(1).map(PollFd::revents).collect();
        let of = |flags: PollFlags, not: PollFlags| {
            let sessions = self.sessions.keys().zip(&happened);
            sessions.filter(|(_, seen)| seen.intersects(flags) && !seen.intersects(not)).map(|(id, _)| *id).collect()
        };
        let over = PollFlags::HUP | PollFlags::ERR;
        let wanted = happened.get(self.sessions.len()).is_some_and(|seen| !seen.is_empty());
        Ok((of(over, PollFlags::empty()), of(PollFlags::IN, over), wanted))
    }

    fn accept(&mut self) {
        while self.sessions.len() < self.most_sessions {
            let Some((socket, process)) = self.listener.accept() else {
                break;
            };
            self.sessions.insert(self.next, Session::new(socket, process));
            self.next += 1;
        }
    }

    /// One message of a connection.
    fn hear(&mut self, id: u64) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let received = session.receive();
        match (session.phase, received) {
            (_, Received::Nothing) => {}
            (_, Received::End) => self.end(id, None),
            (Phase::Stranger, Received::Request(Request::Hello { version })) => self.welcome(id, version),
            (Phase::Running, Received::Request(Request::Yield)) => {
                session.enter(Phase::Yielded);
                self.turns.give_up();
            }
            (Phase::Running, Received::Request(request)) => {
                session.enter(Phase::Running);
                match self.answer(request) {
                    Some(answer) => self.send(id, &answer, None),
                    None => self.end(id, Some("said hello twice")),
                }
            }
            (_, Received::Garbage) => self.end(id, Some("sent what is no request")),
            (_, Received::Request(_)) => self.end(id, Some("asked out of turn")),
        }
    }

    /// A stranger becomes an application.
    fn welcome(&mut self, id: u64, version: u32) {
        let Some(process) = self.sessions.get(&id).map(|session| session.process) else {
            return;
        };
        if version != VERSION {
            return self.end(id, Some("was built for another version of the pager"));
        }
        if process <= 0 || self.sessions.values().any(|other| other.process == process && other.phase != Phase::Stranger) {
            return self.end(id, Some("is connected already, or is not visible here"));
        }
        if let Err(error) = self.memory.add(process) {
            return self.end(id, Some(&format!("finds no memory: {error}")));
        }
        if !self.decisions.create(process) {
            self.memory.remove(process);
            return self.end(id, Some("finds no memory for its page table"));
        }
        self.events.line(format_args!("vm_create({process})"));
        if let Some(session) = self.sessions.get_mut(&id) {
            session.enter(Phase::New);
            self.turns.enter(id);
        }
    }

    fn send(&mut self, id: u64, answer: &Answer, file: Option<&File>) {
        let sent = self.sessions.get(&id).is_some_and(|session| session.send(answer, file.map(AsFd::as_fd)));
        if !sent {
            self.end(id, Some("does not take its answer"));
        }
    }

    /// Ends a connection, and the process that it was; with a reason, if the application did not end it.
    fn end(&mut self, id: u64, reason: Option<&str>) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        let process = session.process;
        if let Some(reason) = reason {
            say(format_args!("process {process} {reason}: it is cut off"));
        }
        if session.phase == Phase::Stranger {
            return;
        }
        self.turns.leave(id);
        if self.decisions.current() != Some(process) {
            self.run(process);
        }
        self.decisions.destroy();
        self.events.line(format_args!("vm_destroy()"));
        self.memory.remove(process);
        let running = self.turns.running().and_then(|id| self.sessions.get(&id)).map(|session| session.process);
        if let Some(running) = running {
            self.run(running);
        }
    }

    /// If nobody runs, the next does.
    fn switch(&mut self) {
        while let Some(id) = self.turns.next() {
            let Some(session) = self.sessions.get_mut(&id) else {
                continue;
            };
            let process = session.process;
            let file = (session.phase == Phase::New).then(|| self.memory.file(process)).flatten();
            session.enter(Phase::Running);
            if self.decisions.current() != Some(process) {
                self.run(process);
            }
            self.send(id, &Answer::new(true, 0), file.as_deref());
        }
    }

    fn run(&mut self, process: i32) {
        self.decisions.switch(process);
        self.memory.run(process);
        self.events.line(format_args!("vm_switch({process})"));
    }

    /// When patience with somebody ends next.
    fn deadline(&self) -> Option<Instant> {
        let strangers = self.sessions.values().filter(|session| session.phase == Phase::Stranger);
        let strangers = strangers.map(|session| session.since + MANNERS).min();
        strangers.into_iter().chain(self.silence().map(|(_, ends)| ends)).min()
    }

    /// Who runs while others wait, and until when it may be silent.
    fn silence(&self) -> Option<(u64, Instant)> {
        let patience = self.patience.filter(|_| self.turns.is_wanted())?;
        let id = self.turns.running()?;
        let waiting = self.sessions.values().filter(|session| matches!(session.phase, Phase::New | Phase::Yielded));
        let first = waiting.map(|session| session.since).min()?;
        Some((id, self.sessions.get(&id)?.since.max(first) + patience))
    }

    fn lose_patience(&mut self) {
        let now = Instant::now();
        let rude = |session: &Session| session.phase == Phase::Stranger && session.since + MANNERS <= now;
        let strangers: Vec<u64> = self.sessions.iter().filter(|(_, session)| rude(session)).map(|(id, _)| *id).collect();
        for id in strangers {
            self.end(id, Some("connected and said nothing"));
        }
        if let Some((id, _)) = self.silence().filter(|(_, ends)| *ends <= now) {
            let seconds = self.patience.unwrap_or_default().as_secs();
            self.end(id, Some(&format!("has kept the processor for {seconds} s while others wait (see --patience)")));
        }
    }
}
