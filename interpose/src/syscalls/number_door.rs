//! syscall(2), the C library's function that takes a number: the calls that concern us whether the guard
//! is armed or not are ours, all others are libc's, at the cost of a look and a jump.

use super::{descriptors, direct_doors, mappings, special, Trapping};
use crate::malloc::set_errno;
use crate::{engine, next};
use core::ffi::c_int;
use core::sync::atomic::{AtomicPtr, Ordering};

type Syscall = unsafe extern "C" fn(usize, usize, usize, usize, usize, usize, usize) -> isize;

/// libc's function, once somebody has called ours.
static NEXT: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// One bit for each number that is not simply passed on.
static OURS: [u64; 8] = {
    const NUMBERS: [usize; 28] = [
        3, 5, 9, 10, 11, 25, 28, 32, 33, 54, 56, 57, 59, 72, 149, 150, 151, 152, 160, 278, 292, 322, 325, 329, 425, 435, 436, 462,
    ];
    let mut bits = [0; 8];
    let mut i = 0;
    while i < NUMBERS.len() {
        bits[NUMBERS[i] / 64] |= 1 << (NUMBERS[i] % 64);
        i += 1;
    }
    bits
};

/// See syscall(2).
///
/// # Safety
/// As the call of that number.
#[no_mangle]
#[unsafe(naked)]
pub unsafe extern "C" fn syscall() {
    core::arch::naked_asm!(
        "cmp rdi, 512",
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
        ours = sym OURS,
        next = sym NEXT,
        slowly = sym slowly,
    )
}

unsafe extern "C" fn slowly(number: usize, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
    let Some(next) = next!(c"syscall", Syscall) else {
        set_errno(libc::ENOSYS);
        return -1;
    };
    // Relaxed: whoever stores it stores the same.
    NEXT.store(next as *mut (), Ordering::Relaxed);
    match number {
        9..=11 | 25 | 28 | 149..=152 | 325 | 329 | 462 => mappings::door(number as i64, [a, b, c, d, e, f]),
        // What makes children, or another program of this one, is done in a trap.
        56 | 57 | 59 | 322 | 435 => {
            let _trapping = Trapping::begin();
            // SAFETY: the caller's promise.
            unsafe { next(number, a, b, c, d, e, f) }
        }
        425 if engine::get().is_some() => {
            set_errno(libc::ENOSYS);
            -1
        }
        54 if refuses(b, c) => {
            set_errno(libc::ENOPROTOOPT);
            -1
        }
        // SAFETY: the caller's promise.
        278 => unsafe { direct_doors::vmsplice(a as c_int, b as *const libc::iovec, c, d as u32) },
        3 | 5 | 32 | 33 | 72 | 160 | 292 | 436 => {
            // SAFETY: the caller's promise.
            descriptors::door(number as i64, [a, b, c], || unsafe { next(number, a, b, c, d, e, f) } as c_int) as isize
        }
        // SAFETY: the caller's promise.
        _ => unsafe { next(number, a, b, c, d, e, f) },
    }
}

/// Whether setsockopt is refused.
fn refuses(level: usize, name: usize) -> bool {
    engine::get().is_some() && special::is_zero_copy([level, name])
}

/// See setsockopt(2): sending without a copy is refused, since our pages do not stay.
///
/// # Safety
/// As the original.
#[no_mangle]
pub unsafe extern "C" fn setsockopt(fd: c_int, level: c_int, name: c_int, value: usize, len: libc::socklen_t) -> c_int {
    if refuses(level as usize, name as usize) {
        set_errno(libc::ENOPROTOOPT);
        return -1;
    }
    match next!(c"setsockopt", unsafe extern "C" fn(c_int, c_int, c_int, usize, libc::socklen_t) -> c_int) {
        // SAFETY: the caller's promise.
        Some(next) => unsafe { next(fd, level, name, value, len) },
        None => -1,
    }
}
