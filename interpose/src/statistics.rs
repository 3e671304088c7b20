//! Statistics and trace: where they go, and when they are written.
//!
//! They are written when the process ends: by the library's destructor, after the program's handlers for
//! quick_exit, before `_exit`, or when a signal kills. A forked child counts from zero and writes files
//! of its own.

use crate::output::{Output, Template, To};
use crate::signals::{kernel, masks};
use crate::{engine, thread};
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering};
use spin::Once;
use vmcore::config::{Config, ConfigError, Problem, Variable};
use vmcore::engine::Engine;
use vmcore::heap::Ground;
use vmcore::pte::State;
use vmcore::report::say;
use vmcore::stats::{write_json, write_table, Counters, FrameGauges, Report, SwapGauges, ThreadReport, Totals, COUNTERS};
use vmcore::sys::{file, thread as sys, Result};

static STATS: Once<Template> = Once::new();
static TRACE: Once<Template> = Once::new();
/// Where the table goes: the standard error of the start, which many programs close before they end.
static TABLE: AtomicI32 = AtomicI32::new(2);
/// Who writes: a thread's number, or one of these.
static WRITER: AtomicU32 = AtomicU32::new(NOBODY);
const NOBODY: u32 = 0;
const DONE: u32 = u32::MAX;
static BYTES: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);
static THREADS: AtomicU64 = AtomicU64::new(0);

