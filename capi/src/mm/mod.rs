//! mm.h: a virtual memory manager over memory of the program's own, with a log (`include/mm.h`).
//!
//! The contents stay where they are; frames are numbers. What a page allows is one mprotect.

mod log;

use crate::faults::MOST;
use crate::forks::{self, Guarded};
use crate::kept::Kept;
use crate::stacks;
use crate::window::{Plan, Window};
use core::ffi::{c_int, c_ulong, c_void};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use log::{Log, Logger, Memory};
use vmcore::policy::{by_name, Policy};
use vmcore::region::Outlook;
use vmcore::report::say;
use vmcore::sys::memory::{self, Protection};
use vmcore::sys::{Errno, Result};
use vmcore::units::SYSTEM_PAGE;

/// Memory under management.
pub struct Managed {
    window: Window,
    memory: Kept<Memory>,
    log: Kept<Log>,
    /// As many as were asked for; those beyond the number of pages are never used.
    frames: c_int,
}

/// All of it, in the order of their mm_init. The list never grows: malloc might give it memory that is managed, since
/// the program may free that.
static MANAGED: Guarded<Vec<Managed>> = Guarded::new(Vec::new(), let_go);

// A weak reference: the linker of a program that defines the function exports it for us, and one that
// does not gets null.
core::arch::global_asm!(
    ".weak mm_logger",
    ".pushsection .data.rel.ro.vmpager_mm_logger, \"aw\"",
    ".balign 8",
    ".globl vmpager_mm_logger",
    ".hidden vmpager_mm_logger",
    "vmpager_mm_logger: .quad mm_logger",
    ".popsection"
);

unsafe extern "C" {
    #[link_name = "vmpager_mm_logger"]
    static LINKED_LOGGER: Option<Logger>;
}

/// The program's mm_logger, if it has one.
fn logger() -> Option<Logger> {
    // SAFETY: the word above; the name is a C string, and a function of that name has that type.
    unsafe {
        LINKED_LOGGER.or_else(|| {
            core::mem::transmute::<*mut c_void, Option<Logger>>(libc::dlsym(libc::RTLD_DEFAULT, c"mm_logger".as_ptr()))
        })
    }
}

/// mm_init as it was called, in either edition's order.
#[derive(Clone, Copy)]
struct Request {
    policy: c_int,
    vm: usize,
    size: c_int,
    frames: c_int,
    page: c_int,
}

impl Request {
    /// A policy is a small number, and a pointer is one to a page: the first argument tells.
    fn read(first: usize, second: usize, third: usize, fourth: usize, fifth: usize) -> Request {
        let int = |word: usize| word as c_int;
        // The upper half of an argument that is an int may be anything.
        let small = (1..SYSTEM_PAGE as u32).contains(&(first as u32));
        // Nothing is either; then a size in the second place tells.
        let nothing = first == 0 && second > c_int::MAX as usize;
        if small || nothing || first <= u32::MAX as usize && !first.is_multiple_of(SYSTEM_PAGE) {
            Request { policy: int(first), vm: second, size: int(third), frames: int(fourth), page: int(fifth) }
        } else {
            Request { policy: int(fifth), vm: first, size: int(second), frames: int(third), page: int(fourth) }
        }
    }

