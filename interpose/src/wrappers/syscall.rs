//! syscall(2), the C library's function that takes a number: the calls that concern us whether the guard
//! is armed or not are ours, all others are libc's, at the cost of a look and a jump.

use super::{descriptors, exec, mappings, transfers};
use crate::guard::trapping::Trapping;
use crate::next;
use crate::shared::engine;
use crate::shared::errno::fail;
use crate::syscalls::execution::is_zero_copy;
use crate::syscalls::memory;
use crate::syscalls::table::{self, bits_of_those_that_concern_unarmed, Family, MOST};
use core::ffi::{c_int, c_long};
use core::sync::atomic::{AtomicPtr, Ordering};
use vmcore::sys::file;

type Syscall = unsafe extern "C" fn(c_long, usize, usize, usize, usize, usize, usize) -> isize;

/// libc's function, once somebody has called ours.
static NEXT: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// One bit for each number that is not simply passed on.
static OURS: [u64; MOST / 64] = bits_of_those_that_concern_unarmed();

/// See syscall(2).
///
/// # Safety
/// As the call of that number.
#[unsafe(naked)]
pub unsafe extern "C" fn syscall() {
    core::arch::naked_asm!(
        "cmp rdi, {most}",
        "jae 2f",
        "lea rax, [rip + {ours}]",
        "bt qword ptr [rax], rdi",
        "jc 3f",
        "2:",
        "mov rax, qword ptr [rip + {next}]",
        "test rax, rax",
        "jz 3f",
        "jmp rax",
        "3:",
        "jmp {slowly}",
        most = const MOST,
        ours = sym OURS,
        next = sym NEXT,
        slowly = sym slowly,
    )
}

unsafe extern "C" fn slowly(number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
    let Some(next) = next!(c"syscall", Syscall) else {
        return fail(libc::ENOSYS) as isize;
    };
    // Relaxed: whoever stores it stores the same.
    NEXT.store(next as *mut (), Ordering::Relaxed);
    // SAFETY: the program's own call, with its arguments in their registers, as libc's function takes them.
    let pass_on = || unsafe { next(number, a, b, c, d, e, f) };
    match table::find(number).family {
        Family::Mapping => mappings::wrapped(number, [a, b, c, d, e, f]),
        Family::Descriptor => descriptors::wrapped(number, [a, b, c], || pass_on() as c_int) as isize,
        Family::SizeLimit => {
            file::expect_size_limit();
            pass_on()
        }
        // What makes children, or another program of this one, is done in a trap.
        Family::Child if number != libc::SYS_vfork => {
            let _trapping = Trapping::for_clone(clone_flags(number, a));
            pass_on()
        }
        Family::Exec => {
            let _trapping = exec::prepare();
            pass_on()
        }
        Family::Refused if engine::get().is_some() => fail(libc::ENOSYS) as isize,
        Family::SocketOption if refuses(b, c) => fail(libc::ENOPROTOOPT) as isize,
        // SAFETY: the program's own arguments of vmsplice.
        Family::Splice => unsafe { transfers::vmsplice(a as c_int, b as *const libc::iovec, c, d as u32) },
        _ => pass_on(),
    }
}

/// What the child shares, by the first argument of a call that makes one.
fn clone_flags(number: c_long, first: usize) -> c_int {
    match number {
        libc::SYS_clone => first as c_int,
        libc::SYS_clone3 => engine::get().and_then(|engine| memory::get::<u64>(engine, first)).unwrap_or(0) as c_int,
        _ => 0,
    }
}

/// Whether setsockopt is refused.
fn refuses(level: usize, name: usize) -> bool {
    engine::get().is_some() && is_zero_copy([level, name])
}

/// See setsockopt(2): sending without a copy is refused, since our pages do not stay.
///
/// # Safety
/// As the original.
pub unsafe fn setsockopt(fd: c_int, level: c_int, name: c_int, value: usize, len: libc::socklen_t) -> c_int {
    if refuses(level as usize, name as usize) {
        return fail(libc::ENOPROTOOPT);
    }
    match next!(c"setsockopt", unsafe extern "C" fn(c_int, c_int, c_int, usize, libc::socklen_t) -> c_int) {
        // SAFETY: libc's function gets the program's own arguments.
        Some(next) => unsafe { next(fd, level, name, value, len) },
        None => -1,
    }
}
