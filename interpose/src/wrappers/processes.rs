//! The C library's functions that make processes, or threads of their own, and those that end this one.

use crate::births::sharing;
use crate::guard::gadget;
use crate::guard::trapping::Trapping;
use crate::next;
use crate::shared::ends;
use crate::statistics;
use core::arch::naked_asm;
use core::ffi::{c_char, c_int, c_void};

macro_rules! trapping {
    ($begin:ident $(($given:ident))? $(#[$note:meta])* $name:ident, $cname:literal, ($($arg:ident: $type:ty),*) -> $result:ty, $none:expr) => {
        $(#[$note])*
        ///
        /// # Safety
        /// As the original.
        #[allow(non_snake_case)]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            let Some(next) = next!($cname, unsafe extern "C" fn($($type),*) -> $result) else {
                return $none;
            };
            let _trapping = Trapping::$begin($($given)?);
            // SAFETY: the caller's arguments.
            unsafe { next($($arg),*) }
        }
    };
}

type Texts = *const *mut c_char;

trapping!(begin /// fork(2): the child gets its own copy of everything that is in use; ENOMEM if there is no room.
    fork, c"fork", () -> libc::pid_t, -1);
trapping!(begin /// See fork(2).
    __fork, c"__fork", () -> libc::pid_t, -1);
trapping!(begin /// See fork(2): without the program's handlers.
    _Fork, c"_Fork", () -> libc::pid_t, -1);
trapping!(begin /// See daemon(3).
    daemon, c"daemon", (nochdir: c_int, noclose: c_int) -> c_int, -1);
trapping!(begin /// See forkpty(3).
    forkpty, c"forkpty", (master: *mut c_int, name: *mut c_char, mode: *const c_void, size: *const c_void) -> c_int, -1);
trapping!(if_armed /// See system(3).
    system, c"system", (command: *const c_char) -> c_int, -1);
trapping!(if_armed /// See popen(3).
    popen, c"popen", (command: *const c_char, mode: *const c_char) -> *mut libc::FILE, core::ptr::null_mut());
trapping!(begin /// See wordexp(3).
    wordexp, c"wordexp", (words: *const c_char, result: *mut c_void, flags: c_int) -> c_int, 1);
trapping!(if_armed /// See posix_spawn(3).
    posix_spawn, c"posix_spawn",
    (pid: *mut libc::pid_t, path: *const c_char, actions: *const libc::posix_spawn_file_actions_t,
     attributes: *const libc::posix_spawnattr_t, argv: Texts, envp: Texts) -> c_int, libc::ENOSYS);
trapping!(if_armed /// See posix_spawn(3).
    posix_spawnp, c"posix_spawnp",
    (pid: *mut libc::pid_t, file: *const c_char, actions: *const libc::posix_spawn_file_actions_t,
     attributes: *const libc::posix_spawnattr_t, argv: Texts, envp: Texts) -> c_int, libc::ENOSYS);
trapping!(for_clone(flags) /// See clone(2).
    clone, c"clone",
    (start: *mut c_void, stack: *mut c_void, flags: c_int, argument: *mut c_void, parent_tid: *mut c_void,
     block: *mut c_void, child_tid: *mut c_void) -> c_int, -1);
trapping!(for_clone(flags) /// See clone(2).
    __clone, c"__clone",
    (start: *mut c_void, stack: *mut c_void, flags: c_int, argument: *mut c_void, parent_tid: *mut c_void,
     block: *mut c_void, child_tid: *mut c_void) -> c_int, -1);

// The threads that libc makes for these must be guarded from their first instruction, and so must those
// that such threads make.
trapping!(if_armed /// See timer_create(2).
    timer_create, c"timer_create",
    (clock: libc::clockid_t, event: *mut c_void, timer: *mut c_void) -> c_int, -1);
trapping!(if_armed /// See mq_notify(3).
    mq_notify, c"mq_notify", (queue: c_int, event: *const c_void) -> c_int, -1);
trapping!(if_armed /// See getaddrinfo_a(3).
    getaddrinfo_a, c"getaddrinfo_a", (mode: c_int, list: *mut c_void, n: c_int, event: *mut c_void) -> c_int, libc::EAI_SYSTEM);
trapping!(if_armed /// See aio_read(3).
    aio_read, c"aio_read", (block: *mut c_void) -> c_int, -1);
trapping!(if_armed /// See aio_read(3).
    aio_read64, c"aio_read64", (block: *mut c_void) -> c_int, -1);
trapping!(if_armed /// See aio_write(3).
    aio_write, c"aio_write", (block: *mut c_void) -> c_int, -1);
trapping!(if_armed /// See aio_write(3).
    aio_write64, c"aio_write64", (block: *mut c_void) -> c_int, -1);
trapping!(if_armed /// See aio_fsync(3).
    aio_fsync, c"aio_fsync", (operation: c_int, block: *mut c_void) -> c_int, -1);
trapping!(if_armed /// See aio_fsync(3).
    aio_fsync64, c"aio_fsync64", (operation: c_int, block: *mut c_void) -> c_int, -1);
trapping!(if_armed /// See lio_listio(3).
    lio_listio, c"lio_listio", (mode: c_int, list: *const *mut c_void, n: c_int, event: *mut c_void) -> c_int, -1);
trapping!(if_armed /// See lio_listio(3).
    lio_listio64, c"lio_listio64", (mode: c_int, list: *const *mut c_void, n: c_int, event: *mut c_void) -> c_int, -1);

extern "C" fn before_vfork(go_on: usize) -> sharing::Vfork {
    let native = next!(c"vfork", unsafe extern "C" fn() -> libc::pid_t);
    sharing::before_vfork(go_on, native.map_or(0, |native| native as usize))
}

/// See vfork(2): the parent sleeps until the child executes another program or ends, and the child's
/// stores are seen by the parent.
///
/// # Safety
/// As the original.
#[unsafe(naked)]
pub unsafe extern "C" fn vfork() -> libc::pid_t {
    // Both return to our caller with nothing of ours left on the stack that they share.
    naked_asm!(
        "mov rdi, qword ptr [rsp]",
        "sub rsp, 8",
        "call {before}",
        "add rsp, 8",
        "test rdx, rdx",
        "jz 2f",
        "jmp rdx",
        "2:",
        "test rax, rax",
        "jz {fork}",
        "mov r9, rax",
        "add rsp, 8",
        "mov eax, {vfork}",
        "jmp {resume}",
        vfork = const libc::SYS_vfork,
        before = sym before_vfork,
        fork = sym fork,
        resume = sym gadget::vmalloc_resume_birth,
    )
}

/// See vfork(2).
///
/// # Safety
/// As the original.
#[unsafe(naked)]
pub unsafe extern "C" fn __vfork() -> libc::pid_t {
    naked_asm!("jmp {vfork}", vfork = sym vfork)
}

macro_rules! exit {
    ($name:ident) => {
        /// See _exit(2): statistics are written first.
        #[allow(non_snake_case)]
        pub fn $name(status: c_int) -> ! {
            statistics::finish();
            ends::exit(status)
        }
    };
}

exit!(_exit);
exit!(_Exit);
