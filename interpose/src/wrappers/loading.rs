//! dlopen without RTLD_DEEPBIND: a library that looks for symbols in itself and its own dependencies
//! first would find libc's malloc there, and libc's sigaction and fork, instead of ours; and a block
//! that crosses from one heap to the other is no block there.
//!
//! The loader searches by its caller's address (DT_RUNPATH, $ORIGIN, the namespace), so a wrapper only
//! changes the flag and jumps: the address to return to is the program's.

use crate::next;
use crate::shared::aside;
use core::arch::naked_asm;
use core::ffi::{c_char, c_int, c_long, c_void};

type Open = unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;
type OpenApart = unsafe extern "C" fn(c_long, *const c_char, c_int) -> *mut c_void;

/// The C library's function behind a wrapper, and the flags that it gets.
#[repr(C)]
struct Target {
    function: usize,
    flags: c_int,
}

fn without_deepbind(flags: c_int) -> c_int {
    if aside::is_on() {
        flags
    } else {
        flags & !libc::RTLD_DEEPBIND
    }
}

extern "C" fn target_of_dlopen(_: *const c_char, flags: c_int) -> Target {
    let function = next!(c"dlopen", Open).map_or(nothing as *const () as usize, |next| next as usize);
    Target { function, flags: without_deepbind(flags) }
}

/// A library in a namespace of its own has a C library of its own, and the flag makes no difference.
extern "C" fn target_of_dlmopen(namespace: c_long, _: *const c_char, flags: c_int) -> Target {
    let function = next!(c"dlmopen", OpenApart).map_or(nothing as *const () as usize, |next| next as usize);
    Target { function, flags: if namespace == libc::LM_ID_BASE { without_deepbind(flags) } else { flags } }
}

/// For a C library without such a function.
extern "C" fn nothing() -> *mut c_void {
    core::ptr::null_mut()
}

macro_rules! wrapper {
    ($(#[$note:meta])* $name:ident, $target:ident, $flags:literal, ($($arg:ident: $type:ty),*)) => {
        $(#[$note])*
        ///
        /// # Safety
        /// As the original.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> *mut c_void {
            naked_asm!(
                "push rdi",
                "push rsi",
                "push rdx",
                "call {target}",
                "pop rcx",
                "pop rsi",
                "pop rdi",
                concat!("mov ", $flags, ", edx"),
                "jmp rax",
                target = sym $target,
            )
        }
    };
}

wrapper!(/// See dlopen(3).
    dlopen, target_of_dlopen, "esi", (file: *const c_char, flags: c_int));
wrapper!(/// See dlopen(3).
    dlmopen, target_of_dlmopen, "edx", (namespace: c_long, file: *const c_char, flags: c_int));
