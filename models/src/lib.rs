//! The protocols by which threads agree without a lock, run by loom in every order that the memory model allows
//! (up to a bound on preemptions).
//!
//! What runs here are the engine's own files: entry and token, the fault planner, lock and gate. In the place of the
//! three modules that they stand on, this crate has its own: loom's atomics, a futex whose queue loom knows, and threads
//! without signals. Only what the pager does between two transitions is modelled ([`pager`]), since it needs a whole engine.
//!
//! What loom finds by itself: data races on its cells, threads that sleep for ever, failed assertions.

use loom::model::Builder;

pub mod pager;
pub mod sys;

#[path = "../../src/index.rs"]
pub mod index;

/// The entry of a page, its token, and the fault planner: the engine's.
#[path = "../../src/page"]
pub mod page {
    mod entry;
    mod plan;
    mod pte;

    pub use entry::{Entry, Token};
    pub use plan::{granted, plan, Plan};
    pub use pte::{Access, Pte, State};
}

/// The lock and the gate: the engine's, on atomics and futexes of loom's.
#[path = "../../src/sync"]
pub mod sync {
    mod gate;
    mod lock;

    #[path = "../../models/src/atomic.rs"]
    pub mod atomic;
    #[path = "../../models/src/futex.rs"]
    pub mod futex;

    pub use gate::{prepare, Closed, Closer, Gate, Inside};
    pub use lock::{Guard, Lock};
}

/// Runs a model in every order with at most `preemptions` involuntary switches.
pub fn every_order(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        sync::futex::begin();
        model();
    });
}
