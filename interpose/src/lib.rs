//! libvmalloc.so: preloaded into an unmodified program, it gives every thread a heap whose pages live
//! in a bounded arena and a swap file. The doors here know the engine (`vmcore`); the engine knows
//! none of them.
//!
//! What is exported replaces the C library's functions of the same name; `exports.txt` lists it all.
#![no_std]

mod aside;
mod assignment;
mod blocks;
mod engine;
mod execs;
mod loading;
mod malloc;
mod misuse;
mod next;
mod output;
mod processes;
mod resizing;
mod sandbox;
mod settings;
mod signals;
mod statistics;
mod syscalls;
mod thread;
mod threads;

use vmcore::report::say;

// The libc crate links the C library only for those who use it without std, and another member of the
// workspace uses it with std.
#[link(name = "c")]
unsafe extern "C" {}

// A hint only: most programs allocate before constructors run.
#[ctor::ctor]
fn begin() {
    engine::get_or_make();
}

extern "C" fn end() {
    statistics::finish();
}

// Not through atexit, as `ctor::dtor` would: that is no function of the shared C library.
#[used]
#[link_section = ".fini_array"]
static END: extern "C" fn() = end;

/// A panic here is a bug of ours: say so, and end the program before it goes on with wrong memory.
#[panic_handler]
fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    say(format_args!("internal error: {info}"));
    misuse::abort()
}
