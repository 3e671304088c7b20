//! Statistics and trace: where they go, and when they are written.
//!
//! They are written when the process ends: by the library's destructor, after the program's handlers for
//! quick_exit, before `_exit`, or when a signal kills. A forked child counts from zero and writes files
//! of its own.

mod output;
mod report;

use crate::shared::{descriptors, ends, engine, gauges, kernel, thread};
use core::ffi::{c_int, c_long, c_void};
use core::sync::atomic::{AtomicU32, Ordering};
use output::Template;
use spin::Once;
use vmcore::config::{Config, ConfigError, Problem, Variable};
use vmcore::engine::Engine;
use vmcore::events::stats::{Counters, COUNTERS};
use vmcore::report::say;
use vmcore::sys::{file, thread as sys};

pub use report::print_table;

static STATS: Once<Template> = Once::new();
static TRACE: Once<Template> = Once::new();
/// Who writes: a thread's number, or one of these.
static WRITER: AtomicU32 = AtomicU32::new(NOBODY);
const NOBODY: u32 = 0;
const DONE: u32 = u32::MAX;

/// Process start: notes the file names and starts the trace.
pub fn begin(engine: &'static Engine, config: &Config<'static>) {
    if let Some(name) = config.stats.filter(|name| *name != b"-") {
        if !STATS.call_once(|| Template::new(name)).has_place() {
            ends::refuse(&ConfigError::bad(
                Variable::Stats,
                name,
                Problem::Unusable("no such directory, or no right to write there"),
            ));
        }
    }
    if config.stats == Some(b"-") {
        if let Ok(fd) = file::duplicate(2) {
            descriptors::set_table(fd);
        }
    }
    if config.stats.is_some() || config.trace.is_some() {
        // SAFETY: the function stays; the first handler that is registered is the last that runs.
        unsafe { __cxa_at_quick_exit(finish_quickly, core::ptr::null_mut()) };
    }
    if let Some(name) = config.trace {
        TRACE.call_once(|| Template::new(name));
        if !start_trace(engine) {
            ends::refuse(&ConfigError::bad(Variable::Trace, name, Problem::Unusable("no such directory, or no right to write")));
        }
    }
}

unsafe extern "C" {
    /// at_quick_exit(3), which itself is no function of the shared C library.
    fn __cxa_at_quick_exit(handler: extern "C" fn(*mut c_void), library: *mut c_void) -> c_int;
}

extern "C" fn finish_quickly(_: *mut c_void) {
    finish();
}

/// Starts the trace; false if its file cannot be made.
fn start_trace(engine: &Engine) -> bool {
    let created = TRACE.get().and_then(Template::create);
    if let Some(fd) = created {
        engine.events().trace.start(file::out_of_the_way(fd));
    }
    created.is_some()
}

/// Whether anything is written when the process ends, or executes another program.
pub fn are_wanted() -> bool {
    engine::config().is_some_and(|config| config.stats.is_some() || config.trace.is_some())
}

/// The process ends: writes what was asked for, once. A signal that kills waits meanwhile, and so does
/// another thread that ends the process.
pub fn finish() {
    // A child that shares our memory ends for itself alone.
    if thread::is_guest() {
        return;
    }
    // The program ends on a stack that may be a block: what is at hand of it stays, and the rest can fault.
    let _stack = engine::get().map(|engine| engine.keep_stack());
    let before = kernel::change_mask(libc::SIG_BLOCK, Some(kernel::for_kernel(sys::SignalSet::ALL)));
    // Relaxed: whoever comes too late reads nothing that was written; the futex has its own order.
    match WRITER.compare_exchange(NOBODY, sys::id(), Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => {
            write();
            WRITER.store(DONE, Ordering::Relaxed);
            sys::futex_wake(&WRITER, i32::MAX);
        }
        // Of this thread if its own writing failed, and killed it.
        Err(writer) => {
            while writer != sys::id() && WRITER.load(Ordering::Relaxed) == writer && writer != DONE {
                sys::futex_wait(&WRITER, writer, None);
            }
        }
    }
    if let Ok(before) = before {
        let _ = kernel::change_mask(libc::SIG_SETMASK, Some(before));
    }
}

/// Writes what was asked for, as it stands; it may be written again.
pub fn write() {
    let (Some(engine), Some(config)) = (engine::get(), engine::config()) else {
        return;
    };
    engine.events().trace.flush();
    crate::syscalls::failures::tell();
    match config.stats {
        Some(b"-") => print_table(),
        Some(_) => report::write_file(engine, config),
        None => {}
    }
}

/// The process is about to execute another program, by the call `number`: there will be no later moment
/// to write, unless it fails. A program that cannot be executed is not even tried, as far as we can see:
/// those who search a path try many.
pub fn before_exec(number: c_long, args: &[usize; 6]) {
    if !are_wanted() || thread::is_guest() {
        return;
    }
    let [dir, path] = if number == libc::SYS_execve { [libc::AT_FDCWD as usize, args[0]] } else { [args[0], args[1]] };
    // SAFETY: the kernel checks the path, which is pinned or absent: then it is not there for us.
    let known = unsafe { vmcore::sys::call(libc::SYS_faccessat, [dir, path, libc::X_OK as usize, 0, 0, 0]) };
    if known == 0 || number != libc::SYS_execve {
        write();
    }
}

/// A forked child counts for itself.
pub fn survive_fork() {
    WRITER.store(NOBODY, Ordering::Relaxed);
    gauges::survive_fork();
    let Some(engine) = engine::get() else {
        return;
    };
    forget_events(&engine.events().counters);
    if let Some(thread) = thread::current() {
        forget_events(&thread.counters);
    }
    // SAFETY: the child's only thread.
    unsafe { engine.events().trace.stop() };
    // Without %p the name is the parent's.
    if TRACE.get().is_some_and(|template| template.is_per_process()) && !start_trace(engine) {
        say(format_args!("cannot write the trace of process {}; there will be none", sys::process_id()));
    }
}

/// Sets to zero what happened; the blocks that were handed out are there in the child as well.
fn forget_events(counters: &Counters) {
    for spec in COUNTERS.iter().filter(|spec| spec.group != "malloc") {
        counters.add(spec.counter, counters.get(spec.counter).wrapping_neg());
    }
}
