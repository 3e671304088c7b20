//! Processes, threads, programs and libraries.

use core::ffi::{c_char, c_int, c_long, c_void};
use interposer::wrappers::{exec, loading, processes, threads};
use libc::{clockid_t, pid_t, posix_spawn_file_actions_t, posix_spawnattr_t, pthread_attr_t, pthread_t, FILE};

type Text = *const c_char;
type Texts = *const *mut c_char;

calls! { processes:
    fn fork() -> pid_t;
    fn __fork() -> pid_t;
    fn _Fork() -> pid_t;
    fn daemon(nochdir: c_int, noclose: c_int) -> c_int;
    fn forkpty(master: *mut c_int, name: *mut c_char, mode: *const c_void, size: *const c_void) -> c_int;
    fn system(command: *const c_char) -> c_int;
    fn popen(command: *const c_char, mode: *const c_char) -> *mut FILE;
    fn wordexp(words: *const c_char, result: *mut c_void, flags: c_int) -> c_int;
    fn posix_spawn(
        pid: *mut pid_t, path: *const c_char, actions: *const posix_spawn_file_actions_t,
        attributes: *const posix_spawnattr_t, argv: Texts, envp: Texts
    ) -> c_int;
    fn posix_spawnp(
        pid: *mut pid_t, path: *const c_char, actions: *const posix_spawn_file_actions_t,
        attributes: *const posix_spawnattr_t, argv: Texts, envp: Texts
    ) -> c_int;
    fn clone(
        start: *mut c_void, stack: *mut c_void, flags: c_int, argument: *mut c_void, parent_tid: *mut c_void,
        block: *mut c_void, child_tid: *mut c_void
    ) -> c_int;
    fn __clone(
        start: *mut c_void, stack: *mut c_void, flags: c_int, argument: *mut c_void, parent_tid: *mut c_void,
        block: *mut c_void, child_tid: *mut c_void
    ) -> c_int;
    fn timer_create(clock: clockid_t, event: *mut c_void, timer: *mut c_void) -> c_int;
    fn mq_notify(queue: c_int, event: *const c_void) -> c_int;
    fn getaddrinfo_a(mode: c_int, list: *mut c_void, n: c_int, event: *mut c_void) -> c_int;
    fn aio_read(block: *mut c_void) -> c_int;
    fn aio_read64(block: *mut c_void) -> c_int;
    fn aio_write(block: *mut c_void) -> c_int;
    fn aio_write64(block: *mut c_void) -> c_int;
    fn aio_fsync(operation: c_int, block: *mut c_void) -> c_int;
    fn aio_fsync64(operation: c_int, block: *mut c_void) -> c_int;
    fn lio_listio(mode: c_int, list: *const *mut c_void, n: c_int, event: *mut c_void) -> c_int;
    fn lio_listio64(mode: c_int, list: *const *mut c_void, n: c_int, event: *mut c_void) -> c_int;
    fn _exit(status: c_int) -> !;
    fn _Exit(status: c_int) -> !;
}

jumps! { processes:
    fn vfork() -> pid_t;
    fn __vfork() -> pid_t;
}

calls! { threads:
    fn pthread_create(
        thread: *mut pthread_t, attributes: *const pthread_attr_t, start: interposer::wrappers::threads::Start,
        argument: *mut c_void
    ) -> c_int;
}

calls! { exec:
    fn execve(path: Text, argv: Texts, envp: Texts) -> c_int;
    fn execv(path: Text, argv: Texts) -> c_int;
    fn execvp(file: Text, argv: Texts) -> c_int;
    fn execvpe(file: Text, argv: Texts, envp: Texts) -> c_int;
    fn fexecve(fd: c_int, argv: Texts, envp: Texts) -> c_int;
    fn execveat(dir: c_int, path: Text, argv: Texts, envp: Texts, flags: c_int) -> c_int;
}

jumps! { exec:
    fn execl(path: Text) -> c_int;
    fn execle(path: Text) -> c_int;
    fn execlp(path: Text) -> c_int;
}

jumps! { loading:
    fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
    fn dlmopen(namespace: c_long, file: *const c_char, flags: c_int) -> *mut c_void;
}
