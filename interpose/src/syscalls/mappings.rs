//! mprotect, madvise, mlock, munmap, mremap and mmap on pages of ours: they do what they do on any
//! memory, by the engine (`terms.rs`). What concerns no page of ours is the kernel's, untouched.
//!
//! The guard calls [`answer`] for calls that it traps; the functions of the C library are here too,
//! since before the guard is armed nothing is trapped.

use super::program;
use crate::malloc::set_errno;
use crate::{engine, next};
use core::ffi::{c_int, c_uint, c_ulong, c_void};
use vmcore::engine::Engine;
use vmcore::pte::Pte;
use vmcore::region::Place;
use vmcore::sys::thread::{set_signal_mask, SignalSet};
use vmcore::sys::{self, Errno, Result};
use vmcore::terms::Whose;
use vmcore::trace::Access;

const MSEAL: i64 = 462;
const SYSTEM_PAGE: usize = vmcore::units::SYSTEM_PAGE;
const ENOMEM: Errno = Errno(libc::ENOMEM);
const EINVAL: Errno = Errno(libc::EINVAL);

/// The result of the call if it concerns pages of ours, with every signal blocked. The range is
/// validated by the kernel if it does not.
pub fn answer(engine: &'static Engine, number: usize, args: [usize; 6]) -> Option<isize> {
    let [at, len, c, d, ..] = args;
    let result = match number as i64 {
        // The kernel would lock what is yet to be mapped, our views and reserves among it.
        libc::SYS_mlockall => Err(ENOMEM),
        libc::SYS_munlockall => unlock_all(engine),
        libc::SYS_mmap if d & libc::MAP_FIXED as usize == 0 => return None,
        libc::SYS_mremap => return remap(engine, args),
        _ => {
            let len = len.checked_next_multiple_of(SYSTEM_PAGE)?;
            // mlock alone takes the pages that any part of the range touches.
            let locks = matches!(number as i64, libc::SYS_mlock | libc::SYS_munlock | libc::SYS_mlock2);
            let (at, len) = if locks { whole_pages(at, args[1])? } else { (at, len) };
            if !at.is_multiple_of(SYSTEM_PAGE) || len == 0 {
                return None;
            }
            match engine.whose(at, len) {
                Whose::Program => return None,
                Whose::Mixed => Err(ENOMEM),
                Whose::Heap(place) => match number as i64 {
                    libc::SYS_mmap => return map_over(engine, &place, at, len).err().map(code),
                    libc::SYS_mprotect => limits(c).and_then(|limits| engine.limit(&place, at, len, limits, None)),
                    libc::SYS_pkey_mprotect => {
                        let key = Some(d).filter(|key| *key as i32 != -1);
                        limits(c).and_then(|limits| engine.limit(&place, at, len, limits, key))
                    }
                    libc::SYS_munmap => engine.give_up(&place, at, len),
                    // Pages that may not be mapped anew could neither leave nor come.
                    MSEAL => Err(ENOMEM),
                    libc::SYS_madvise => advise(engine, &place, at, len, c as c_int),
                    libc::SYS_munlock => {
                        engine.unlock(&place, at, len);
                        return None;
                    }
                    _ => return lock(engine, &place, number, at, len, c).err().map(code).or(Some(0)),
                },
            }
        }
    };
    Some(result.map_or_else(code, |()| 0))
}

fn code(error: Errno) -> isize {
    -(error.0 as isize)
}

fn whole_pages(at: usize, len: usize) -> Option<(usize, usize)> {
    let start = at & !(SYSTEM_PAGE - 1);
    let end = at.checked_add(len)?.checked_next_multiple_of(SYSTEM_PAGE)?;
    Some((start, end - start))
}

/// What mprotect's `PROT_…` leaves, as flags of an entry.
fn limits(protection: usize) -> Result<u64> {
    const KNOWN: c_int = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let protection = protection as c_int;
    // Other bits are for stacks of the kernel's.
    if protection & !KNOWN != 0 {
        return Err(EINVAL);
    }
    // What may be written or executed may be read: the processor knows no other way.
    let closed = if protection == libc::PROT_NONE { Pte::NO_LOADS } else { 0 };
    let constant = if protection & libc::PROT_WRITE == 0 { Pte::NO_STORES } else { 0 };
    let execute = if protection & libc::PROT_EXEC != 0 { Pte::EXECUTE } else { 0 };
    Ok(closed | constant | execute)
}

