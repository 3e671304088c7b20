//! The context that a signal interrupted, as the kernel lays it out on x86-64. Pure.
#![forbid(unsafe_code)]

use vmcore::sys::thread::SignalSet;

/// Places in [`Ucontext::registers`]: the names are the processor's.
#[allow(missing_docs)]
pub mod register {
    pub const R10: usize = 2;
    pub const R8: usize = 0;
    pub const R9: usize = 1;
    pub const RDI: usize = 8;
    pub const RSI: usize = 9;
    pub const RDX: usize = 12;
    pub const RAX: usize = 13;
    pub const RCX: usize = 14;
    pub const RSP: usize = 15;
    pub const RIP: usize = 16;
    pub const FLAGS: usize = 17;
    pub const ERROR: usize = 19;
}
use register::{ERROR, R10, R8, R9, RAX, RCX, RDI, RDX, RIP, RSI, RSP};

/// Where a system call has its arguments.
const ARGUMENTS: [usize; 6] = [RDI, RSI, RDX, R10, R8, R9];

/// The kernel's `struct ucontext`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ucontext {
    flags: u64,
    link: usize,
    /// The alternate stack.
    pub stack: libc::stack_t,
    /// r8 … r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, flags, segments, error, trap, mask, cr2.
    pub registers: [u64; 23],
    /// The state of the floating-point and vector units, or null for the initial state.
    pub vectors: usize,
    reserved: [u64; 8],
    /// The mask of the interrupted code.
    pub mask: SignalSet,
}

const _: () = assert!(size_of::<Ucontext>() == 304);

macro_rules! register {
    ($get:ident, $set:ident, $index:ident, $what:literal) => {
        #[doc = $what]
        pub fn $get(&self) -> usize {
            self.registers[$index] as usize
        }

        #[doc = $what]
        pub fn $set(&mut self, value: usize) {
            self.registers[$index] = value as u64;
        }
    };
}

impl Ucontext {
    register!(rax, set_rax, RAX, "The number of a system call, then its result.");
    register!(rip, set_rip, RIP, "Where the program goes on.");
    register!(rsp, set_rsp, RSP, "The program's stack.");

    /// A general register by the number that instructions have for it: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15.
    pub fn general(&self, number: usize) -> u64 {
        const PLACES: [usize; 16] = [RAX, RCX, RDX, 11, RSP, 10, RSI, RDI, R8, R9, R10, 3, 4, 5, 6, 7];
        PLACES.get(number).map_or(0, |place| self.registers[*place])
    }

    /// The arguments of a system call.
    pub fn args(&self) -> [usize; 6] {
        ARGUMENTS.map(|i| self.registers[i] as usize)
    }

    /// Sets the registers of the arguments.
    pub fn set_args(&mut self, args: [usize; 6]) {
        for (i, arg) in ARGUMENTS.into_iter().zip(args) {
            self.registers[i] = arg as u64;
        }
    }

    /// Whether the signal made a system call end with EINTR: `syscall` leaves its return address in
    /// rcx.
    pub fn interrupted_call(&self) -> bool {
        self.registers[RAX] as i64 == -i64::from(libc::EINTR) && self.returned_from_call()
    }

    /// Whether a system call has just returned.
    pub fn returned_from_call(&self) -> bool {
        self.registers[RCX] == self.registers[RIP]
    }

    /// Whether the page fault was a store: bit 1 of its error code.
    pub fn is_store(&self) -> bool {
        self.registers[ERROR] & 2 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn it_is_laid_out_as_libc_says() {
        assert_eq!(offset_of!(Ucontext, registers), offset_of!(libc::ucontext_t, uc_mcontext));
        assert_eq!(offset_of!(Ucontext, mask), offset_of!(libc::ucontext_t, uc_sigmask));
        let libc_s = [libc::REG_RAX, libc::REG_RCX, libc::REG_RSP, libc::REG_RIP, libc::REG_EFL, libc::REG_ERR];
        assert_eq!(libc_s.map(|i| i as usize), [RAX, RCX, RSP, RIP, register::FLAGS, ERROR]);
        let arguments = [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8, libc::REG_R9];
        assert_eq!(arguments.map(|i| i as usize), ARGUMENTS);
    }
}
