//! The external pager's decisions for C: `vm_decisions.h`, on which `vm_pager.cc` stands.

use core::ffi::{c_int, c_ulong, c_void};
use std::sync::{Mutex, MutexGuard, TryLockError};

use external_pager::decisions::Decisions;
use external_pager::machine::{Failed, Machine};
use external_pager::protocol::Entry;
use vmcore::report::say;

/// The machine that C provides.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CMachine {
    clear: extern "C" fn(u32),
    disk_read: extern "C" fn(u32, u32),
    disk_write: extern "C" fn(u32, u32),
    set_entry: extern "C" fn(c_int, u32, u32, c_int, c_int),
}

impl Machine for CMachine {
    fn clear(&self, frame: u32) {
        (self.clear)(frame);
    }

    fn read(&self, block: u32, frame: u32) -> Result<(), Failed> {
        (self.disk_read)(block, frame);
        Ok(())
    }

    fn write(&self, block: u32, frame: u32) -> Result<(), Failed> {
        (self.disk_write)(block, frame);
        Ok(())
    }

    fn set_entry(&self, process: i32, page: u32, entry: Entry) {
        (self.set_entry)(process, page, entry.frame, entry.read_enable.into(), entry.write_enable.into());
    }
}

static PAGER: Mutex<Option<Decisions>> = Mutex::new(None);

/// The pager, for one call.
fn pager() -> MutexGuard<'static, Option<Decisions>> {
    match PAGER.try_lock() {
        Ok(pager) => pager,
        Err(TryLockError::Poisoned(pager)) => pager.into_inner(),
        Err(TryLockError::WouldBlock) => {
            say(format_args!("the external pager was called while it was in a call: one call at a time"));
            std::process::abort()
        }
    }
}

fn status(done: bool) -> c_int {
    if done {
        0
    } else {
        -1
    }
}

/// See `vm_decisions.h`.
#[no_mangle]
pub unsafe extern "C" fn vm_decisions_init(memory_pages: u32, disk_blocks: u32, machine: *const CMachine) -> c_int {
    let mut pager = pager();
    *pager = None;
    // SAFETY: `vm_decisions.h` asks for null or a machine, which is copied here.
    if let Some(machine) = unsafe { machine.as_ref() } {
        // Small, and for ever: the engine refers to it.
        let machine: &'static CMachine = Box::leak(Box::new(*machine));
        *pager = Decisions::new(memory_pages, disk_blocks, machine).ok();
    }
    status(pager.is_some())
}

/// See `vm_decisions.h`.
#[no_mangle]
pub extern "C" fn vm_decisions_create(pid: c_int) -> c_int {
    status(pager().as_mut().is_some_and(|pager| pager.create(pid)))
}

/// See `vm_decisions.h`.
#[no_mangle]
pub extern "C" fn vm_decisions_switch(pid: c_int) -> c_int {
    status(pager().as_mut().is_some_and(|pager| pager.switch(pid)))
}

/// See `vm_decisions.h`.
#[no_mangle]
pub extern "C" fn vm_decisions_fault(address: c_ulong, write: c_int) -> c_int {
    status(pager().as_mut().is_some_and(|pager| pager.fault(address as usize, write != 0).is_ok()))
}

/// See `vm_decisions.h`.
#[no_mangle]
pub extern "C" fn vm_decisions_extend() -> c_ulong {
    pager().as_mut().and_then(|pager| pager.extend().ok()).unwrap_or(0) as c_ulong
}

/// See `vm_decisions.h`.
#[no_mangle]
pub extern "C" fn vm_decisions_syslog(
    address: c_ulong,
    len: u32,
    take: extern "C" fn(*mut c_void, u32, u32, u32),
    context: *mut c_void,
) -> c_int {
    let give = |frame, offset: usize, len: usize| take(context, frame, offset as u32, len as u32);
    status(pager().as_mut().is_some_and(|pager| pager.syslog(address as usize, len, give).is_ok()))
}

/// See `vm_decisions.h`.
#[no_mangle]
pub extern "C" fn vm_decisions_destroy() {
    if let Some(pager) = pager().as_mut() {
        pager.destroy();
    }
}
