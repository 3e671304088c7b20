//! paged_region.h: memory at an address of the program's choice, of which only some pages are mapped at a
//! time (`include/paged_region.h`).
//!
//! Two views: frames of the engine mapped at the program's address, kept in its swap file; or a file for
//! each page, mapped there while the page is resident, whose contents never go anywhere else.

mod options;
mod views;

use crate::faults::call_out;
use crate::forks::{self, Guarded};
use crate::kept::Kept;
use crate::stacks;
use crate::window::{Plan, Window};
use core::ffi::{c_int, c_ulong, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};
use options::{check, Callback, Checked, Options, Refusal, EXECUTE, FILES, WRITE};
use views::{Descriptors, Files, Frames, Site};
use vmcore::events::stats::{Counter, FaultKind};
use vmcore::events::{Event, EventSink, Fault, Who};
use vmcore::region::Outlook;
use vmcore::report::say;
use vmcore::swap::SwapFile;
use vmcore::sys::memory::{self, Protection};
use vmcore::sys::Errno;
use vmcore::units::SYSTEM_PAGE;

/// Who tells the program.
struct Messenger {
    callback: Option<Callback>,
    context: *mut c_void,
}

// SAFETY: the context is only handed back to the program, whose callback answers for it.
unsafe impl Sync for Messenger {}
// SAFETY: the callback may be called in any thread, and answers for what it does with the context there.
unsafe impl Send for Messenger {}

impl EventSink for Messenger {
    fn emit(&self, _who: &Who, event: &Event) {
        let Event::Fault(Fault { kind: FaultKind::FirstTouch | FaultKind::SwapIn, address, page, evicted, .. }) = *event else {
            return;
        };
        if let (Some(callback), Some(page)) = (self.callback, page) {
            let unmapped = evicted.map_or(-1, |(name, _)| name.page.get() as c_int);
            // SAFETY: the program gave this callback for this context.
            call_out(|| unsafe { callback(address as *mut c_void, page.page.get() as c_int, unmapped, self.context) });
        }
    }
}

/// What a view refers to.
enum Backing {
    Frames(#[allow(dead_code)] Kept<Frames>),
    Files(Kept<Files>),
}

/// A region, closed when this is dropped.
pub struct Region {
    handle: usize,
    window: Option<Window>,
    backing: Option<Backing>,
    messenger: Kept<Messenger>,
    start: usize,
    len: usize,
}

impl Drop for Region {
    fn drop(&mut self) {
        if let Some(window) = self.window.take() {
            // SAFETY: whoever destroys a region vouches that nobody touches it.
            unsafe { window.close() };
        }
        // SAFETY: our own mapping, not used any more.
        let _ = unsafe { memory::unmap(self.start, self.len) };
    }
}

/// All regions.
static REGIONS: Guarded<Vec<Region>> = Guarded::new(Vec::new(), let_go);
/// How many there ever were.
static CREATED: AtomicUsize = AtomicUsize::new(0);

/// No address that can be used, and never the same again: so a region that is gone cannot be mistaken for another.
fn new_handle() -> usize {
    1 << 63 | (CREATED.fetch_add(1, Ordering::Relaxed) + 1) << 4
}

fn create(options: &Options) -> core::result::Result<Region, Refusal> {
    let Checked { policy, page, protection, directory } = check(options)?;
    forks::arrange();
    if !stacks::enter_thread() {
        return Err(("there is no memory for an alternate stack".into(), libc::ENOMEM));
    }
    let len = options.pages * page;
    let no_memory = |error: Errno| (format!("the kernel refuses memory (error {})", error.0), error.0);
    let start = reserve(options.base as usize, len, page)?;
    let messenger = Messenger { callback: options.callback, context: options.context };
    let messenger = Kept::new(messenger).map_err(|error| {
        // SAFETY: just reserved by us.
        let _ = unsafe { memory::unmap(start, len) };
        no_memory(error)
    })?;
    let mut region = Region { handle: new_handle(), window: None, backing: None, messenger, start, len };
    let (write, execute) = (protection & WRITE != 0, protection & EXECUTE != 0);
    let site = Site { start, page, execute };
    let files = options.backing == FILES;
    if files {
        let dir = String::from_utf8_lossy(&directory);
        let fail = |error: Errno| (format!("files of pages cannot be made in {dir} (error {})", error.0), error.0);
        let maker =
            SwapFile::new(&directory, page as u64).ok_or((format!("directory {dir} has too long a name"), libc::ENAMETOOLONG))?;
        let descriptors = Descriptors::new(&maker, options.pages, page, execute).map_err(fail)?;
        region.backing = Some(Backing::Files(Kept::new(Files { site, descriptors }).map_err(no_memory)?));
    }
    // More frames than pages are never used.
    let frames = options.max_pages.min(options.pages) as u32;
    let pages = options.pages as u64;
    let swap_dir = (!files).then_some(&directory[..]);
    let engine_page = if files { SYSTEM_PAGE } else { page };
    let plan = Plan { policy, frames, start, pages, page, engine_page, swap_dir, write, execute };
    let window = Window::open(&plan, || {
        // SAFETY: the region keeps all of it longer than the window.
        unsafe {
            let sink: Option<&dyn EventSink> = Some(region.messenger.forever());
            if let Some(Backing::Files(view)) = &region.backing {
                return Ok(Outlook { mapper: Some(view.forever()), store: Some(view.forever()), sink });
            }
            let view = Kept::new(Frames { site })?;
            let outlook = Outlook { mapper: Some(view.forever()), store: None, sink };
            region.backing = Some(Backing::Frames(view));
            Ok(outlook)
        }
    });
    region.window = Some(window.map_err(|problem| (problem.to_string(), problem.errno()))?);
    Ok(region)
}

/// Addresses where nothing is: at `base`, or anywhere.
fn reserve(base: usize, len: usize, page: usize) -> core::result::Result<usize, Refusal> {
    if base != 0 {
        return memory::reserve_at(base, len, Protection::None).map_err(|error| {
            (format!("{len} bytes at {base:#x} cannot be had: is something mapped there? (error {})", error.0), error.0)
        });
    }
    let found = memory::reserve(len + page, Protection::None).map_err(|error| (format!("no room for {len} bytes"), error.0))?;
    let start = found.next_multiple_of(page);
    // SAFETY: the ends of what was just reserved, outside of the region.
    unsafe {
        if start > found {
            let _ = memory::unmap(found, start - found);
        }
        let _ = memory::unmap(start + len, found + page - start);
    }
    Ok(start)
}

/// In a child process: what it sees there is its parent's, so it sees nothing.
fn let_go(regions: &mut Vec<Region>) {
    for region in regions.drain(..) {
        // SAFETY: addresses of ours, which nobody uses in this process from now on.
        let _ = unsafe { memory::unback(region.start, region.len, Protection::None) };
        std::mem::forget(region);
    }
}

fn set_errno(errno: c_int) {
    // SAFETY: the thread's own.
    unsafe { *libc::__errno_location() = errno };
}

/// Asks a region; `none`, with errno, if there is no such.
fn ask<T>(handle: *const c_void, none: T, question: impl FnOnce(&Region) -> T) -> T {
    let regions = REGIONS.hold();
    match regions.iter().find(|region| region.handle == handle as usize) {
        Some(region) => question(region),
        None => {
            set_errno(libc::EINVAL);
            none
        }
    }
}

/// See `include/paged_region.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paged_region_create(options: *const Options) -> *mut c_void {
    // SAFETY: null, or options, says the header.
    let made = match unsafe { options.as_ref() } {
        Some(options) => create(options),
        None => Err(("options is NULL".into(), libc::EINVAL)),
    };
    match made {
        Ok(region) => {
            let handle = region.handle;
            REGIONS.hold().push(region);
            handle as *mut c_void
        }
        Err((why, errno)) => {
            say(format_args!("paged_region_create: {why}"));
            set_errno(errno);
            core::ptr::null_mut()
        }
    }
}

