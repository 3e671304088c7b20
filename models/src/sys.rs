//! What the protocols ask of the system: a model has no signals, and nothing tortures it, for loom does.

/// `sys/thread.rs`, as far as lock and gate need it.
pub mod thread {
    use std::convert::Infallible;

    /// There are no signals to block.
    pub struct Quiet;

    impl Quiet {
        /// From now on.
        pub fn begin() -> Quiet {
            Quiet
        }
    }

    /// Lets another thread run.
    pub fn yield_now() {
        loom::thread::yield_now();
    }

    /// Sleeps for a while, which is to let others run.
    pub fn nap() {
        yield_now();
    }

    /// The kernel has the barrier.
    pub fn register_barrier() -> Result<(), Infallible> {
        Ok(())
    }

    /// The barrier takes effect in the owner: see `compiler_fence` in `atomic.rs`.
    pub fn barrier() -> Result<(), Infallible> {
        Ok(())
    }
}

/// `sys/torture.rs`: loom comes in between everywhere.
pub mod torture {
    /// Nothing.
    pub fn pause() {}
}
