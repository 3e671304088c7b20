//! io_submit: the kernel uses the buffers until it says so in an event. The pins of each request are kept
//! in a table until its event is fetched, its structure is submitted again, or its context is destroyed.

use super::memory;
use super::pins::claims::Claims;
use super::pins::slots::Slot;
use super::pins::Pins;
use super::shapes::walk::walk;
use super::shapes::Shape;
use super::table::numbers;
use vmcore::engine::Engine;
use vmcore::lock::Lock;

/// Requests under way that are remembered; the pins of more stay for good.
const REQUESTS: usize = 256;
/// `struct io_event`: data, the request's structure, result, result.
const EVENT: usize = 32;

struct Request {
    context: usize,
    iocb: usize,
    pins: Pins,
}

impl Request {
    const NONE: Request = Request { context: 0, iocb: 0, pins: Pins::NONE };

    fn end(&mut self) {
        self.pins.release();
        *self = Request::NONE;
    }
}

static UNDER_WAY: Lock<[Request; REQUESTS]> = Lock::new([Request::NONE; REQUESTS]);

/// Ends the requests that `ended` says.
fn end(ended: impl Fn(&Request) -> bool) {
    UNDER_WAY.hold().iter_mut().filter(|request| request.iocb != 0 && ended(request)).for_each(Request::end);
}

/// io_submit is about to be made: pins what its requests access, one by one.
pub fn submit(engine: &'static Engine, slot: &Slot) {
    let [context, count, list, ..] = slot.args;
    for i in 0..count.min(1 << 16) {
        let at = list + i * 8;
        let mut word = [0; 8];
        if !memory::peek(engine, at, &mut word) {
            return;
        }
        let iocb = usize::from_ne_bytes(word);
        let mut pins = Pins::NONE;
        walk(&mut Claims::new(engine, &mut pins), &[context, 1, at, 0, 0, 0], 2, Shape::Iocbs(1));
        let mut under_way = UNDER_WAY.hold();
        under_way.iter_mut().filter(|request| request.iocb == iocb && request.context == context).for_each(Request::end);
        if let Some(free) = under_way.iter_mut().find(|request| request.iocb == 0).filter(|_| !pins.is_empty()) {
            *free = Request { context, iocb, pins };
        }
    }
}

/// A call about requests has returned.
pub fn returned(engine: &'static Engine, slot: &Slot, result: isize) {
    let [context, ..] = slot.args;
    let is_of = |request: &Request, iocb: usize| request.context == context && request.iocb == iocb;
    let ended = |at: usize| {
        let mut word = [0; 8];
        if memory::peek(engine, at, &mut word) {
            let iocb = usize::from_ne_bytes(word);
            end(|request| is_of(request, iocb));
        }
    };
    match slot.number {
        libc::SYS_io_destroy if result == 0 => end(|request| request.context == context),
        libc::SYS_io_submit => {
            // What was not taken is not under way.
            let (count, list) = (slot.args[1].min(1 << 16), slot.args[2]);
            (result.max(0) as usize..count).for_each(|i| ended(list + i * 8));
        }
        libc::SYS_io_getevents | numbers::SYS_io_pgetevents => {
            (0..result.max(0) as usize).for_each(|i| ended(slot.args[3] + i * EVENT + 8));
        }
        _ => {}
    }
}

/// In a child process, which has no requests.
pub fn forget() {
    // SAFETY: the child's only thread.
    unsafe { UNDER_WAY.reset() };
    for request in UNDER_WAY.hold().iter_mut() {
        *request = Request::NONE;
    }
}
