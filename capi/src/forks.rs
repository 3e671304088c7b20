//! fork: a child has none of what its parent set up.
//!
//! The frames and their table lie in a memory file that parent and child would share, so the child lets go
//! of all of it, without a look at it, before it can touch anything. What threads that it does not have hold
//! locked stays locked, and unused.

use crate::{faults, mm, paged_region, vmap};
use std::sync::Once;

static ARRANGED: Once = Once::new();

/// From now on children let go of everything.
pub fn arrange() {
    // SAFETY: the handler lives as long as the library, which registers nothing that could go before.
    ARRANGED.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(in_child));
    });
}

unsafe extern "C" fn in_child() {
    // SAFETY: a child has one thread, which is here.
    unsafe { faults::forget_all() };
    mm::let_go();
    paged_region::let_go();
    vmap::let_go();
}
