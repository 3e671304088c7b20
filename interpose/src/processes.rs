//! Processes: fork with a copy for the child, children that share our memory, and the end.

use crate::{engine, next, signals, statistics, syscalls, thread};
use core::cell::UnsafeCell;
use core::ffi::{c_char, c_int, c_void, CStr};
use core::sync::atomic::{AtomicBool, Ordering};
use vmcore::engine::Engine;
use vmcore::fork::Snapshot;
use vmcore::lock::Lock;
use vmcore::region::Region;
use vmcore::report::say;
use vmcore::sys::thread::{set_signal_mask, SignalSet};
use vmcore::sys::Errno;
use vmcore::trace::Access;

fn own_region() -> Option<&'static Region> {
    // SAFETY: regions live for ever.
    unsafe { thread::current()?.region.load(Ordering::Relaxed).as_ref() }
}

/// What is kept between the handlers around a fork: one fork at a time, since the snapshot holds the
/// pager's lock.
struct Forking(UnsafeCell<Option<State>>);

struct State {
    snapshot: Result<Snapshot, Errno>,
    signals: SignalSet,
    trapped: bool,
}

// SAFETY: only the thread that holds the snapshot uses it; those whose snapshot failed hold the lock.
unsafe impl Sync for Forking {}

static FORKING: Forking = Forking(UnsafeCell::new(None));
/// Held from before the fork until after it.
static ONE_FORK: Lock<()> = Lock::new(());

/// Registers the handlers around fork. They are the first to be registered, so they run last before
/// the fork and first after it: the program's own handlers may allocate.
pub fn arrange_fork() {
    // SAFETY: the handlers live as long as the process.
    unsafe { libc::pthread_atfork(Some(before_fork), Some(after_in_parent), Some(after_in_child)) };
}

unsafe extern "C" fn before_fork() {
    let Some(engine) = engine::get() else {
        return;
    };
    let signals = set_signal_mask(SignalSet::ALL);
    core::mem::forget(ONE_FORK.hold_masked());
    let snapshot = engine.snapshot(own_region());
    let trapped = syscalls::pause();
    // SAFETY: we hold the lock.
    unsafe { *FORKING.0.get() = Some(State { snapshot, signals, trapped }) };
}

fn take_state() -> Option<State> {
    // SAFETY: the thread that forked, between its handlers.
    let state = unsafe { (*FORKING.0.get()).take() };
    // SAFETY: taken in `before_fork` by this thread; in a child nobody else exists.
    unsafe { ONE_FORK.release() };
    state
}

unsafe extern "C" fn after_in_parent() {
    if let Some(State { snapshot, signals, trapped }) = take_state() {
        match snapshot {
            Ok(snapshot) => snapshot.parent(),
            Err(error) => {
                say(format_args!("fork: no room for the child's copy of the heap (error {})", error.0));
                FAILED.store(true, Ordering::Relaxed);
            }
        }
        syscalls::resume(trapped);
        set_signal_mask(signals);
    }
}

unsafe extern "C" fn after_in_child() {
    if let Some(State { snapshot, signals, .. }) = take_state() {
        // SAFETY: the child's only thread, which took the snapshot.
        let moved = snapshot.and_then(|snapshot| unsafe { snapshot.child(own_region()) });
        if moved.is_err() {
            // Without a heap of its own the child must not touch anything.
            loop {
                // SAFETY: ends the child.
                unsafe { vmcore::sys::call(libc::SYS_exit_group, [127, 0, 0, 0, 0, 0]) };
            }
        }
        if let Some(engine) = engine::get() {
            survive(engine);
        }
        set_signal_mask(signals);
    }
}

/// The snapshot of the last fork could not be made, so its child ended at once.
static FAILED: AtomicBool = AtomicBool::new(false);

/// fork(2): the child gets its own copy of everything that is in use; ENOMEM if there is no room.
#[no_mangle]
pub extern "C" fn fork() -> libc::pid_t {
    let Some(fork) = next!(c"fork", unsafe extern "C" fn() -> libc::pid_t) else {
        return -1;
    };
    // SAFETY: fork may be called at any time.
    fail_if_not_copied(unsafe { fork() })
}

