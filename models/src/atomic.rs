//! `sync/atomic.rs` with loom's atomics.

pub use loom::sync::atomic::{fence, AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The engine has no fence of the processor here: whoever closes a gate puts one into every running thread by membarrier.
/// Loom knows no such barrier, so it stands where it takes effect: between the owner's store and its load.
pub fn compiler_fence(order: Ordering) {
    fence(order);
}

/// Loom makes statics anew for each execution.
macro_rules! statics {
    ($($(#[$doc:meta])* static $name:ident: $kind:ty = $value:expr;)*) => {
        loom::lazy_static! { $($(#[$doc])* static ref $name: $kind = $value;)* }
    };
}
pub(crate) use statics;
