//! Processes: fork with a copy for the child, the doors of libc that make children, and the end.
//!
//! libc touches the heap between a fork's system call and the handlers of pthread_atfork (it resets the
//! locks of all streams), so the copy must be the child's from the call itself. The doors here have
//! libc's calls trapped meanwhile: the trap of `clone` makes the copy (`syscalls/children.rs`), and the
//! children of vfork and posix_spawn are guarded like any thread. Handlers of pthread_atfork make the
//! copy for what libc forks without a door of ours, and where there is no dispatch.

use crate::{engine, next, signals, statistics, syscalls, thread};
use core::arch::naked_asm;
use core::cell::UnsafeCell;
use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::{AtomicU32, Ordering};
use vmcore::engine::Engine;
use vmcore::fork::Snapshot;
use vmcore::lock::Lock;
use vmcore::region::Region;
use vmcore::report::say;
use vmcore::sys::thread::{set_signal_mask, SignalSet};
use vmcore::sys::Errno;

fn region_of(own: Option<&'static thread::Thread>) -> Option<&'static Region> {
    // SAFETY: regions live for ever.
    unsafe { own?.region.load(Ordering::Relaxed).as_ref() }
}

/// Held from before a fork until after it.
static ONE_FORK: Lock<()> = Lock::new(());

/// A process about to fork, with every signal blocked.
struct Forking {
    snapshot: Result<Snapshot, Errno>,
    own: Option<&'static thread::Thread>,
    signals: SignalSet,
}

impl Forking {
    fn begin(engine: &'static Engine) -> Forking {
        let signals = set_signal_mask(SignalSet::ALL);
        core::mem::forget(ONE_FORK.hold_masked());
        let own = thread::running();
        let snapshot = engine.snapshot(region_of(own));
        if let Err(error) = &snapshot {
            complain(*error);
        }
        Forking { snapshot, own, signals }
    }

    fn parent(self) {
        if let Ok(snapshot) = self.snapshot {
            snapshot.parent();
        }
        // SAFETY: taken in `begin` by this thread.
        unsafe { ONE_FORK.release() };
        set_signal_mask(self.signals);
    }

    fn child(self, engine: &'static Engine) {
        // SAFETY: nobody else exists.
        unsafe { ONE_FORK.release() };
        // SAFETY: the child's only thread, which took the snapshot.
        let moved = self.snapshot.and_then(|snapshot| unsafe { snapshot.child(region_of(self.own)) });
        if moved.is_err() {
            // Without a heap of its own the child must not touch anything.
            end(127);
        }
        survive(engine, self.own);
        set_signal_mask(self.signals);
    }
}

/// Says why a fork failed: the first time, and then ever more seldom. Some programs try until it works.
fn complain(error: Errno) {
    static FAILURES: AtomicU32 = AtomicU32::new(0);
    // Relaxed: it only counts.
    let failures = FAILURES.fetch_add(1, Ordering::Relaxed) + 1;
    if failures.is_power_of_two() {
        say(format_args!("fork: no room for the child's copy of the heap (error {}, failure {failures})", error.0));
    }
}

/// Makes a child by `fork` and sees to it that it has a heap of its own; what `fork` returned, or
/// -ENOMEM if there is no room for the copy. Called on a stack that is no block.
pub fn with_copy(fork: impl FnOnce() -> isize) -> isize {
    let Some(engine) = engine::get() else {
        return fork();
    };
    let forking = Forking::begin(engine);
    if forking.snapshot.is_err() {
        forking.parent();
        return -(libc::ENOMEM as isize);
    }
    let child = fork();
    if child == 0 {
        forking.child(engine);
    } else {
        forking.parent();
    }
    child
}

/// In the child: only the thread of `own` is left of all.
fn survive(engine: &'static Engine, own: Option<&'static thread::Thread>) {
    // The blocks of the other threads are here, so what they counted is as well.
    for lost in thread::all().filter(|record| !own.is_some_and(|own| core::ptr::eq(own, *record))) {
        engine.counters.absorb(&lost.counters);
    }
    // SAFETY: the child's only thread.
    unsafe { thread::survive_fork(own) };
    engine.gauges.threads.store(1, Ordering::Relaxed);
    signals::survive_fork();
    syscalls::survive_fork(own);
    statistics::survive_fork();
}

/// Between the handlers around a fork that no door of ours has seen.
struct Unseen(UnsafeCell<Option<Forking>>);

// SAFETY: used by the thread that holds ONE_FORK.
unsafe impl Sync for Unseen {}

static UNSEEN: Unseen = Unseen(UnsafeCell::new(None));

/// Registers the handlers around fork. They are the first to be registered, so they run last before
/// the fork and first after it: the program's own handlers may allocate.
pub fn arrange_fork() {
    // SAFETY: the handlers live as long as the process.
    unsafe { libc::pthread_atfork(Some(before_fork), Some(after_in_parent), Some(after_in_child)) };
}

unsafe extern "C" fn before_fork() {
    if let Some(engine) = engine::get().filter(|_| !syscalls::is_trapping()) {
        let forking = Forking::begin(engine);
        // SAFETY: we hold the lock.
        unsafe { *UNSEEN.0.get() = Some(forking) };
    }
}

unsafe extern "C" fn after_in_parent() {
    if !syscalls::is_trapping() {
        // SAFETY: the thread that forked, between its handlers.
        if let Some(forking) = unsafe { (*UNSEEN.0.get()).take() } {
            forking.parent();
        }
    }
}

unsafe extern "C" fn after_in_child() {
    // SAFETY: as above, in the child; nothing is there if the trap has made the copy.
    if let Some((engine, forking)) = engine::get().zip(unsafe { (*UNSEEN.0.get()).take() }) {
        forking.child(engine);
    }
}

macro_rules! trapping {
    ($(#[$note:meta])* $name:ident, $cname:literal, ($($arg:ident: $type:ty),*) -> $result:ty, $none:expr) => {
        $(#[$note])*
        ///
        /// # Safety
        /// As the original.
        #[no_mangle]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            let Some(next) = next!($cname, unsafe extern "C" fn($($type),*) -> $result) else {
                return $none;
            };
            let _trapping = syscalls::Trapping::begin();
            // SAFETY: the caller's arguments.
            unsafe { next($($arg),*) }
        }
    };
}

type Texts = *const *mut c_char;

trapping!(/// fork(2): the child gets its own copy of everything that is in use; ENOMEM if there is no room.
    fork, c"fork", () -> libc::pid_t, -1);
trapping!(/// See fork(2).
    __fork, c"__fork", () -> libc::pid_t, -1);
trapping!(/// See fork(2): without the program's handlers.
    _Fork, c"_Fork", () -> libc::pid_t, -1);
trapping!(/// See daemon(3).
    daemon, c"daemon", (nochdir: c_int, noclose: c_int) -> c_int, -1);
trapping!(/// See forkpty(3).
    forkpty, c"forkpty", (master: *mut c_int, name: *mut c_char, mode: *const c_void, size: *const c_void) -> c_int, -1);
trapping!(/// See system(3).
    system, c"system", (command: *const c_char) -> c_int, -1);
trapping!(/// See popen(3).
    popen, c"popen", (command: *const c_char, mode: *const c_char) -> *mut libc::FILE, core::ptr::null_mut());
trapping!(/// See wordexp(3).
    wordexp, c"wordexp", (words: *const c_char, result: *mut c_void, flags: c_int) -> c_int, 1);
trapping!(/// See posix_spawn(3).
    posix_spawn, c"posix_spawn",
    (pid: *mut libc::pid_t, path: *const c_char, actions: *const libc::posix_spawn_file_actions_t,
     attributes: *const libc::posix_spawnattr_t, argv: Texts, envp: Texts) -> c_int, libc::ENOSYS);
trapping!(/// See posix_spawn(3).
    posix_spawnp, c"posix_spawnp",
    (pid: *mut libc::pid_t, file: *const c_char, actions: *const libc::posix_spawn_file_actions_t,
     attributes: *const libc::posix_spawnattr_t, argv: Texts, envp: Texts) -> c_int, libc::ENOSYS);
trapping!(/// See clone(2).
    clone, c"clone",
    (start: *mut c_void, stack: *mut c_void, flags: c_int, argument: *mut c_void, parent_tid: *mut c_void,
     block: *mut c_void, child_tid: *mut c_void) -> c_int, -1);
trapping!(/// See clone(2).
    __clone, c"__clone",
    (start: *mut c_void, stack: *mut c_void, flags: c_int, argument: *mut c_void, parent_tid: *mut c_void,
     block: *mut c_void, child_tid: *mut c_void) -> c_int, -1);

// The threads that libc makes for these must be guarded from their first instruction, and so must those
// that such threads make.
trapping!(/// See timer_create(2).
    timer_create, c"timer_create",
    (clock: libc::clockid_t, event: *mut c_void, timer: *mut c_void) -> c_int, -1);
trapping!(/// See mq_notify(3).
    mq_notify, c"mq_notify", (queue: c_int, event: *const c_void) -> c_int, -1);
trapping!(/// See getaddrinfo_a(3).
    getaddrinfo_a, c"getaddrinfo_a", (mode: c_int, list: *mut c_void, n: c_int, event: *mut c_void) -> c_int, libc::EAI_SYSTEM);
trapping!(/// See aio_read(3).
    aio_read, c"aio_read", (block: *mut c_void) -> c_int, -1);
trapping!(/// See aio_read(3).
    aio_read64, c"aio_read64", (block: *mut c_void) -> c_int, -1);
trapping!(/// See aio_write(3).
    aio_write, c"aio_write", (block: *mut c_void) -> c_int, -1);
trapping!(/// See aio_write(3).
    aio_write64, c"aio_write64", (block: *mut c_void) -> c_int, -1);
trapping!(/// See aio_fsync(3).
    aio_fsync, c"aio_fsync", (operation: c_int, block: *mut c_void) -> c_int, -1);
trapping!(/// See aio_fsync(3).
    aio_fsync64, c"aio_fsync64", (operation: c_int, block: *mut c_void) -> c_int, -1);
trapping!(/// See lio_listio(3).
    lio_listio, c"lio_listio", (mode: c_int, list: *const *mut c_void, n: c_int, event: *mut c_void) -> c_int, -1);
trapping!(/// See lio_listio(3).
    lio_listio64, c"lio_listio64", (mode: c_int, list: *const *mut c_void, n: c_int, event: *mut c_void) -> c_int, -1);

/// See vfork(2): the parent sleeps until the child executes another program or ends, and the child's
/// stores are seen by the parent.
///
/// # Safety
/// As the original.
#[no_mangle]
#[unsafe(naked)]
pub unsafe extern "C" fn vfork() -> libc::pid_t {
    // Both return to our caller with nothing of ours left on the stack that they share.
    naked_asm!(
        "mov rdi, qword ptr [rsp]",
        "sub rsp, 8",
        "call {before}",
        "add rsp, 8",
        "test rax, rax",
        "jz {fork}",
        "mov r9, rax",
        "add rsp, 8",
        "mov eax, 58",
        "jmp {resume}",
        before = sym syscalls::before_vfork,
        fork = sym fork,
        resume = sym syscalls::vmalloc_resume_birth,
    )
}

/// See vfork(2).
///
/// # Safety
/// As the original.
#[no_mangle]
#[unsafe(naked)]
pub unsafe extern "C" fn __vfork() -> libc::pid_t {
    naked_asm!("jmp {vfork}", vfork = sym vfork)
}

/// Ends the process.
fn end(status: c_int) -> ! {
    loop {
        // SAFETY: ends the process.
        unsafe { vmcore::sys::call(libc::SYS_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
    }
}

macro_rules! exit {
    ($name:ident) => {
        /// See _exit(2): statistics are written first.
        #[no_mangle]
        pub extern "C" fn $name(status: c_int) -> ! {
            statistics::finish();
            end(status)
        }
    };
}

exit!(_exit);
exit!(_Exit);
