//! The one engine of the process and its settings. `start` makes both; every other floor only asks for them.

use spin::Once;
use vmcore::config::Config;
use vmcore::engine::Engine;
use vmcore::sys::torture;

/// Filled by `start`, once.
pub(crate) static ENGINE: Once<Engine> = Once::new();
/// Filled by `start`, before the engine is made.
pub(crate) static CONFIG: Once<Config<'static>> = Once::new();

/// The engine, once it has been made.
#[inline]
pub fn get() -> Option<&'static Engine> {
    ENGINE.get()
}

/// The settings, once the engine has been made.
pub fn config() -> Option<&'static Config<'static>> {
    CONFIG.get()
}

/// A build that tortures itself evicts pages here, about every `every`-th time; every other build does nothing.
#[inline(always)]
pub fn torment(every: u64) {
    if torture::strikes(every) {
        if let Some(engine) = get() {
            engine.torment();
        }
    }
}