/// See `include/paged_region.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paged_region_destroy(region: *mut c_void) -> c_int {
    let mut regions = REGIONS.hold();
    match regions.iter().position(|one| one.handle == region as usize) {
        Some(at) => {
            drop(regions.swap_remove(at));
            0
        }
        None => {
            set_errno(libc::EINVAL);
            -1
        }
    }
}

/// See `include/paged_region.h`.
#[unsafe(no_mangle)]
pub extern "C" fn paged_region_base(region: *const c_void) -> *mut c_void {
    ask(region, core::ptr::null_mut(), |region| region.start as *mut c_void)
}

/// struct paged_region_counts.
#[repr(C)]
pub struct Counts {
    first_touches: c_ulong,
    swap_ins: c_ulong,
    references: c_ulong,
    first_writes: c_ulong,
    write_backs: c_ulong,
    drops: c_ulong,
}

/// See `include/paged_region.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paged_region_count(region: *const c_void, counts: *mut Counts) -> c_int {
    if counts.is_null() {
        set_errno(libc::EINVAL);
        return -1;
    }
    let found = ask(region, None, |region| {
        let count = |counter| region.window.as_ref().map_or(0, |window| window.engine().events().counters.get(counter));
        Some(Counts {
            first_touches: count(Counter::FirstTouch),
            swap_ins: count(Counter::SwapIn),
            references: count(Counter::Reference),
            first_writes: count(Counter::FirstWrite),
            write_backs: count(Counter::EvictedDirty),
            drops: count(Counter::EvictedClean) + count(Counter::EvictedZero),
        })
    });
    let Some(found) = found else {
        return -1;
    };
    // Only now, since the struct may lie in a region.
    // SAFETY: not null, and so the program's struct.
    unsafe { counts.write(found) };
    0
}

/// See `include/paged_region.h`.
#[unsafe(no_mangle)]
pub extern "C" fn paged_region_thread() -> c_int {
    if stacks::enter_thread() {
        0
    } else {
        set_errno(libc::ENOMEM);
        -1
    }
}