    /// The policy and the number of pages, or what is wrong.
    fn check(&self) -> core::result::Result<(&'static dyn Policy, u64), String> {
        let name: &[u8] = match self.policy {
            1 => b"fifo",
            2 => b"third-chance",
            3 => b"clock",
            other => return Err(format!("policy {other} is neither MM_FIFO (1) nor MM_THIRD (2), nor MM_CLOCK (3)")),
        };
        let policy = by_name(name).ok_or("no such policy")?;
        let system = SYSTEM_PAGE as c_int;
        if self.page <= 0 || self.page % system != 0 {
            return Err(format!("page size {} is not a multiple of the system's, {system}", self.page));
        }
        if self.vm == 0 || !self.vm.is_multiple_of(SYSTEM_PAGE) {
            return Err(format!("address {:#x} is not one of a page: memory from memalign or mmap is", self.vm));
        }
        if self.size <= 0 || self.size % self.page != 0 {
            return Err(format!("size {} is not a number of whole pages of {}", self.size, self.page));
        }
        if self.vm.checked_add(self.size as usize).is_none() {
            return Err(format!("{} bytes from {:#x} on are beyond the address space", self.size, self.vm));
        }
        if self.frames < 1 {
            return Err(format!("{} frames are too few: it takes one at least", self.frames));
        }
        Ok((policy, (self.size / self.page) as u64))
    }
}

/// Says why mm_init has done nothing, and sets errno.
fn refuse(why: core::fmt::Arguments<'_>, errno: c_int) {
    say(format_args!("mm_init: {why}"));
    // SAFETY: the thread's own.
    unsafe { *libc::__errno_location() = errno };
}

/// See `include/mm.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_init(first: usize, second: usize, third: usize, fourth: usize, fifth: usize) {
    let request = Request::read(first, second, third, fourth, fifth);
    let (policy, pages) = match request.check() {
        Ok(checked) => checked,
        Err(why) => return refuse(format_args!("{why}"), libc::EINVAL),
    };
    forks::arrange();
    if !stacks::enter_thread() {
        return refuse(format_args!("there is no memory for an alternate stack"), libc::ENOMEM);
    }
    let (start, size) = (request.vm, request.size as usize);
    let mut managed = MANAGED.hold();
    managed.reserve_exact(MOST);
    // SAFETY: whoever calls mm_init for memory under management does not use it meanwhile.
    unsafe { end_overlapping(&mut managed, start, start + size) };
    if let Err(error) = take(start, size) {
        let why = format_args!("{size} bytes at {start:#x} are not all readable and writable memory (error {})", error.0);
        return refuse(why, error.0);
    }
    match manage(&request, policy, pages) {
        Ok(new) => managed.push(new),
        Err((why, errno)) => {
            // SAFETY: `take` closed that memory of the program, and no window came to show anything there: it is open again.
            let _ = unsafe { memory::protect(start, size, Protection::ReadWrite) };
            refuse(format_args!("{why}"), errno);
        }
    }
}

/// Closes all of the memory; after an error it is as it was.
fn take(start: usize, size: usize) -> Result<()> {
    // SAFETY: msync says ENOMEM for holes, and does nothing else in this mode. The rest is memory that the
    // program has put under our management; what cannot be made writable is not changed.
    unsafe {
        if libc::msync(start as *mut c_void, size, libc::MS_ASYNC) != 0 {
            return Err(Errno(libc::ENOMEM));
        }
        memory::protect(start, size, Protection::ReadWrite)?;
        memory::protect(start, size, Protection::None)
    }
}

fn manage(request: &Request, policy: &'static dyn Policy, pages: u64) -> core::result::Result<Managed, (String, c_int)> {
    let no_memory = |error: Errno| (format!("no memory for the tables (error {})", error.0), error.0);
    // More frames than pages are never used.
    let frames = (request.frames as u64).min(pages) as u32;
    let (start, page) = (request.vm, request.page as usize);
    let counts = pages as usize + frames as usize;
    let at = memory::reserve(counts * 4, Protection::ReadWrite).map_err(no_memory)?;
    // SAFETY: fresh zeros, large enough, that are unmapped after the last use only.
    let evictions = unsafe { core::slice::from_raw_parts(at as *const AtomicU32, counts) };
    let (faults, write_backs) = (AtomicU64::new(0), AtomicU64::new(0));
    let log = Log { start, page, logger: logger(), faults, write_backs, evictions, pages: pages as usize };
    let log = Kept::new(log).map_err(no_memory)?;
    let memory = Kept::new(Memory { start, page }).map_err(no_memory)?;
    let plan = Plan { policy, frames, start, pages, page, engine_page: SYSTEM_PAGE, swap_dir: None, write: true, execute: true };
    // SAFETY: both are kept longer than the window.
    let (memory_forever, log_forever) = unsafe { (memory.forever(), log.forever()) };
    let outlook = Outlook { mapper: Some(memory_forever), store: Some(memory_forever), sink: Some(log_forever) };
    let window = Window::open(&plan, || Ok(outlook)).map_err(|problem| (problem.to_string(), problem.errno()))?;
    Ok(Managed { window, memory, log, frames: request.frames })
}

