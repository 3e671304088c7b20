//! SIGSEGV, for the doors whose pages the program touches itself.
//!
//! The handler runs on an alternate stack with every signal blocked, finds whose address it is in a table
//! that needs no lock, and has that door serve it. What is nobody's goes to the handler that was there
//! before, or kills as it would have killed.

use core::ffi::{c_int, c_void};
use core::ptr::{from_ref, null, null_mut};
use core::sync::atomic::{fence, AtomicPtr, AtomicUsize, Ordering};
use vmcore::page::Access;
use vmcore::sync::Lock;
use vmcore::sys::memory::{self, Protection};
use vmcore::sys::thread;

/// A touch of memory that a door has entered in the table.
#[derive(Clone, Copy, Debug)]
pub struct Touch {
    /// Where.
    pub address: usize,
    /// To do what.
    pub access: Access,
    /// To execute what lies there; then `access` is a read.
    pub fetch: bool,
    /// The instruction.
    pub instruction: usize,
    /// A digest of all registers: the same again says that the thread did not get on.
    pub registers: u64,
}

/// A door whose pages are touched. Called in the fault handler: no allocation, no panic, no lock of std.
pub trait Touched: Sync {
    /// Makes the touch possible; false if it is the program's own mistake.
    fn touched(&self, touch: Touch) -> bool;
}

/// The address range of a door, as the table knows it.
pub struct Range {
    /// The first byte.
    pub start: usize,
    /// Behind the last.
    pub end: usize,
    /// Whose it is.
    pub door: &'static dyn Touched,
}

/// So many ranges can be watched at a time.
pub const MOST: usize = 1024;

static TABLE: [Entry; MOST] = [const { Entry::new() }; MOST];
/// How much of the table was ever in use.
static USED: AtomicUsize = AtomicUsize::new(0);
/// Guards entering and leaving, and the installation of the handler.
static ENTRY: Lock<()> = Lock::new(());
/// The handler that was there before ours; written before ours is installed.
static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(null_mut());
/// The fault that the previous handler was called for last, told by its context, and where the stack stood: one
/// that calls ours again does so for that fault and from below. Another fault has another context, or after a
/// jump out of that handler comes from the same place. (Threads overwrite each other's; then it is told a call later.)
static FORWARDED: AtomicUsize = AtomicUsize::new(0);
static FORWARDING: AtomicUsize = AtomicUsize::new(0);

/// A place in the table. Whoever looks for an address passes entries that come and go: of those it may read
/// the bounds only, since the range may be gone the next moment; nobody touches one that comes or goes.
struct Entry {
    /// Odd while the rest changes.
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    range: AtomicPtr<Range>,
}

impl Entry {
    const fn new() -> Entry {
        let (version, start, end) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        Entry { version, start, end, range: AtomicPtr::new(null_mut()) }
    }

    /// Changes it: the caller holds [`ENTRY`], or is alone.
    fn set(&self, start: usize, end: usize, range: *mut Range) {
        let version = self.version.load(Ordering::Relaxed) & !1;
        self.version.store(version + 1, Ordering::Relaxed);
        // Release: who sees one of these sees the odd version, in `range_of`.
        fence(Ordering::Release);
        self.start.store(start, Ordering::Relaxed);
        self.end.store(end, Ordering::Relaxed);
        self.range.store(range, Ordering::Relaxed);
        // Release: pairs with the acquire in `range_of`.
        self.version.store(version + 2, Ordering::Release);
    }

    /// The range, if the address is in it.
    fn range_of(&self, address: usize) -> Option<&'static Range> {
        // Acquire: pairs with the release in `set`.
        let version = self.version.load(Ordering::Acquire);
        let within = (self.start.load(Ordering::Relaxed)..self.end.load(Ordering::Relaxed)).contains(&address);
        let range = self.range.load(Ordering::Relaxed);
        // Acquire: pairs with the release fence in `set`.
        fence(Ordering::Acquire);
        let whole = version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version;
        if !within || !whole {
            return None;
        }
        // SAFETY: null, or a range that lives until after `forget`, when nobody touches its addresses.
        unsafe { range.as_ref() }
    }

    fn is_free(&self) -> bool {
        self.range.load(Ordering::Relaxed).is_null()
    }

    fn overlaps(&self, range: &Range) -> bool {
        !self.is_free() && self.start.load(Ordering::Relaxed) < range.end && range.start < self.end.load(Ordering::Relaxed)
    }
}

/// Why a range cannot be watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It overlaps one that is watched already.
    Overlap,
    /// [`MOST`] ranges are watched.
    TooMany,
    /// The kernel refused the handler.
    System,
}

/// Has faults in the range go to its door, until [`forget`].
pub fn watch(range: &'static Range) -> Result<(), Refused> {
    let _entry = ENTRY.hold();
    if TABLE.iter().any(|entry| entry.overlaps(range)) {
        return Err(Refused::Overlap);
    }
    let (at, entry) = TABLE.iter().enumerate().find(|(_, entry)| entry.is_free()).ok_or(Refused::TooMany)?;
    if !install() {
        return Err(Refused::System);
    }
    entry.set(range.start, range.end, from_ref(range).cast_mut());
    // Release: pairs with the acquire in `find`.
    USED.fetch_max(at + 1, Ordering::Release);
    Ok(())
}

/// The range is not watched any more. Nobody touches it at this moment.
pub fn forget(range: &'static Range) {
    let _entry = ENTRY.hold();
    let ours = |entry: &&Entry| entry.range.load(Ordering::Relaxed) == from_ref(range).cast_mut();
    TABLE.iter().filter(ours).for_each(|entry| entry.set(0, 0, null_mut()));
}

