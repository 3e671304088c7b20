//! A proof by linking: what runs below the fault handler cannot panic.
//!
//! This program holds everything that may run there, and a panic handler that calls a function that
//! exists nowhere. The release profile optimises the whole program as one, the linker drops what is
//! not reachable, and so `cargo build -p proof --release` succeeds exactly if no call of the panic
//! handler is left. The program is never run: its arguments only keep the compiler from knowing
//! what it will find.
//!
//! Two things this does not say: arithmetic that overflows wraps in the release profile, and the
//! development profile, which panics there, proves nothing (what its panics call is here, so it links).
#![no_std]
#![no_main]

// What libvmpager runs below its own handler. It is a library with std, so its files are taken, not the crate.
#[path = "../../capi/src/app/connection.rs"]
#[allow(dead_code)]
mod connection;
#[path = "../../capi/src/app/dialogue.rs"]
#[allow(dead_code)]
mod dialogue;
#[path = "../../capi/src/faults.rs"]
#[allow(dead_code, clippy::missing_safety_doc)]
mod faults;
#[path = "../../capi/src/kept.rs"]
#[allow(dead_code)]
mod kept;
#[path = "../../capi/src/mm/log.rs"]
#[allow(dead_code)]
mod log;
#[path = "../../capi/src/app/name.rs"]
#[allow(dead_code)]
mod name;
#[path = "../../external-pager/src/protocol.rs"]
#[allow(dead_code)]
mod protocol;
#[path = "../../capi/src/app/tlb.rs"]
#[allow(dead_code)]
mod tlb;
#[path = "../../capi/src/paged_region/views.rs"]
#[allow(dead_code)]
mod views;
#[path = "../../capi/src/window.rs"]
#[allow(dead_code)]
mod window;

// For the files that take the protocol from its crate.
extern crate self as external_pager;

use core::hint::black_box;
use vmcore::engine::Engine;
use vmcore::events::{Event, EventSink, Who};
use vmcore::frames::Arena;
use vmcore::heap::{Ground, Heap};
use vmcore::index::{FrameIndex, PageNumber};
use vmcore::mapper::{Mapper, Pages, SIGNAL};
use vmcore::page::Access;
use vmcore::pager::Place;
use vmcore::policy::POLICIES;
use vmcore::region::{Outlook, Owner, Store};
use vmcore::sys::memory::Protection;

// As in `interpose`: who builds the whole workspace has a libc crate that does not link the C library.
#[link(name = "c")]
unsafe extern "C" {}

#[cfg(not(debug_assertions))]
unsafe extern "C" {
    fn vmcore_can_panic_below_the_fault_handler() -> !;
}

#[panic_handler]
fn panicked(_info: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(not(debug_assertions))]
    // SAFETY: there is no such function; if this links, it is never called.
    unsafe {
        vmcore_can_panic_below_the_fault_handler()
    }
    #[cfg(debug_assertions)]
    loop {}
}

/// The development profile drops nothing, and what it keeps of `core` names the function that unwinds.
#[cfg(debug_assertions)]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// What the compiler cannot know.
#[repr(C)]
struct Unknown {
    engine: &'static Engine,
    place: Place,
    other: Place,
    address: usize,
    len: usize,
    flag: bool,
    access: Access,
    number: u32,
    outlook: Option<&'static Outlook>,
    views: Outlook,
    plan: window::Plan<'static>,
    arena: &'static Arena,
    pages: Pages,
    frame: FrameIndex,
    page: PageNumber,
    owner: Owner,
    who: Who,
    event: Event,
}

/// Keeps the methods of the mappers, stores and sinks that the engine calls.
fn methods(u: &Unknown) {
    let from = |at: usize| at as *const u8;
    // SAFETY: never run.
    unsafe {
        let memory = &*from(u.address).cast::<log::Memory>();
        let (frames, files) = (&*from(u.len).cast::<views::Frames>(), &*from(u.len).cast::<views::Files>());
        let log = &*from(u.address).cast::<log::Log>();
        for mapper in [memory as &dyn Mapper, frames, files, &SIGNAL] {
            black_box(mapper.show(u.arena, &u.pages, u.frame, Protection::Read).is_ok());
            black_box(mapper.show_ahead(u.arena, &u.pages, u.frame).is_ok());
            black_box(mapper.protect(&u.pages, Protection::Read).is_ok());
            black_box(mapper.protect_part(u.address, u.len, Protection::Read, Some(u.len)).is_ok());
            black_box(mapper.hide(&u.pages).is_ok());
        }
        for store in [memory as &dyn Store, files] {
            store.clear(u.page, u.frame);
            black_box(store.load(u.page, u.frame).is_ok());
            black_box(store.save(u.page, u.frame).is_ok());
        }
        log.emit(&u.who, &u.event);
    }
}