/// _Fork(3): fork without the program's handlers, but with ours.
#[no_mangle]
pub extern "C" fn _Fork() -> libc::pid_t {
    let Some(fork) = next!(c"_Fork", unsafe extern "C" fn() -> libc::pid_t) else {
        return -1;
    };
    // SAFETY: as the handlers are called by fork.
    unsafe {
        before_fork();
        let child = fork();
        if child == 0 {
            after_in_child();
        } else {
            after_in_parent();
        }
        fail_if_not_copied(child)
    }
}

fn fail_if_not_copied(child: libc::pid_t) -> libc::pid_t {
    if child <= 0 || !FAILED.swap(false, Ordering::Relaxed) {
        return child;
    }
    // SAFETY: reaps the child that ended at once.
    unsafe { libc::waitpid(child, core::ptr::null_mut(), 0) };
    crate::malloc::set_errno(libc::ENOMEM);
    -1
}

/// In the child: only this thread is left of all.
fn survive(engine: &'static Engine) {
    // The blocks of the other threads are here, so what they counted is as well.
    for lost in thread::all().filter(|record| !thread::current().is_some_and(|own| core::ptr::eq(own, *record))) {
        engine.counters.absorb(&lost.counters);
    }
    // SAFETY: the child's only thread.
    unsafe { thread::survive_fork() };
    engine.gauges.threads.store(1, Ordering::Relaxed);
    signals::survive_fork();
    syscalls::survive_fork();
    statistics::survive_fork();
}

/// vfork(2): a fork; a child that shares our memory would share our page table with nobody to serve.
#[no_mangle]
pub extern "C" fn vfork() -> libc::pid_t {
    fork()
}

/// Pins a C string; what has to be unpinned.
fn keep_string(engine: &'static Engine, text: *const c_char) {
    if !text.is_null() && engine.is_ours(text as usize) {
        // SAFETY: the caller's string; reading it may fault, which makes it resident.
        let len = unsafe { CStr::from_ptr(text) }.to_bytes_with_nul().len();
        engine.pin(text as usize, len, Access::Read, false);
    }
}

fn release_string(engine: &'static Engine, text: *const c_char) {
    if !text.is_null() && engine.is_ours(text as usize) {
        // SAFETY: as above.
        let len = unsafe { CStr::from_ptr(text) }.to_bytes_with_nul().len();
        engine.unpin(text as usize, len);
    }
}

/// Applies `each` to a vector of strings that ends with null, and to the vector itself.
fn each_string(list: *const *mut c_char, mut each: impl FnMut(*const c_char)) {
    if list.is_null() {
        return;
    }
    let mut at = list;
    // SAFETY: the caller's vector ends with a null pointer.
    unsafe {
        while !(*at).is_null() {
            each(*at);
            at = at.add(1);
        }
    }
}

fn list_bytes(list: *const *mut c_char) -> usize {
    let mut n = 1;
    each_string(list, |_| n += 1);
    n * size_of::<*const c_char>()
}

/// Everything that a child which shares our memory will read until it executes another program.
struct Kept {
    engine: &'static Engine,
    path: *const c_char,
    lists: [*const *mut c_char; 2],
    blocks: [(usize, usize); 4],
}

impl Kept {
    fn new(path: *const c_char, lists: [*const *mut c_char; 2], blocks: [*const c_void; 2]) -> Option<Kept> {
        let engine = engine::get().filter(|engine| engine.is_armed())?;
        let mut kept = Kept { engine, path, lists, blocks: [(0, 0); 4] };
        keep_string(engine, path);
        for list in lists {
            each_string(list, |text| keep_string(engine, text));
            if !list.is_null() {
                engine.pin(list as usize, list_bytes(list), Access::Read, false);
            }
        }
        for (slot, block) in kept.blocks.iter_mut().zip(blocks) {
            if let Some((begin, end)) = engine.block_around(block as usize) {
                let pinned = engine.pin(begin, end - begin, Access::Write, false);
                *slot = (begin, pinned);
            }
        }
        Some(kept)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        release_string(self.engine, self.path);
        for list in self.lists {
            each_string(list, |text| release_string(self.engine, text));
            if !list.is_null() {
                self.engine.unpin(list as usize, list_bytes(list));
            }
        }
        for (begin, len) in self.blocks {
            self.engine.unpin(begin, len);
        }
    }
}

