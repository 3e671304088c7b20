//! The trace as it is written: events go to a fixed buffer, full buffers to the file.
//!
//! Written by the fault handler's rules, so that watching changes nothing: the buffer is never paged,
//! the write is raw.

use super::line::{Line, What, HEADER, LINE_MAX};
use super::{Event, EventSink, Fault, Who};
use crate::sync::Lock;
use crate::sys::{file, thread, Result};
use core::sync::atomic::{AtomicBool, Ordering};

const BUFFER: usize = 16 * 1024;

struct Log {
    fd: i32,
    start: u64,
    seq: u64,
    len: usize,
    bytes: [u8; BUFFER],
}

/// The trace of a process.
pub struct TraceLog {
    on: AtomicBool,
    log: Lock<Log>,
}

impl TraceLog {
    /// No trace.
    pub const fn new() -> TraceLog {
        TraceLog { on: AtomicBool::new(false), log: Lock::new(Log { fd: -1, start: 0, seq: 0, len: 0, bytes: [0; BUFFER] }) }
    }

    /// Starts to write to `fd`, which becomes the log's.
    pub fn start(&self, fd: i32) {
        let mut log = self.log.hold();
        let old = core::mem::replace(&mut log.fd, fd);
        if old >= 0 {
            file::close(old);
        }
        (log.start, log.seq, log.len) = (thread::now(), 0, 0);
        let _ = file::write_all(fd, HEADER.as_bytes());
        self.on.store(true, Ordering::Relaxed);
    }

    /// Stops: a child process has no trace until it starts its own.
    ///
    /// # Safety
    /// No other thread of this process exists.
    pub unsafe fn stop(&self) {
        // SAFETY: the caller promises that no other thread exists; this one does not hold the lock here.
        unsafe { self.log.reset() };
        self.on.store(false, Ordering::Relaxed);
        self.log.hold().len = 0;
    }

    /// The descriptor that the trace is written to.
    pub fn number(&self) -> Option<i32> {
        self.is_on().then(|| self.log.hold().fd)
    }

    /// Leaves the number `fd` to the program, if the trace has it.
    pub fn make_way(&self, fd: i32) -> Result<bool> {
        let mut log = self.log.hold();
        if !self.is_on() || log.fd != fd {
            return Ok(false);
        }
        log.fd = file::duplicate(fd)?;
        Ok(true)
    }

    /// Whether events are wanted.
    #[inline]
    pub fn is_on(&self) -> bool {
        // Relaxed: a hint; the lock orders the rest.
        self.on.load(Ordering::Relaxed)
    }

    /// Enters a line, whose number and time are made here.
    fn enter(&self, line: Line) {
        let mut log = self.log.hold();
        if log.len + LINE_MAX > BUFFER {
            flush(&mut log);
        }
        log.seq += 1;
        let time_us = thread::now().saturating_sub(log.start) / 1000;
        let mut text = [0; LINE_MAX];
        let len = Line { seq: log.seq, time_us, ..line }.format(&mut text);
        let at = log.len;
        if let (Some(to), Some(from)) = (log.bytes.get_mut(at..at + len), text.get(..len)) {
            to.copy_from_slice(from);
            log.len += len;
        }
    }

    /// Writes what is in the buffer.
    pub fn flush(&self) {
        if self.is_on() {
            flush(&mut self.log.hold());
        }
    }
}

impl EventSink for TraceLog {
    fn emit(&self, who: &Who, event: &Event) {
        let (what, page, frame, slot) = match *event {
            Event::Fault(Fault { kind, access, page, frame, slot, .. }) => (What::Fault(kind, access), page, frame, slot),
            Event::Evicted { kind, page, frame, slot } => (What::Eviction(kind), Some(page), Some(frame), slot),
            _ => return,
        };
        self.enter(Line { seq: 0, time_us: 0, thread: who.thread, what, page, frame, slot });
    }
}

impl Default for TraceLog {
    fn default() -> Self {
        TraceLog::new()
    }
}

fn flush(log: &mut Log) {
    let len = core::mem::take(&mut log.len);
    if log.fd >= 0 {
        let _ = file::write_all(log.fd, log.bytes.get(..len).unwrap_or(b""));
    }
}
