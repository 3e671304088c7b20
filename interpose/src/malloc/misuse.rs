//! Misuse of the heap: reported with the address, the thread and what the address is; then abort.

use super::blocks::Bad;
use crate::shared::{ends, engine, thread};
use core::sync::atomic::Ordering;
use vmcore::report::say;

/// Says what was done to which address, and aborts.
#[cold]
pub fn die(function: &str, address: usize, bad: Bad) -> ! {
    die_at(function, address, bad, None)
}

/// The same with the place in the program, if it is known.
#[cold]
pub fn die_at(function: &str, address: usize, bad: Bad, place: Option<(&str, i32)>) -> ! {
    let number = thread::current().map_or(0, |thread| thread.number.load(Ordering::Relaxed));
    let what = match bad {
        Bad::Freed => "no block that is in use: freed twice, or never handed out",
        Bad::Middle => "inside a block, not its beginning",
        Bad::Foreign => "not memory of this heap",
    };
    let block = engine::get().filter(|_| bad == Bad::Middle).and_then(|engine| engine.block_around(address));
    let (file, line) = place.unwrap_or(("", 0));
    match (block, place.is_some()) {
        (Some((begin, end)), _) => say(format_args!(
            "{file}{}{function}({address:#x}) in thread {number}: {what} (block {begin:#x}, {} bytes)",
            LineNumber(line),
            end - begin
        )),
        (None, _) => say(format_args!("{file}{}{function}({address:#x}) in thread {number}: {what}", LineNumber(line))),
    }
    ends::abort()
}

struct LineNumber(i32);

impl core::fmt::Display for LineNumber {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0 > 0 {
            write!(f, ":{}: ", self.0)?;
        }
        Ok(())
    }
}
