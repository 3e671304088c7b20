//! Signals (placeholder until the signal doors are in place).

pub mod kernel;

/// What the signal doors keep for a thread.
#[derive(Default)]
pub struct ThreadState {}

/// Installs the fault handler of the process.
pub fn install() {}

/// The thread gets its alternate stack.
pub fn enter_thread(_thread: &'static crate::thread::Thread) {}

/// The thread ends.
pub fn leave_thread(_thread: &'static crate::thread::Thread) {}

/// In a child process.
pub fn survive_fork() {}