/// Ends the management of all memory that overlaps the range: it allows everything again.
///
/// # Safety
/// Nobody uses that memory meanwhile.
unsafe fn end_overlapping(managed: &mut Vec<Managed>, start: usize, end: usize) {
    let overlaps = |one: &Managed| {
        let (its_start, its_end) = one.window.bounds();
        its_start < end && start < its_end
    };
    while let Some(at) = managed.iter().position(overlaps) {
        let Managed { window, memory, log, .. } = managed.remove(at);
        let (start, end) = window.bounds();
        // SAFETY: nobody uses that memory meanwhile, as the caller promises. The program may have unmapped some of it: then
        // there is nothing to protect.
        unsafe {
            window.close();
            let _ = memory::protect(start, end - start, Protection::ReadWrite);
            let _ = memory::unmap(log.evictions.as_ptr() as usize, size_of_val(log.evictions));
        }
        drop((memory, log));
    }
}

/// In a child process: the memory is the child's own copy, and ordinary memory again.
fn let_go(managed: &mut Vec<Managed>) {
    for one in managed.drain(..) {
        let (start, end) = one.window.bounds();
        // SAFETY: the memory that our parent's mm_init was given.
        let _ = unsafe { memory::protect(start, end - start, Protection::ReadWrite) };
        std::mem::forget(one);
    }
}

/// See `include/mm.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_end(vm: *mut c_void) -> c_int {
    let mut managed = MANAGED.hold();
    let start = vm as usize;
    if !managed.iter().any(|one| one.window.bounds().0 == start) {
        // SAFETY: the thread's own.
        unsafe { *libc::__errno_location() = libc::EINVAL };
        return -1;
    }
    // SAFETY: `mm.h` forbids mm_end for memory that another thread is using.
    unsafe { end_overlapping(&mut managed, start, start + 1) };
    0
}

/// Asks the memory that was put under management last; `none` if there is none.
fn last<T>(none: T, ask: impl FnOnce(&Managed) -> T) -> T {
    MANAGED.hold().last().map_or(none, ask)
}

/// See `include/mm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn mm_report_npage_faults() -> c_ulong {
    last(0, |managed| managed.log.faults.load(Ordering::Relaxed))
}

/// See `include/mm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn mm_report_nwrite_backs() -> c_ulong {
    last(0, |managed| managed.log.write_backs.load(Ordering::Relaxed))
}

/// See `include/mm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn mm_nsigsegvs() -> c_ulong {
    last(0, |managed| managed.window.faults())
}

/// The count of a number below `end`, where those of its kind begin at `first`; -1 for others.
fn evictions(managed: &Managed, number: c_int, end: c_int, first: usize) -> c_int {
    let Some(at) = usize::try_from(number).ok().filter(|_| number < end) else {
        return -1;
    };
    managed.log.evictions.get(first + at).map_or(0, |count| count.load(Ordering::Relaxed) as c_int)
}

/// See `include/mm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn mm_report_npage_evicts(page: c_int) -> c_int {
    last(-1, |managed| evictions(managed, page, managed.log.pages as c_int, 0))
}

/// See `include/mm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn mm_report_nframe_evicts(frame: c_int) -> c_int {
    last(-1, |managed| evictions(managed, frame, managed.frames, managed.log.pages))
}
