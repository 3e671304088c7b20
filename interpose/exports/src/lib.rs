//! libvmalloc.so: the functions of the interposer under the names that programs know, by family. What is exported
//! takes the place of the C library's function of the same name; `interpose/exports.txt` lists it all.
#![no_std]

/// Functions that are called: `calls! { module: fn name(argument: Type) -> Result; … }`.
macro_rules! calls {
    ($module:ident: $(fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)+) => {$(
        /// # Safety
        /// As the C library's function of this name asks for.
        #[no_mangle]
        #[allow(unused_unsafe, non_snake_case)]
        pub unsafe extern "C" fn $name($($arg: $type),*) $(-> $result)? {
            // SAFETY: whoever calls this keeps to what the C library's function asks for, and so does the interposer's.
            unsafe { $module::$name($($arg),*) }
        }
    )+};
}

/// The same for functions that must find the stack and the registers of their caller: they are jumped to.
macro_rules! jumps {
    ($module:ident: $(fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)+) => {$(
        /// # Safety
        /// As the C library's function of this name asks for.
        #[no_mangle]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name($($arg: $type),*) $(-> $result)? {
            core::arch::naked_asm!("jmp {function}", function = sym $module::$name)
        }
    )+};
}

mod files;
mod malloc;
mod mappings;
mod processes;
mod signals;

use vmcore::report::say;

// A hint only: most programs allocate before constructors run. It may run before main, as the attribute wants to be told:
// making the engine needs nothing of Rust's std, and of the C library only what the dynamic loader has made ready.
#[ctor::ctor(unsafe)]
fn begin() {
    interposer::start::engine();
}

extern "C" fn end() {
    interposer::statistics::finish();
}

// Not through atexit, as `ctor::dtor` would: that is no function of the shared C library.
#[used]
#[link_section = ".fini_array"]
static END: extern "C" fn() = end;

/// A panic here is a bug of ours: say so, and end the program before it goes on with wrong memory.
#[panic_handler]
fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    say(format_args!("internal error: {info}"));
    interposer::shared::ends::abort()
}
