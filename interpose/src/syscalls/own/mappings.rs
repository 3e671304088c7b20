//! mprotect, madvise, mlock, munmap, mremap and mmap on pages of ours: they do what they do on any
//! memory, by the engine (`terms.rs`). What concerns no page of ours is the kernel's, untouched.
//!
//! The trap calls [`answer`], and so do the C library's functions (`wrappers`), since before the guard is
//! armed nothing is trapped.

use crate::syscalls::memory;
use core::ffi::{c_int, c_long};
use vmcore::engine::Engine;
use vmcore::pte::Pte;
use vmcore::region::Place;
use vmcore::sys::{self, Errno, Result};
use vmcore::terms::Whose;
use vmcore::trace::Access;

const SYSTEM_PAGE: usize = vmcore::units::SYSTEM_PAGE;
const ENOMEM: Errno = Errno(libc::ENOMEM);
const EINVAL: Errno = Errno(libc::EINVAL);

/// The result of the call if it concerns pages of ours, with every signal blocked. The range is
/// validated by the kernel if it does not.
pub fn answer(engine: &'static Engine, number: c_long, args: [usize; 6]) -> Option<isize> {
    let [at, len, c, d, ..] = args;
    let result = match number {
        // The kernel would lock what is yet to be mapped, our views and reserves among it.
        libc::SYS_mlockall => Err(ENOMEM),
        libc::SYS_munlockall => unlock_all(engine),
        libc::SYS_mmap if d & libc::MAP_FIXED as usize == 0 => return None,
        libc::SYS_mremap => return remap(engine, args),
        _ => {
            let len = len.checked_next_multiple_of(SYSTEM_PAGE)?;
            // mlock alone takes the pages that any part of the range touches.
            let locks = matches!(number, libc::SYS_mlock | libc::SYS_munlock | libc::SYS_mlock2);
            let (at, len) = if locks { whole_pages(at, args[1])? } else { (at, len) };
            if !at.is_multiple_of(SYSTEM_PAGE) || len == 0 {
                return None;
            }
            match engine.whose(at, len) {
                Whose::Program => return None,
                Whose::Mixed => Err(ENOMEM),
                Whose::Heap(place) => match number {
                    libc::SYS_mmap => return map_over(engine, &place, at, len).err().map(code),
                    libc::SYS_mprotect => limits(c).and_then(|limits| engine.limit(&place, at, len, limits, None)),
                    libc::SYS_pkey_mprotect => {
                        let key = Some(d).filter(|key| *key as i32 != -1);
                        limits(c).and_then(|limits| engine.limit(&place, at, len, limits, key))
                    }
                    libc::SYS_munmap => engine.give_up(&place, at, len),
                    // Pages that may not be mapped anew could neither leave nor come.
                    libc::SYS_mseal => Err(ENOMEM),
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
fn lock(engine: &'static Engine, place: &Place, number: c_long, at: usize, len: usize, flags: usize) -> Result<()> {
    engine.lock(place, at, len)?;
    // SAFETY: no effect on contents.
    sys::check(unsafe { sys::call(number, [at, len, flags, 0, 0, 0]) }).inspect_err(|_| engine.unlock(place, at, len)).map(|_| ())
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
    if !memory::peek(engine, argument, &mut range) {
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
    if memory::copy(engine, to, at, wanted, false) < wanted {
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
