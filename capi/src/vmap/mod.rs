//! vmap.h: maps with an owner over one physical memory and one swap file (`include/vmap.h`).
//!
//! One engine for all maps, made with the first; a region for each map. A handle is a number that is never
//! used again, so a map that is gone cannot be mistaken for another.

mod error;
mod map;
mod setup;

use core::cell::{Cell, UnsafeCell};
use core::ffi::{c_int, c_ulong, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use error::{note, Error};
use map::Map;
use setup::{Options, Settings};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use vmcore::engine::Engine;
use vmcore::events::stats::Counter;
use vmcore::page::Access;
use vmcore::sync::Closer;

use crate::forks::{self, Inherited};
use crate::kept::Kept;

/// All maps and what they share.
struct World {
    engine: Option<Kept<Engine>>,
    maps: Option<HashMap<usize, Arc<Map>>>,
}

/// A forked child begins it anew, whoever of its parent held the lock.
struct Renewable(UnsafeCell<RwLock<World>>);

// SAFETY: the lock lets threads share what it guards, and it is written over only in a child, which has one thread.
unsafe impl Sync for Renewable {}

static WORLD: Renewable = Renewable(UnsafeCell::new(World::begin()));
/// What vmap_setup was told last; replaced with the world held for writing. Children have it too.
static SETTINGS: AtomicPtr<Settings> = AtomicPtr::new(null_mut());
/// How many maps there ever were.
static CREATED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static OWNER: Cell<c_int> = const { Cell::new(0) };
}

impl World {
    const fn begin() -> RwLock<World> {
        RwLock::new(World { engine: None, maps: None })
    }

    fn lock() -> &'static RwLock<World> {
        // SAFETY: `let_go` alone writes over it.
        unsafe { &*WORLD.0.get() }
    }

    fn read() -> RwLockReadGuard<'static, World> {
        World::lock().read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write() -> RwLockWriteGuard<'static, World> {
        World::lock().write().unwrap_or_else(PoisonError::into_inner)
    }

    fn maps(&self) -> usize {
        self.maps.as_ref().map_or(0, HashMap::len)
    }

    /// Makes a map of `owner`; its handle.
    fn create(&mut self, owner: c_int) -> Result<usize, Error> {
        let engine = match &self.engine {
            Some(engine) => engine,
            None => {
                // SAFETY: null, or replaced by who has the world, which is us.
                let settings = unsafe { SETTINGS.load(Ordering::Acquire).as_ref() };
                self.engine.insert(settings.map_or_else(|| Settings::usual().start(), Settings::start)?)
            }
        };
        // SAFETY: the engine is kept as long as there are maps.
        let map = map::open(unsafe { engine.forever() }, owner).ok_or(Error::NoMemory)?;
        // A handle is no address that the program could use, and no map ever gets one that another had, in a child of this
        // process neither.
        let handle = 1 << 63 | (CREATED.fetch_add(1, Ordering::Relaxed) + 1) << 4;
        self.maps.get_or_insert_with(HashMap::new).insert(handle, Arc::new(map));
        Ok(handle)
    }
}

impl Inherited for Renewable {
    /// The maps are the parent's, and so is everything that is known of them.
    unsafe fn let_go(&'static self) {
        // SAFETY: the child's only thread is here, so nobody else has the locks; what the first guarded is not dropped.
        unsafe {
            self.0.get().write(World::begin());
            Closer::reset();
        }
    }
}

/// The map of that handle, if it is the calling thread's.
fn find(handle: *const c_void) -> Result<Arc<Map>, Error> {
    let world = World::read();
    let map = world.maps.as_ref().and_then(|maps| maps.get(&(handle as usize))).ok_or(Error::NoMap)?;
    map.check_owner(OWNER.get())?;
    Ok(Arc::clone(map))
}

