//! The system-call guard (placeholder until it is in place).

/// What the guard keeps for a thread.
#[derive(Default)]
pub struct ThreadState {}

/// Installs the trap handler of the process.
pub fn install() {}

/// The thread asks for dispatch of its system calls, which pass as long as the guard is not armed.
pub fn enter_thread(_thread: &'static crate::thread::Thread) {}

/// Pages will be absent from now on: every system call of every thread is guarded.
pub fn arm() {}

/// The thread ends.
pub fn leave_thread(_thread: &'static crate::thread::Thread) {}

/// Lets the running thread's system calls pass; whether they were trapped.
pub fn pause() -> bool {
    false
}

/// Traps them again if they were.
pub fn resume(_trapped: bool) {}

/// In a child process.
pub fn survive_fork() {}