/// In a child process: nothing is watched any more.
///
/// # Safety
/// There is no other thread.
pub unsafe fn forget_all() {
    // SAFETY: there is no other thread that could look at the list, as the caller promises.
    unsafe { ENTRY.reset() };
    TABLE.iter().for_each(|entry| entry.set(0, 0, null_mut()));
}

fn find(address: usize) -> Option<&'static Range> {
    // Acquire: pairs with the release in `watch`.
    let used = USED.load(Ordering::Acquire);
    TABLE.iter().take(used).find_map(|entry| entry.range_of(address))
}

/// Bytes of an alternate stack: callbacks of the program run on it too.
pub const STACK: usize = 256 * 1024;

/// Installs the handler, unless it is there: also if the program has put one of its own in its place since,
/// which then gets what is nobody's. False if the kernel refuses it.
pub fn install() -> bool {
    // SAFETY: all zero is a valid sigaction; the handler keeps to the rules of signal handlers.
    unsafe {
        let mut now: libc::sigaction = core::mem::zeroed();
        if libc::sigaction(libc::SIGSEGV, null(), &mut now) != 0 {
            return false;
        }
        if now.sa_sigaction == on_fault as *const () as usize {
            return true;
        }
        let Ok(kept) = memory::reserve(size_of::<libc::sigaction>(), Protection::ReadWrite) else {
            return false;
        };
        (kept as *mut libc::sigaction).write(now);
        PREVIOUS.store(kept as *mut libc::sigaction, Ordering::Release);
        let mut ours: libc::sigaction = core::mem::zeroed();
        ours.sa_sigaction = on_fault as *const () as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigfillset(&mut ours.sa_mask);
        libc::sigaction(libc::SIGSEGV, &ours, null_mut()) == 0
    }
}

/// Calls the program from the fault handler: it may touch watched pages in its turn.
pub fn call_out(callback: impl FnOnce()) {
    // SAFETY: the thread's own errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: errno of this thread, which no other thread has.
    let kept = unsafe { *errno };
    // By the C library's call, because libvmalloc.so keeps its own account of what the program blocks.
    // SAFETY: sets of signals on our stack, filled by sigemptyset and the call.
    unsafe {
        let (mut open, mut mask) = (core::mem::zeroed(), core::mem::zeroed());
        libc::sigemptyset(&mut open);
        libc::sigaddset(&mut open, libc::SIGSEGV);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &open, &mut mask);
        callback();
        libc::pthread_sigmask(libc::SIG_SETMASK, &mask, null_mut());
        *errno = kept;
    }
}

/// Of the registers that an instruction changes when it gets on; they come first, and the instruction pointer last.
fn digest(registers: &[i64]) -> u64 {
    let general = registers.iter().take(libc::REG_RIP as usize + 1);
    general.fold(0, |digest: u64, register| (digest ^ *register as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
}

const WRITE: i64 = 1 << 1;
const FETCH: i64 = 1 << 4;

unsafe extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel calls this handler with a siginfo and a ucontext that live until it returns, and nobody else uses them.
    let (code, address, registers) =
        unsafe { ((*info).si_code, (*info).si_addr() as usize, &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs) };
    let error = registers[libc::REG_ERR as usize];
    // SEGV_MAPERR and SEGV_ACCERR: what a page that is not open says.
    if matches!(code, 1 | 2) {
        let access = if error & WRITE != 0 { Access::Write } else { Access::Read };
        let instruction = registers[libc::REG_RIP as usize] as usize;
        let touch = Touch { address, access, fetch: error & FETCH != 0, instruction, registers: digest(registers) };
        if find(address).is_some_and(|range| range.door.touched(touch)) {
            return;
        }
    }
    // SAFETY: the kernel called this handler with these arguments, and they are handed on as they are.
    unsafe { forward(signal, code, info, context) };
}

/// # Safety
/// Called by the handler with its own arguments.
unsafe fn forward(signal: c_int, code: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: null, or what `install` left for ever.
    let previous = unsafe { PREVIOUS.load(Ordering::Acquire).as_ref() };
    let handler = previous.map_or(libc::SIG_DFL, |previous| previous.sa_sigaction);
    let (sp, last) = (thread::stack_pointer(), FORWARDING.load(Ordering::Relaxed));
    let again = FORWARDED.load(Ordering::Relaxed) == context as usize && sp < last && last - sp < STACK;
    // SAFETY: a handler of the program, called as the kernel would have; else the default action, by
    // repeating the instruction or sending the signal once more.
    unsafe {
        if handler == libc::SIG_IGN && code <= 0 {
            return;
        }
        if matches!(handler, libc::SIG_DFL | libc::SIG_IGN) || again {
            let mut default: libc::sigaction = core::mem::zeroed();
            default.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &default, null_mut());
            if code <= 0 {
                libc::raise(signal);
            }
            return;
        }
        FORWARDED.store(context as usize, Ordering::Relaxed);
        FORWARDING.store(sp, Ordering::Relaxed);
        if previous.is_some_and(|previous| previous.sa_flags & libc::SA_SIGINFO != 0) {
            let call: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = core::mem::transmute(handler);
            call(signal, info, context);
        } else {
            let call: extern "C" fn(c_int) = core::mem::transmute(handler);
            call(signal);
        }
        FORWARDED.store(0, Ordering::Relaxed);
    }
}
