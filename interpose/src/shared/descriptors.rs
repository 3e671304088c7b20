//! The descriptors that this library keeps: the engine's, the trace's, and that of the table of statistics.

use core::sync::atomic::{AtomicI32, Ordering};
use vmcore::engine::Engine;
use vmcore::sys::{file, Result};

/// Where the table goes: the standard error of the start, which many programs close before they end.
static TABLE: AtomicI32 = AtomicI32::new(2);

/// The descriptor that the table is written to.
pub fn table() -> i32 {
    TABLE.load(Ordering::Relaxed)
}

/// The table is written to that descriptor from now on.
pub fn set_table(fd: i32) {
    TABLE.store(fd, Ordering::Relaxed);
}

/// The descriptor that the table will be written to, if it is one of ours.
fn number() -> Option<i32> {
    Some(table()).filter(|fd| *fd > 2)
}

/// Leaves the number `fd` to the program, if the table has it.
fn make_way_of_table(fd: i32) -> Result<()> {
    if number() == Some(fd) {
        set_table(file::duplicate(fd)?);
    }
    Ok(())
}

/// The numbers of ours.
pub fn ours(engine: &Engine) -> impl Iterator<Item = i32> {
    let files = engine.descriptors().map(|file| file.number());
    files.into_iter().chain([engine.trace.number(), number()]).flatten()
}

/// Whether the number is one of ours.
pub fn is_ours(engine: &Engine, fd: i32) -> bool {
    ours(engine).any(|own| own == fd)
}

/// Leaves a number to the program.
pub fn make_way(engine: &Engine, fd: i32) -> Result<()> {
    for file in engine.descriptors() {
        file.make_way(fd)?;
    }
    engine.trace.make_way(fd)?;
    make_way_of_table(fd)?;
    Ok(())
}