type Spawn = unsafe extern "C" fn(
    *mut libc::pid_t,
    *const c_char,
    *const libc::posix_spawn_file_actions_t,
    *const libc::posix_spawnattr_t,
    *const *mut c_char,
    *const *mut c_char,
) -> c_int;

macro_rules! spawn {
    ($name:ident, $cname:literal) => {
        /// See posix_spawn(3). What the child reads is in memory until it executes the program.
        ///
        /// # Safety
        /// As the original.
        #[no_mangle]
        pub unsafe extern "C" fn $name(
            pid: *mut libc::pid_t,
            path: *const c_char,
            actions: *const libc::posix_spawn_file_actions_t,
            attributes: *const libc::posix_spawnattr_t,
            argv: *const *mut c_char,
            envp: *const *mut c_char,
        ) -> c_int {
            let Some(spawn) = next!($cname, Spawn) else {
                return libc::ENOSYS;
            };
            let _kept = Kept::new(path, [argv, envp], [actions.cast(), attributes.cast()]);
            let _actions = KeptActions::new(actions);
            // SAFETY: the caller's arguments.
            unsafe { spawn(pid, path, actions, attributes, argv, envp) }
        }
    };
}

spawn!(posix_spawn, c"posix_spawn");
spawn!(posix_spawnp, c"posix_spawnp");

/// The list of file actions, which libc allocates, and the paths in it.
struct KeptActions {
    engine: &'static Engine,
    blocks: [(usize, usize); 32],
}

impl KeptActions {
    fn new(actions: *const libc::posix_spawn_file_actions_t) -> Option<KeptActions> {
        let engine = engine::get().filter(|engine| engine.is_armed() && !actions.is_null())?;
        let mut kept = KeptActions { engine, blocks: [(0, 0); 32] };
        // struct { int allocated; int used; struct action *actions; … } in glibc and musl alike.
        // SAFETY: initialised file actions.
        let list = unsafe { *actions.cast::<usize>().add(1) };
        let mut slots = kept.blocks.iter_mut();
        let mut keep = |address: usize| {
            if let (Some((begin, end)), Some(slot)) = (engine.block_around(address), slots.next()) {
                *slot = (begin, engine.pin(begin, end - begin, Access::Write, false));
            }
        };
        keep(list);
        if let Some((begin, end)) = engine.block_around(list) {
            // Every word of the list that points into a block of ours may be a path.
            for at in (begin..end).step_by(size_of::<usize>()) {
                // SAFETY: inside a live block.
                let word = unsafe { *(at as *const usize) };
                if engine.is_block_page(word) {
                    keep(word);
                }
            }
        }
        Some(kept)
    }
}

impl Drop for KeptActions {
    fn drop(&mut self) {
        for (begin, len) in self.blocks {
            self.engine.unpin(begin, len);
        }
    }
}

/// See system(3).
///
/// # Safety
/// As the original.
#[no_mangle]
pub unsafe extern "C" fn system(command: *const c_char) -> c_int {
    let Some(system) = next!(c"system", unsafe extern "C" fn(*const c_char) -> c_int) else {
        return -1;
    };
    let _kept = Kept::new(command, [core::ptr::null(), environment()], [core::ptr::null(); 2]);
    // SAFETY: the caller's command.
    unsafe { system(command) }
}

/// See popen(3).
///
/// # Safety
/// As the original.
#[no_mangle]
pub unsafe extern "C" fn popen(command: *const c_char, mode: *const c_char) -> *mut libc::FILE {
    let Some(popen) = next!(c"popen", unsafe extern "C" fn(*const c_char, *const c_char) -> *mut libc::FILE) else {
        return core::ptr::null_mut();
    };
    let _kept = Kept::new(command, [core::ptr::null(), environment()], [core::ptr::null(); 2]);
    // SAFETY: the caller's strings.
    unsafe { popen(command, mode) }
}

fn environment() -> *const *mut c_char {
    unsafe extern "C" {
        static environ: *const *mut c_char;
    }
    // SAFETY: libc's own pointer.
    unsafe { environ }
}

macro_rules! exit {
    ($name:ident) => {
        /// See _exit(2): statistics are written first.
        #[no_mangle]
        pub extern "C" fn $name(status: c_int) -> ! {
            statistics::finish();
            loop {
                // SAFETY: ends the process.
                unsafe { vmcore::sys::call(libc::SYS_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
            }
        }
    };
}

exit!(_exit);
exit!(_Exit);