fn advise(engine: &'static Engine, place: &Place, at: usize, len: usize, advice: c_int) -> Result<()> {
    match advice {
        libc::MADV_DONTNEED | libc::MADV_FREE => engine.discard(place, at, len),
        libc::MADV_POPULATE_READ | libc::MADV_POPULATE_WRITE => {
            let access = if advice == libc::MADV_POPULATE_READ { Access::Read } else { Access::Write };
            for page in (at..at + len).step_by(SYSTEM_PAGE) {
                let pinned = engine.pin(page, SYSTEM_PAGE, access, true);
                engine.unpin(page, pinned);
            }
            Ok(())
        }
        // Hints about when pages are wanted, and how large: the policy decides. A child has what its
        // parent has, and a dump what there is.
        libc::MADV_NORMAL..=libc::MADV_WILLNEED
        | libc::MADV_COLD
        | libc::MADV_PAGEOUT
        | libc::MADV_DONTFORK..=libc::MADV_DOFORK
        | libc::MADV_MERGEABLE..=libc::MADV_DODUMP => Ok(()),
        // What the kernel refuses for such memory, or may not know: programs do without.
        _ => Err(EINVAL),
    }
}

/// mlock and mlock2: the pager's lock, and then the kernel's on what is mapped now.
fn lock(engine: &'static Engine, place: &Place, number: usize, at: usize, len: usize, flags: usize) -> Result<()> {
    engine.lock(place, at, len)?;
    // SAFETY: no effect on contents.
    sys::check(unsafe { sys::call(number as i64, [at, len, flags, 0, 0, 0]) })
        .inspect_err(|_| engine.unlock(place, at, len))
        .map(|_| ())
}

fn unlock_all(engine: &'static Engine) -> Result<()> {
    for place in engine.places() {
        engine.unlock(&place, place.base, engine.span().heap);
    }
    // SAFETY: no effect on contents.
    sys::check(unsafe { sys::call(libc::SYS_munlockall, [0; 6]) }).map(|_| ())
}

/// mmap(MAP_FIXED) over pages of a block: they are the program's mapping until the block is freed.
fn map_over(engine: &'static Engine, place: &Place, at: usize, len: usize) -> Result<()> {
    if !(at | len).is_multiple_of(engine.page()) {
        // Part of a page larger than the system's.
        return Err(ENOMEM);
    }
    engine.give_up(place, at, len)
}

/// The ioctl of userfaultfd that says which pages it is to be told of.
pub const UFFDIO_REGISTER: u32 = 0xc020_aa00;

/// UFFDIO_REGISTER: the kernel would tell of our mappings, which come and go, and forget what it was told.
pub fn watch(engine: &'static Engine, argument: usize) -> Option<isize> {
    let mut range = [0; 16];
    if !program::peek(engine, argument, &mut range) {
        return None;
    }
    let [at, len] = [0, 8].map(|i| range.get(i..i + 8).and_then(|word| word.try_into().ok()).map_or(0, usize::from_ne_bytes));
    (len > 0 && !matches!(engine.whose(at, len), Whose::Program)).then_some(code(EINVAL))
}

fn remap(engine: &'static Engine, [at, old, new, flags, target, _]: [usize; 6]) -> Option<isize> {
    let (old, new) = (old.checked_next_multiple_of(SYSTEM_PAGE)?, new.checked_next_multiple_of(SYSTEM_PAGE)?);
    let fixed = flags & libc::MREMAP_FIXED as usize != 0;
    if fixed {
        let overlaps = target < at.saturating_add(old) && at < target.saturating_add(new);
        if !target.is_multiple_of(SYSTEM_PAGE) || overlaps {
            return Some(code(EINVAL));
        }
        match engine.whose(target, new) {
            Whose::Program => {}
            Whose::Mixed => return Some(code(ENOMEM)),
            Whose::Heap(place) => {
                if let Err(error) = map_over(engine, &place, target, new) {
                    return Some(code(error));
                }
            }
        }
    }
    let place = match engine.whose(at, old) {
        Whose::Program => return None,
        Whose::Mixed => return Some(code(ENOMEM)),
        Whose::Heap(place) => place,
    };
    let known = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
    let moves = flags & libc::MREMAP_MAYMOVE as usize != 0;
    let keeps = flags & libc::MREMAP_DONTUNMAP as usize != 0;
    let bad = !at.is_multiple_of(SYSTEM_PAGE) || old == 0 || new == 0 || flags & !(known as usize) != 0;
    if bad || (fixed || keeps) && !moves || keeps && old != new {
        return Some(code(EINVAL));
    }
    let result = if new <= old && !fixed && !keeps {
        engine.give_up(&place, at + new, old - new).map(|()| at)
    } else if moves {
        move_out(engine, &place, (at, old), new, fixed.then_some(target), keeps)
    } else {
        Err(ENOMEM)
    };
    Some(result.map_or_else(code, |at| at as isize))
}

