//! The one engine of the process, and how it is made: at the first allocation, from the environment.
//!
//! malloc runs before constructors and before libc has set `environ`; then the kernel's copy of the
//! environment is read.

use crate::{aside, sandbox, signals, statistics, syscalls, thread};
use core::ffi::{c_char, CStr};
use core::sync::atomic::{AtomicBool, Ordering};
use spin::Once;
use vmcore::config::{self, Config, ConfigError, Problem, System, Variable, EXIT_BAD_CONFIG};
use vmcore::engine::{Engine, Hooks, StartError, Who};
use vmcore::report::say;
use vmcore::sys::medium::is_forbidden;
use vmcore::sys::{file, Errno};
use vmcore::units::{HumanSize, SYSTEM_PAGE};

static ENGINE: Once<Engine> = Once::new();
static CONFIG: Once<Config<'static>> = Once::new();
/// The engine is being made, by this process's only thread: a second call comes from inside.
static MAKING: AtomicBool = AtomicBool::new(false);

/// The engine, once it has been made.
#[inline]
pub fn get() -> Option<&'static Engine> {
    ENGINE.get()
}

/// The settings, once the engine has been made.
pub fn config() -> Option<&'static Config<'static>> {
    CONFIG.get()
}

/// The engine; made now if this is the first call. `None` only while it is being made.
#[inline]
pub fn get_or_make() -> Option<&'static Engine> {
    match ENGINE.get() {
        Some(engine) => Some(engine),
        None => make(),
    }
}

/// The engine is made, and the program finds errno as it was.
#[cold]
fn make() -> Option<&'static Engine> {
    let errno = crate::malloc::errno();
    let engine = make_once();
    crate::malloc::set_errno(errno);
    engine
}

fn make_once() -> Option<&'static Engine> {
    // AcqRel: a second thread waits in `Once`; a call from inside this one must not.
    if aside::is_on() || MAKING.swap(true, Ordering::AcqRel) && ENGINE.get().is_none() {
        return None;
    }
    if aside::decide() {
        return None;
    }
    let config = CONFIG.call_once(read_settings);
    if let Some(name) = sandbox::refused_call() {
        aside::step(format_args!("a sandbox refuses the system call {name}"));
        return None;
    }
    refuse_small_files(config);
    let made = ENGINE.try_call_once(|| {
        let hooks = Hooks { arm: syscalls::arm, who };
        match Engine::new(config, hooks) {
            Ok(engine) => Ok(engine),
            // What a sandbox forbids altogether is no matter of settings.
            Err(StartError::SwapDir(errno @ Errno(libc::ENOSYS)) | StartError::Memory(errno)) if is_forbidden(errno) => {
                Err(errno)
            }
            Err(error) => refuse_start(config, error),
        }
    });
    let engine = match made {
        Ok(engine) => engine,
        Err(errno) => {
            aside::step(format_args!("a sandbox forbids the files of the arena and of swap (error {})", errno.0));
            return None;
        }
    };
    signals::install();
    syscalls::install();
    statistics::begin(engine, config);
    crate::threads::enter();
    if config.stats.is_some() || config.trace.is_some() {
        signals::farewell::begin();
    }
    crate::processes::arrange_fork();
    Some(engine)
}

fn who() -> Who {
    match thread::current() {
        Some(thread) => Who { thread: thread.number.load(Ordering::Relaxed), counters: Some(&thread.counters) },
        None => Who { thread: u32::MAX, counters: None },
    }
}

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// Room for the kernel's copy of the environment.
static mut ENVIRONMENT: [u8; 256 * 1024] = [0; 256 * 1024];

fn read_settings() -> Config<'static> {
    let system = System { page: SYSTEM_PAGE as u64, ram: physical_memory() };
    // SAFETY: libc's own pointer; null before libc has set it.
    let list = unsafe { environ };
    let config = if list.is_null() {
        // SAFETY: called once, by the process's only thread.
        let room: &'static mut [u8] = unsafe { (&raw mut ENVIRONMENT).as_mut() }.map_or(&mut [], |room| room);
        let len = read_whole(c"/proc/self/environ", room);
        let entries: &'static [u8] = room.get(..len).unwrap_or(&[]);
        config::from_environment(entries.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()), &system)
    } else {
        config::from_environment(Entries(list), &system)
    };
    config.unwrap_or_else(|error| refuse(&error))
}

