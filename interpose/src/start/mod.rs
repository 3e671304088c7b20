//! How the one engine of the process is made: at the first allocation, from the environment. This floor
//! stands above all that has to be installed, and below those that allocate.
//!
//! malloc runs before constructors and before libc has set `environ`; then the kernel's copy of the
//! environment is read.

mod refusals;
mod sandbox;
mod tools;

use crate::births::{fork, threads};
use crate::shared::engine::{CONFIG, ENGINE};
use crate::shared::{aside, errno, thread};
use crate::{signals, statistics, trap};
use core::ffi::{c_char, CStr};
use core::sync::atomic::{AtomicBool, Ordering};
use vmcore::config::{self, Config, System};
use vmcore::engine::{Engine, Hooks, StartError};
use vmcore::events::Who;
use vmcore::sys::medium::is_forbidden;
use vmcore::sys::{file, Errno};
use vmcore::units::SYSTEM_PAGE;

/// The engine is being made, by this process's only thread: a second call comes from inside.
static MAKING: AtomicBool = AtomicBool::new(false);

/// The engine; made now if this is the first call. `None` only while it is being made.
#[inline]
pub fn engine() -> Option<&'static Engine> {
    match ENGINE.get() {
        Some(engine) => Some(engine),
        None => make(),
    }
}

/// The engine is made, and the program finds errno as it was.
#[cold]
fn make() -> Option<&'static Engine> {
    let errno = errno::errno();
    let engine = make_once();
    errno::set_errno(errno);
    engine
}

fn make_once() -> Option<&'static Engine> {
    // AcqRel: a second thread waits in `Once`; a call from inside this one must not.
    if aside::is_on() || MAKING.swap(true, Ordering::AcqRel) && ENGINE.get().is_none() {
        return None;
    }
    if let Some(tool) = tools::tool() {
        aside::step(format_args!("{tool} keeps malloc for itself"));
        return None;
    }
    let config = CONFIG.call_once(read_settings);
    if let Some(name) = sandbox::refused_call() {
        aside::step(format_args!("a sandbox refuses the system call {name}"));
        return None;
    }
    refusals::refuse_small_files(config);
    let made = ENGINE.try_call_once(|| {
        let hooks = Hooks { arm: trap::arming::arm, who };
        match Engine::new(config, hooks) {
            Ok(engine) => Ok(engine),
            // What a sandbox forbids altogether is no matter of settings.
            Err(StartError::SwapDir(errno @ Errno(libc::ENOSYS)) | StartError::Memory(errno)) if is_forbidden(errno) => {
                Err(errno)
            }
            Err(error) => refusals::refuse_start(config, error),
        }
    });
    let engine = match made {
        Ok(engine) => engine,
        Err(errno) => {
            aside::step(format_args!("a sandbox forbids the files of the arena and of swap (error {})", errno.0));
            return None;
        }
    };
    trap::install();
    statistics::begin(engine, config);
    threads::enter();
    if config.stats.is_some() || config.trace.is_some() {
        signals::farewell::begin();
    }
    fork::arrange();
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
    config.unwrap_or_else(|error| crate::shared::ends::refuse(&error))
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
