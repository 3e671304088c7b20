//! exec: what the program has blocked of our signals goes along, and statistics are written while there
//! is somebody to do it. Both happen where the call is trapped (`births/exec.rs`), so the wrappers
//! only see to it that it is. While nothing can be absent, the kernel knows what is blocked, and a trap is made for
//! those alone who want statistics.
//!
//! The functions with a list of arguments make a vector of it on the stack, as libc does: a child of
//! vfork may call them.

use crate::guard::trapping::Trapping;
use crate::next;
use crate::statistics;
use core::arch::naked_asm;
use core::ffi::{c_char, c_int};

type Text = *const c_char;
type Texts = *const *mut c_char;

/// The exec that follows is trapped if there is anything to do in the trap.
pub fn prepare() -> Trapping {
    if statistics::are_wanted() {
        Trapping::begin()
    } else {
        Trapping::if_armed()
    }
}

macro_rules! exec {
    ($(#[$note:meta])* $name:ident, $cname:literal, ($($arg:ident: $type:ty),*)) => {
        $(#[$note])*
        ///
        /// # Safety
        /// As the original.
        pub unsafe fn $name($($arg: $type),*) -> c_int {
            let Some(next) = next!($cname, unsafe extern "C" fn($($type),*) -> c_int) else {
                return -1;
            };
            let _trapping = prepare();
            // SAFETY: the caller's arguments.
            unsafe { next($($arg),*) }
        }
    };
}

exec!(/// See execve(2).
    execve, c"execve", (path: Text, argv: Texts, envp: Texts));
exec!(/// See exec(3).
    execv, c"execv", (path: Text, argv: Texts));
exec!(/// See exec(3).
    execvp, c"execvp", (file: Text, argv: Texts));
exec!(/// See exec(3).
    execvpe, c"execvpe", (file: Text, argv: Texts, envp: Texts));
exec!(/// See fexecve(3).
    fexecve, c"fexecve", (fd: c_int, argv: Texts, envp: Texts));
exec!(/// See execveat(2).
    execveat, c"execveat", (dir: c_int, path: Text, argv: Texts, envp: Texts, flags: c_int));

/// A list of arguments after the first: five in registers, the others on the stack.
#[repr(C)]
#[derive(Clone, Copy)]
struct ArgumentList {
    registers: *const *mut c_char,
    stack: *const *mut c_char,
}

impl ArgumentList {
    /// # Safety
    /// The list must be that long.
    unsafe fn get(self, i: usize) -> *mut c_char {
        const REGISTERS: usize = 5;
        // SAFETY: the list is that long, as the caller promises: the first five lie in `registers`, the others in
        // `stack`.
        unsafe { *if i < REGISTERS { self.registers.add(i) } else { self.stack.add(i - REGISTERS) } }
    }

    /// How many there are before the null pointer.
    ///
    /// # Safety
    /// A list that ends with a null pointer.
    unsafe fn entries(self) -> usize {
        let mut len = 0;
        // SAFETY: the list ends with a null pointer, as the caller promises, and no entry before this one was that.
        while !unsafe { self.get(len) }.is_null() {
            len += 1;
        }
        len
    }
}

/// Bytes of stack for a vector of the list.
unsafe extern "C" fn room(registers: Texts, stack: Texts) -> usize {
    // SAFETY: the arguments of the program's call.
    let len = unsafe { ArgumentList { registers, stack }.entries() };
    ((len + 1) * size_of::<Text>()).next_multiple_of(16)
}

/// execl, execlp or execle, with the vector at `vector`.
unsafe extern "C" fn execute(path: Text, registers: Texts, stack: Texts, vector: *mut *mut c_char, kind: c_int) -> c_int {
    let list = ArgumentList { registers, stack };
    // SAFETY: the arguments of the program's call, and room for the vector.
    unsafe {
        let len = list.entries();
        (0..=len).for_each(|i| vector.add(i).write(list.get(i)));
        match kind {
            0 => execv(path, vector),
            1 => execvp(path, vector),
            _ => execve(path, vector, list.get(len + 1).cast()),
        }
    }
}

macro_rules! exec_list {
    ($name:ident, $kind:literal) => {
        /// See exec(3).
        ///
        /// # Safety
        /// As the original.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(path: Text) -> c_int {
            naked_asm!(
                "push rbp",
                "mov rbp, rsp",
                "push r9",
                "push r8",
                "push rcx",
                "push rdx",
                "push rsi",
                "push rdi",
                "lea rdi, [rbp - 40]",
                "lea rsi, [rbp + 16]",
                "call {room}",
                "sub rsp, rax",
                "mov rdi, qword ptr [rbp - 48]",
                "lea rsi, [rbp - 40]",
                "lea rdx, [rbp + 16]",
                "mov rcx, rsp",
                "mov r8d, {kind}",
                "call {execute}",
                "leave",
                "ret",
                room = sym room,
                execute = sym execute,
                kind = const $kind,
            )
        }
    };
}

exec_list!(execl, 0);
exec_list!(execlp, 1);
exec_list!(execle, 2);