/// Process start: notes the file names and starts the trace.
pub fn begin(engine: &'static Engine, config: &Config<'static>) {
    if let Some(name) = config.stats.filter(|name| *name != b"-") {
        if !STATS.call_once(|| Template::new(name)).has_place() {
            engine::refuse(&ConfigError::bad(
                Variable::Stats,
                name,
                Problem::Unusable("no such directory, or no right to write there"),
            ));
        }
    }
    if config.stats == Some(b"-") {
        if let Ok(fd) = file::duplicate(2) {
            TABLE.store(fd, Ordering::Relaxed);
        }
    }
    if config.stats.is_some() || config.trace.is_some() {
        // SAFETY: the function stays; the first handler that is registered is the last that runs.
        unsafe { __cxa_at_quick_exit(finish_quickly, core::ptr::null_mut()) };
    }
    if let Some(name) = config.trace {
        TRACE.call_once(|| Template::new(name));
        if !start_trace(engine) {
            engine::refuse(&ConfigError::bad(
                Variable::Trace,
                name,
                Problem::Unusable("no such directory, or no right to write"),
            ));
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
        engine.trace.start(file::out_of_the_way(fd));
    }
    created.is_some()
}

/// The descriptor that the table will be written to, if it is one of ours.
pub fn number() -> Option<i32> {
    Some(TABLE.load(Ordering::Relaxed)).filter(|fd| *fd > 2)
}

/// Leaves the number `fd` to the program, if the table has it.
pub fn make_way(fd: i32) -> Result<bool> {
    if number() == Some(fd) {
        TABLE.store(file::duplicate(fd)?, Ordering::Relaxed);
        return Ok(true);
    }
    Ok(false)
}

/// Adds to what is allocated.
pub fn note_bytes(bytes: i64) {
    let now = BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

/// One thread more.
pub fn count_thread() {
    THREADS.fetch_add(1, Ordering::Relaxed);
}

/// Bytes allocated and not freed, to within a batch a thread.
pub fn bytes_in_use() -> usize {
    BYTES.load(Ordering::Relaxed).max(0) as usize
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
    let before = kernel::change_mask(libc::SIG_BLOCK, Some(masks::for_kernel(sys::SignalSet::ALL)));
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
    engine.trace.flush();
    crate::syscalls::refused::tell();
    match config.stats {
        Some(b"-") => print_table(),
        Some(_) => write_file(engine, config),
        None => {}
    }
}

/// The process is about to execute another program, by the call `number`: there will be no later moment
/// to write, unless it fails. A program that cannot be executed is not even tried, as far as we can see:
/// those who search a path try many.
pub fn before_exec(number: usize, args: &[usize; 6]) {
    if engine::config().is_none_or(|config| config.stats.is_none() && config.trace.is_none()) || thread::is_guest() {
        return;
    }
    let [dir, path] = if number == libc::SYS_execve as usize { [libc::AT_FDCWD as usize, args[0]] } else { [args[0], args[1]] };
    // SAFETY: the kernel checks the path, which is pinned or absent: then it is not there for us.
    let known = unsafe { vmcore::sys::call(libc::SYS_faccessat, [dir, path, libc::X_OK as usize, 0, 0, 0]) };
    if known == 0 || number != libc::SYS_execve as usize {
        write();
    }
}

/// A forked child counts for itself.
pub fn survive_fork() {
    WRITER.store(NOBODY, Ordering::Relaxed);
    THREADS.store(1, Ordering::Relaxed);
    let Some(engine) = engine::get() else {
        return;
    };
    forget_events(&engine.counters);
    if let Some(thread) = thread::current() {
        forget_events(&thread.counters);
    }
    // SAFETY: the child's only thread.
    unsafe { engine.trace.stop() };
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

/// The short table on stderr.
pub fn print_table() {
    if let (Some(engine), Some(config)) = (engine::get(), engine::config()) {
        with_report(engine, config, |report| {
            let mut out = Output::new(To::File(TABLE.load(Ordering::Relaxed)));
            let _ = write_table(report, &mut out);
            let _ = out.finish();
        });
    }
}

fn write_file(engine: &'static Engine, config: &Config<'static>) {
    let Some(template) = STATS.get() else {
        return;
    };
    with_report(engine, config, |report| {
        let mut out = Output::new(To::Later(template));
        let _ = write_json(report, thread_reports(engine), &mut out);
        match out.finish() {
            Some(fd) => file::close(fd),
            None => say(format_args!("cannot write the statistics to {template}")),
        }
    });
}

fn thread_reports(engine: &'static Engine) -> impl Iterator<Item = ThreadReport> {
    thread::all().filter(|thread| !thread.has_left()).map(move |thread| {
        let (mut resident, mut swapped) = (0, 0);
        let number = thread.number.load(Ordering::Relaxed);
        let own = engine.places().find(|place| place.region.owner.load(Ordering::Relaxed) == number + 1);
        if let Some(place) = own {
            for page in 0..(place.backed_groups() * 64).min(place.pages()) {
                match place.page(page).pte().state() {
                    State::Resident => resident += 1,
                    State::Swapped => swapped += 1,
                    _ => {}
                }
            }
        }
        let mut totals = Totals::new();
        totals.add(&thread.counters);
        ThreadReport { id: u64::from(number), resident, swapped, totals }
    })
}

fn with_report(engine: &'static Engine, config: &Config<'static>, work: impl FnOnce(&Report<'_>)) {
    for thread in thread::all() {
        // Only approximately: the others may be at it.
        note_bytes(0);
        if thread::current().is_some_and(|own| core::ptr::eq(own, thread)) {
            thread.report_bytes();
        }
    }
    let mut totals = Totals::new();
    totals.add(&engine.counters);
    for thread in thread::all() {
        totals.add(&thread.counters);
    }
    let layout = *engine.arena().layout();
    let usage = engine.usage();
    let fixed = u64::from(layout.frames - layout.first_shared) + u64::from(layout.first_pool);
    let growing = u64::from(engine.gauges.bookkeeping.load(Ordering::Relaxed));
    let peak = u64::from(engine.gauges.resident_peak.load(Ordering::Relaxed));
    let resident = u64::from(usage.frames_used).saturating_sub(fixed + growing);
    let mut name = [0; 256];
    let len = program_name(&mut name);
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        pid: sys::process_id(),
        program: name.get(..len).unwrap_or(b""),
        threads: THREADS.load(Ordering::Relaxed),
        config,
        frames: FrameGauges {
            total: u64::from(layout.frames),
            bookkeeping: u64::from(layout.first_pool) + growing,
            shared: u64::from(layout.frames - layout.first_shared),
            resident,
            resident_peak: peak.saturating_sub(fixed + growing).max(resident),
        },
        swap: SwapGauges {
            slots: u64::from(layout.slots),
            used: u64::from(usage.slots_used),
            used_peak: u64::from(usage.slots_peak),
        },
        malloc_bytes_peak: PEAK.load(Ordering::Relaxed).max(0) as u64,
        totals,
    };
    work(&report);
}

/// The name of the running program, as the kernel keeps it.
fn program_name(room: &mut [u8]) -> usize {
    let Ok(fd) = file::open(c"/proc/self/comm", libc::O_RDONLY, 0) else {
        return 0;
    };
    let len = file::read(fd, room).unwrap_or(0);
    file::close(fd);
    len.saturating_sub(1)
}
