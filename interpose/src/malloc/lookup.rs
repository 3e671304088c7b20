//! Looking up the next allocator's functions, which itself allocates and frees: the loader's dlsym frees the text of an error
//! that nobody has asked for, and a program's or a tool's dlsym may do anything. Who looks up `free` cannot be helped by it;
//! so what is asked for during a look-up comes from a small room of our own, and what is freed then stays.

use crate::shared::next::Next;
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use vmcore::sys::thread;

/// Far more than any dlsym that is known asks for.
const ROOM: usize = 16 * 1024;

#[repr(C, align(4096))]
struct Room(UnsafeCell<[u8; ROOM]>);

// SAFETY: each part is handed out once, to one caller.
unsafe impl Sync for Room {}

static ROOM_FOR_LOOKUPS: Room = Room(UnsafeCell::new([0; ROOM]));
/// Bytes of the room that were handed out.
static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// The thread that looks something up; 0 for none. Of several threads that do at the same time, one.
static LOOKER: AtomicU32 = AtomicU32::new(0);

/// The address of `next`, which is looked up if need be; null during another look-up by the same thread, and if there is none.
pub fn look_up(next: &Next) -> *mut core::ffi::c_void {
    if let Some(known) = next.known() {
        return known;
    }
    let own = thread::id();
    // Relaxed: only the looker itself acts on its number.
    match LOOKER.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed) {
        Err(looker) if looker == own => core::ptr::null_mut(),
        // Another thread looks up, too, and may wait for a lock of the loader's that we hold: nobody waits here.
        Err(_) => next.get(),
        Ok(_) => {
            let found = next.get();
            LOOKER.store(0, Ordering::Relaxed);
            found
        }
    }
}

/// Whether the running thread is looking something up.
pub fn is_under_way() -> bool {
    let looker = LOOKER.load(Ordering::Relaxed);
    looker != 0 && looker == thread::id()
}

/// Zeroed memory for who is inside a look-up.
pub fn allocate(size: usize, align: usize) -> Option<NonNull<u8>> {
    let align = align.max(16);
    let next = |taken: usize| taken.checked_next_multiple_of(align)?.checked_add(size).filter(|end| *end <= ROOM);
    // Relaxed: the number alone says whose the bytes are.
    let taken = TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
    let base = ROOM_FOR_LOOKUPS.0.get() as usize;
    NonNull::new((base + taken.next_multiple_of(align)) as *mut u8)
}

/// The bytes from `address` to the end of the room, if it lies there.
pub fn rest(address: usize) -> Option<usize> {
    address.checked_sub(ROOM_FOR_LOOKUPS.0.get() as usize).filter(|offset| *offset < ROOM).map(|offset| ROOM - offset)
}
