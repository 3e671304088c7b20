//! What a thread's record keeps of children that are being born and share its memory. What is done with it is
//! the floor `births`; the gadget reads two fields.

use crate::shared::thread::Thread;
use crate::signals::Saved;
use crate::syscalls::pins::slots::SLOTS;
use core::cell::Cell;
use core::mem::offset_of;
use core::ptr::null;

/// Children of children that sleep in vfork at the same time.
pub const DEPTH: usize = 3;

/// A call that makes a child, from its trap until both sides have gone on.
#[repr(C)]
pub struct Birth {
    /// Where the program goes on.
    pub go_on: Cell<usize>,
    /// With which arguments in its registers.
    pub args: Cell<[usize; 6]>,
    /// The alternate stack that the child asks the kernel for.
    pub alternate: Cell<libc::stack_t>,
    /// The byte that its dispatch reads.
    pub selector: Cell<*const u8>,
    /// The record of a new thread; null for a child that borrows its parent's.
    pub record: Cell<*const Thread>,
    /// The record that the call was made in.
    pub parent: Cell<*const Thread>,
    /// The child has thread-local storage of its own.
    pub own_storage: Cell<bool>,
    /// The call was made by a wrapper, which answers with errno.
    pub by_wrapper: Cell<bool>,
    /// The signals' state, which a borrower may change.
    pub signals: Cell<Saved>,
    /// Which slots were in use.
    pub slots: Cell<u32>,
}

const _: () = assert!(SLOTS <= 32);

/// For the gadget.
pub const ALTERNATE: usize = offset_of!(Birth, alternate);
/// For the gadget.
pub const SELECTOR: usize = offset_of!(Birth, selector);

impl Default for Birth {
    fn default() -> Birth {
        Birth {
            go_on: Cell::new(0),
            args: Cell::new([0; 6]),
            alternate: Cell::new(libc::stack_t { ss_sp: core::ptr::null_mut(), ss_flags: 0, ss_size: 0 }),
            selector: Cell::new(null()),
            record: Cell::new(null()),
            parent: Cell::new(null()),
            by_wrapper: Cell::new(false),
            own_storage: Cell::new(false),
            signals: Cell::new(Saved::default()),
            slots: Cell::new(0),
        }
    }
}

/// The births of a thread: the first `depth` of them are children that it, or a child that borrows its
/// record, sleeps for.
#[derive(Default)]
pub struct Births {
    /// How many of them there are.
    pub depth: Cell<usize>,
    /// Room for all.
    pub list: [Birth; DEPTH],
}
