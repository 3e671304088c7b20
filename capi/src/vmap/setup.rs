//! How large memory, swap file and maps are, and the engine that is made of it.

use super::error::Error;
use crate::kept::Kept;
use core::ffi::{c_char, CStr};
use vmcore::config::{Config, MAX_SPACE};
use vmcore::engine::{Engine, Hooks, Seams, StartError};
use vmcore::events::Who;
use vmcore::policy::{by_name, Policy, POLICIES};
use vmcore::report::say;
use vmcore::sys::file;
use vmcore::units::SYSTEM_PAGE;

/// struct vmap_options, field by field.
#[repr(C)]
pub struct Options {
    memory: usize,
    swap: usize,
    space: usize,
    policy: *const c_char,
    directory: *const c_char,
}

/// The options, checked.
pub struct Settings {
    memory: u64,
    swap: u64,
    space: u64,
    policy: &'static dyn Policy,
    directory: Vec<u8>,
}

/// So many maps at a time.
const MAPS: u32 = 1024;

const PAGE: u64 = SYSTEM_PAGE as u64;

impl Settings {
    /// What holds when nobody asked for anything.
    pub fn usual() -> Settings {
        let directory = std::env::var_os("TMPDIR").filter(|dir| !dir.is_empty());
        let directory = directory.map_or_else(|| b"/tmp".to_vec(), |dir| dir.into_encoded_bytes());
        let policy = by_name(b"clock").unwrap_or(POLICIES[0]);
        Settings { memory: 8 << 20, swap: 16 << 20, space: 24 << 20, policy, directory }
    }

    /// Checks what was asked for.
    ///
    /// # Safety
    /// The texts are null or C strings.
    pub unsafe fn read(options: Option<&Options>) -> Result<Settings, Error> {
        let mut settings = Settings::usual();
        let Some(options) = options else {
            return Ok(settings);
        };
        let size = |name: &str, size: usize, usual: u64| match size as u64 {
            0 => Ok(usual),
            size if size % PAGE != 0 => Err(refuse(&format!("{name} {size} is not a number of whole pages of {PAGE}"))),
            size if size > MAX_SPACE => Err(refuse(&format!("{name} {size} is more than {MAX_SPACE}"))),
            size => Ok(size),
        };
        settings.memory = size("memory", options.memory, settings.memory)?;
        settings.swap = size("swap", options.swap, settings.swap)?;
        settings.space = size("space", options.space, (settings.memory + settings.swap).min(MAX_SPACE))?;
        // SAFETY: each text is null or a C string, as the caller of `read` promises.
        let text = |text: *const c_char| (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes());
        if let Some(name) = text(options.policy) {
            settings.policy = by_name(name).ok_or_else(|| {
                let names: Vec<_> = POLICIES.iter().map(|policy| policy.name()).collect();
                refuse(&format!("policy {} is none of {}", String::from_utf8_lossy(name), names.join(", ")))
            })?;
        }
        if let Some(directory) = text(options.directory) {
            settings.directory = directory.to_vec();
        }
        Ok(settings)
    }

    /// Makes the engine.
    pub fn start(&self) -> Result<Kept<Engine>, Error> {
        let config = Config {
            arena: 0,
            swap: self.swap,
            heap: self.space,
            shared: 0,
            page: PAGE,
            policy: self.policy,
            swap_dir: &self.directory,
            stats: None,
            trace: None,
        };
        file::size_limit_below(0);
        let hooks = Hooks { arm: || {}, who: || Who { thread: 0, counters: None } };
        let frames = u32::try_from(self.memory / PAGE).map_err(|_| refuse("memory has too many pages"))?;
        let engine = Engine::exact(&config, hooks, Seams::LIVE, frames, MAPS).map_err(|error| match error {
            StartError::Crowded => refuse("memory or swap have too many pages"),
            StartError::HeapTooLarge => {
                refuse(&format!("{MAPS} maps with a space of {} do not fit into the address space", self.space))
            }
            StartError::SwapDirTooLong => refuse("directory has too long a name"),
            StartError::SwapDir(errno) => {
                let directory = String::from_utf8_lossy(&self.directory);
                say(format_args!("vmap: no swap file of {} bytes can be made in {directory} (error {})", self.swap, errno.0));
                Error::System
            }
            StartError::Memory(errno) => {
                say(format_args!("vmap: the kernel refuses {} bytes of memory (error {})", self.memory, errno.0));
                Error::System
            }
        })?;
        Kept::new(engine).map_err(|_| Error::System)
    }
}

fn refuse(why: &str) -> Error {
    say(format_args!("vmap: {why}"));
    Error::Option
}