/// mremap to another place: memory of the program's own, with the contents that were here.
fn move_out(
    engine: &'static Engine,
    place: &Place,
    (at, old): (usize, usize),
    new: usize,
    target: Option<usize>,
    keeps: bool,
) -> Result<usize> {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let fixed = if target.is_some() { libc::MAP_FIXED } else { 0 };
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | fixed) as usize;
    // SAFETY: memory that is new, or where the program wants it.
    let to = sys::check(unsafe { sys::call(libc::SYS_mmap, [target.unwrap_or(0), new, protection, flags, usize::MAX, 0]) })?;
    let wanted = old.min(new);
    if program::copy(engine, to, at, wanted, false) < wanted {
        // SAFETY: made above, and known to nobody.
        let _ = unsafe { sys::call(libc::SYS_munmap, [to, new, 0, 0, 0, 0]) };
        return Err(Errno(libc::EFAULT));
    }
    if keeps {
        engine.discard(place, at, old)?
    } else {
        engine.give_up(place, at, old)?
    }
    Ok(to)
}

/// A function of the C library: ours if pages of ours are concerned, else the kernel's.
pub fn door(number: i64, args: [usize; 6]) -> isize {
    let ours = engine::get().and_then(|engine| {
        let everywhere = matches!(number, libc::SYS_mlockall | libc::SYS_munlockall);
        let target = number == libc::SYS_mremap && engine.is_ours(args[4]);
        if !everywhere && !target && !engine.is_ours(args[0]) {
            return None;
        }
        let _stack = engine.keep_stack();
        // A handler of the program must not find one of its pages in our hands.
        let signals = set_signal_mask(SignalSet::ALL);
        let result = answer(engine, number as usize, args);
        set_signal_mask(signals);
        result
    });
    // SAFETY: the program's own call.
    let result = ours.unwrap_or_else(|| unsafe { sys::call(number, args) });
    match sys::check(result) {
        Ok(value) => value as isize,
        Err(error) => {
            set_errno(error.0);
            -1
        }
    }
}

macro_rules! door {
    ($(#[$note:meta])* $name:ident, $number:ident, ($($arg:ident: $type:ty),*) -> $result:ty) => {
        $(#[$note])*
        ///
        /// # Safety
        /// As the original.
        #[no_mangle]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            let given: &[usize] = &[$($arg as usize),*];
            let mut args = [0; 6];
            args.iter_mut().zip(given).for_each(|(arg, given)| *arg = *given);
            door(libc::$number, args) as $result
        }
    };
}

type Address = *mut c_void;

door!(/// See mmap(2).
    mmap, SYS_mmap,
    (at: Address, len: usize, protection: c_int, flags: c_int, fd: c_int, offset: libc::off_t) -> Address);
door!(/// See mmap(2).
    mmap64, SYS_mmap,
    (at: Address, len: usize, protection: c_int, flags: c_int, fd: c_int, offset: libc::off64_t) -> Address);
door!(/// See munmap(2).
    munmap, SYS_munmap, (at: Address, len: usize) -> c_int);
door!(/// See mremap(2): the last argument is there or not, in a register either way.
    mremap, SYS_mremap, (at: Address, old: usize, new: usize, flags: c_int, target: Address) -> Address);
door!(/// See mprotect(2).
    mprotect, SYS_mprotect, (at: Address, len: usize, protection: c_int) -> c_int);
door!(/// See madvise(2).
    madvise, SYS_madvise, (at: Address, len: usize, advice: c_int) -> c_int);
door!(/// See mlock(2).
    mlock, SYS_mlock, (at: *const c_void, len: usize) -> c_int);
door!(/// See mlock2(2).
    mlock2, SYS_mlock2, (at: *const c_void, len: usize, flags: c_uint) -> c_int);
door!(/// See munlock(2).
    munlock, SYS_munlock, (at: *const c_void, len: usize) -> c_int);
door!(/// See mlockall(2): memory that is paged cannot be locked as a whole.
    mlockall, SYS_mlockall, (flags: c_int) -> c_int);
door!(/// See munlockall(2).
    munlockall, SYS_munlockall, () -> c_int);

/// See pkey_mprotect(2).
///
/// # Safety
/// As the original.
#[no_mangle]
pub unsafe extern "C" fn pkey_mprotect(at: Address, len: usize, protection: c_int, key: c_int) -> c_int {
    let number = if key == -1 { libc::SYS_mprotect } else { libc::SYS_pkey_mprotect };
    door(number, [at as usize, len, protection as usize, key as usize, 0, 0]) as c_int
}

/// See ioctl(2). Whatever the argument is, it is in a register; pages of ours cannot be watched.
///
/// # Safety
/// As the original.
#[no_mangle]
pub unsafe extern "C" fn ioctl(fd: c_int, request: c_ulong, argument: usize) -> c_int {
    if request as u32 == UFFDIO_REGISTER && engine::get().is_some_and(|engine| watch(engine, argument).is_some()) {
        set_errno(libc::EINVAL);
        return -1;
    }
    match next!(c"ioctl", unsafe extern "C" fn(c_int, c_ulong, ...) -> c_int) {
        // SAFETY: the caller's promise.
        Some(next) => unsafe { next(fd, request, argument) },
        None => -1,
    }
}
