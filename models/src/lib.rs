//! Models of the protocols by which threads agree without a lock, run by loom in every order that the
//! memory model allows (up to a bound on preemptions).
//!
//! Loom needs its own atomics, so the few lines that touch them are repeated here, each with the place
//! that it repeats; the values and decisions are the engine's own (`vmcore::pte`, `vmcore::fault`).
//! What loom finds by itself: data races on its cells, threads that sleep for ever, failed assertions.

use loom::model::Builder;

pub mod futex;
pub mod page;

/// Runs a model in every order with at most `preemptions` involuntary switches.
pub fn every_order(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