/// The strings of `environ`.
struct Entries(*const *const c_char);

impl Iterator for Entries {
    type Item = &'static [u8];
    fn next(&mut self) -> Option<&'static [u8]> {
        // SAFETY: `environ` ends with a null pointer, where we stop; its strings live as long as the
        // process unless the program frees what it put there, which no program has done yet.
        unsafe {
            let entry = *self.0;
            if entry.is_null() {
                return None;
            }
            self.0 = self.0.add(1);
            Some(CStr::from_ptr(entry).to_bytes())
        }
    }
}

fn read_whole(path: &CStr, room: &mut [u8]) -> usize {
    let Ok(fd) = file::open(path, libc::O_RDONLY, 0) else {
        return 0;
    };
    let mut len = 0;
    while let Some(rest) = room.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file::read(fd, rest) {
            Ok(n) if n > 0 => len += n,
            _ => break,
        }
    }
    file::close(fd);
    len
}

/// Bytes of physical memory; "no limit" if the kernel does not say.
fn physical_memory() -> u64 {
    let mut info = core::mem::MaybeUninit::<libc::sysinfo>::zeroed();
    // SAFETY: the kernel fills the struct; all zero is valid too.
    let info = unsafe {
        let args = [info.as_mut_ptr() as usize, 0, 0, 0, 0, 0];
        vmcore::sys::call(libc::SYS_sysinfo, args);
        info.assume_init()
    };
    match info.totalram.saturating_mul(u64::from(info.mem_unit)) {
        0 => u64::MAX,
        ram => ram,
    }
}

/// The arena and the swap file are files: a limit of their size (`ulimit -f`) must allow them.
fn refuse_small_files(config: &Config<'static>) {
    for (variable, len) in [("VMALLOC_ARENA", config.arena), ("VMALLOC_SWAP", config.swap)] {
        if let Some(limit) = file::size_limit_below(len) {
            let (len, limit) = (HumanSize(len), HumanSize(limit));
            say(format_args!(
                "{variable}={len}: files may not be larger than {limit} here (ulimit -f); give it less, or raise the limit"
            ));
            exit()
        }
    }
}

fn refuse_start(config: &Config<'static>, error: StartError) -> ! {
    let bad = |variable, value, problem| -> ! { refuse(&ConfigError::bad(variable, value, problem)) };
    match error {
        StartError::SwapDir(errno) => {
            let why = match errno.0 {
                libc::ENOENT => "no such directory",
                libc::ENOTDIR => "not a directory",
                libc::EACCES | libc::EPERM => "not writable",
                libc::EROFS => "on a read-only file system",
                libc::ENOSPC | libc::EDQUOT => "without the space for the swap file",
                _ => "unfit for the swap file",
            };
            bad(Variable::SwapDir, config.swap_dir, Problem::Unusable(why))
        }
        StartError::SwapDirTooLong => bad(Variable::SwapDir, config.swap_dir, Problem::Unusable("too long a name")),
        StartError::Crowded => {
            say(format_args!(
                "VMALLOC_SWAP={}: its bookkeeping leaves too few of the frames of VMALLOC_ARENA={}; use a larger arena or less swap",
                HumanSize(config.swap),
                HumanSize(config.arena)
            ));
            exit()
        }
        StartError::HeapTooLarge => {
            say(format_args!("VMALLOC_HEAP={}: does not fit into the address space", HumanSize(config.heap)));
            exit()
        }
        StartError::Memory(errno) => {
            say(format_args!(
                "cannot get an arena of {} from the kernel (error {}); use a smaller VMALLOC_ARENA",
                HumanSize(config.arena),
                errno.0
            ));
            exit()
        }
    }
}

/// The program does not start because of a bad setting.
pub fn refuse(error: &ConfigError<'_>) -> ! {
    say(format_args!("{error}"));
    exit()
}

/// The program does not start.
fn exit() -> ! {
    loop {
        // SAFETY: ends the process.
        unsafe { vmcore::sys::call(libc::SYS_exit_group, [EXIT_BAD_CONFIG as usize, 0, 0, 0, 0, 0]) };
    }
}
