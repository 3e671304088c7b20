//! The atomics of the lock-free protocols. The models take the protocols' own files and put loom's atomics
//! in the place of this module, so what loom checks is what runs.
#![forbid(unsafe_code)]

pub use core::sync::atomic::{compiler_fence, fence, AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Statics that hold such atomics. Loom has to make them anew for each execution, so they say that they are statics here.
macro_rules! statics {
    ($($(#[$doc:meta])* static $name:ident: $kind:ty = $value:expr;)*) => {
        $($(#[$doc])* static $name: $kind = $value;)*
    };
}
pub(crate) use statics;