/// See `include/vmap.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmap_setup(options: *const Options) -> c_int {
    // SAFETY: null, or options, says the header.
    let settings = unsafe { Settings::read(options.as_ref()) };
    note(&settings.and_then(|settings| {
        let mut world = World::write();
        if world.maps() > 0 {
            return Err(Error::Busy);
        }
        // At once, so that what cannot be is said here.
        let engine = settings.start()?;
        if let Some(old) = world.engine.replace(engine) {
            // SAFETY: there are no maps, so nobody uses it.
            unsafe { old.dissolve() };
        }
        let old = SETTINGS.swap(Box::into_raw(Box::new(settings)), Ordering::AcqRel);
        // SAFETY: null, or from here; who reads it has the world.
        drop((!old.is_null()).then(|| unsafe { Box::from_raw(old) }));
        Ok(())
    }))
}

/// See `include/vmap.h`.
#[unsafe(no_mangle)]
pub extern "C" fn vmap_select_owner(owner: c_int) -> c_int {
    OWNER.replace(owner)
}

/// See `include/vmap.h`.
#[unsafe(no_mangle)]
pub extern "C" fn vmap_create() -> *mut c_void {
    forks::arrange();
    forks::see_to(&WORLD);
    let made = World::write().create(OWNER.get());
    note(&made);
    made.unwrap_or(0) as *mut c_void
}

/// See `include/vmap.h`.
#[unsafe(no_mangle)]
pub extern "C" fn vmap_destroy(vmap: *mut c_void) -> c_int {
    note(&find(vmap).and_then(|map| {
        // Another thread may have been faster. The map is in the list until it is closed, for the engine is kept
        // as long as there are maps.
        map.close()?;
        World::write().maps.as_mut().and_then(|maps| maps.remove(&(vmap as usize)));
        Ok(())
    }))
}

/// See `include/vmap.h`.
#[unsafe(no_mangle)]
pub extern "C" fn vmap_malloc(vmap: *mut c_void, size: c_int) -> *mut c_void {
    let block = find(vmap).and_then(|map| map.allocate(size));
    note(&block);
    block.unwrap_or(0) as *mut c_void
}

/// See `include/vmap.h`.
#[unsafe(no_mangle)]
pub extern "C" fn vmap_free(vmap: *mut c_void, data: *mut c_void) {
    note(&find(vmap).and_then(|map| if data.is_null() { Ok(()) } else { map.free(data as usize) }));
}

/// See `include/vmap.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmap_copy_to_memory(vmap: *mut c_void, mem: *mut c_void, data: *mut c_void, size: c_int) -> c_int {
    // SAFETY: `vmap.h` asks the caller for `size` bytes at `data`.
    note(&find(vmap).and_then(|map| unsafe { map.copy(mem as usize, data.cast(), size, Access::Write) }))
}

/// See `include/vmap.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmap_copy_from_memory(vmap: *mut c_void, data: *mut c_void, mem: *mut c_void, size: c_int) -> c_int {
    // SAFETY: `vmap.h` asks the caller for `size` bytes at `data`.
    note(&find(vmap).and_then(|map| unsafe { map.copy(mem as usize, data.cast(), size, Access::Read) }))
}

/// struct vmap_statistics, field by field.
#[repr(C)]
#[derive(Default)]
pub struct Statistics {
    frames: c_ulong,
    frames_used: c_ulong,
    slots_used: c_ulong,
    maps: c_ulong,
    faults: c_ulong,
    swap_reads: c_ulong,
    swap_writes: c_ulong,
    swap_errors: c_ulong,
}

/// See `include/vmap.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmap_statistics(statistics: *mut Statistics) -> c_int {
    if statistics.is_null() {
        return note::<()>(&Err(Error::Data));
    }
    let world = World::read();
    let found = world.engine.as_ref().map_or_else(Statistics::default, |engine| {
        let count = |counter| engine.events().counters.get(counter);
        let in_use = engine.in_use();
        Statistics {
            frames: engine.frames().len().into(),
            frames_used: engine.frames().used().into(),
            slots_used: in_use.slots.into(),
            maps: world.maps() as c_ulong,
            faults: count(Counter::FirstTouch) + count(Counter::SwapIn) + count(Counter::Reference) + count(Counter::FirstWrite),
            swap_reads: count(Counter::SwapReads),
            swap_writes: count(Counter::SwapWrites),
            swap_errors: count(Counter::SwapErrors),
        }
    });
    drop(world);
    // SAFETY: it is not null, and so the struct that `vmap.h` asks the caller for.
    unsafe { statistics.write(found) };
    note(&Ok(()))
}