/// The SIGSEGV handler's part, with every policy behind `Engine`'s `dyn Policy`.
fn fault(u: &Unknown) {
    black_box(POLICIES);
    black_box(u.engine.fault(u.address, u.access, u.flag));
}

/// A touch of a page that is seen and kept elsewhere, and libvmpager's handler above it, with its views.
fn windows(u: &Unknown) {
    black_box(u.engine.touch(&u.place, u.page, u.address, u.access, u.flag));
    if let Some(place) = u.engine.open_region(u.outlook) {
        black_box(u.engine.extend_region(&place, u.page, u.address as u64));
        u.engine.close_region(&place);
    }
    if let Ok(window) = window::Window::open(&u.plan, || Ok(u.views)) {
        black_box(window.faults());
        // SAFETY: never run.
        unsafe { window.close() };
    }
}

/// A touch of an application's arena, which another process serves.
fn applications(u: &Unknown) {
    black_box(dialogue::ARENA.door.touched(faults::Touch {
        address: u.address,
        access: u.access,
        fetch: u.flag,
        instruction: u.address,
        registers: u.len as u64,
    }));
}

/// What the system-call doors do before and after a call.
fn system_calls(u: &Unknown) {
    black_box(u.engine.pin(u.address, u.len, u.access, u.flag));
    u.engine.unpin(u.address, u.len);
    black_box(u.engine.block_around(u.address));
    black_box(u.engine.is_block_page(u.address));
    black_box(u.engine.in_use());
    u.engine.events().trace.flush();
}

/// malloc's and free's slow paths: promises and releases, regions, moving pages.
fn blocks(u: &Unknown) {
    let n = u.len as u64;
    let at = u.address as u64;
    black_box(u.place.promise(at, n, u.flag));
    u.place.release(at, n);
    black_box(u.place.back(at, n, u.flag));
    u.engine.move_pages(&u.place, u.page, &u.other, PageNumber::new(n), u.number.into());
    if let Some(place) = u.engine.acquire_region(u.owner, u.flag) {
        u.engine.abandon_region(&place);
    }
    u.engine.collect_everywhere(Some(u.place.region));
    black_box(u.place.back_freed(at));
    u.engine.collect_abandoned(&u.place);
    black_box(u.engine.shared_allocate(u.len));
    black_box(u.engine.shared_size(u.address).is_ok());
    black_box(u.engine.shared_free(u.address).is_ok());
}

/// The heap, on its real ground.
fn heap(u: &Unknown) {
    let (place, n, start) = (&u.place, u.len as u64, u.address as u64);
    u.engine.with_closed(place, u.flag, |heap| {
        black_box(heap.allocate_at_hand(place, n).is_some());
        black_box(heap.allocate(place, n, u.number.into(), u.flag).is_ok());
        black_box(heap.resize(place, start, n, u.number.into()));
        black_box(heap.free(place, start).is_ok());
        black_box(place.collect(heap));
        heap.flush(place);
    });
    black_box(place.note_freed(start).is_ok());
    black_box(Heap::measure(place, start).is_ok());
}

/// fork, in the parent and in the child.
fn fork(u: &Unknown) {
    if let Ok(snapshot) = u.engine.snapshot(Some(u.place.region)) {
        if u.flag {
            snapshot.parent();
        } else {
            // SAFETY: never run.
            black_box(unsafe { snapshot.child(Some(u.place.region)) }.is_ok());
        }
    }
}

/// Reached by the linker only.
///
/// # Safety
/// Not to be run: `unknown` would have to point to an [`Unknown`].
#[unsafe(no_mangle)]
unsafe extern "C" fn main(count: i32, unknown: *const *const u8) -> i32 {
    // SAFETY: never run.
    let u = unsafe { &*unknown.cast::<Unknown>() };
    match count {
        0 => fault(u),
        1 => system_calls(u),
        2 => blocks(u),
        3 => heap(u),
        4 => windows(u),
        5 => methods(u),
        6 => applications(u),
        _ => fork(u),
    }
    0
}
