//! Settings with which the program does not start, as far as only the engine and the kernel can tell; each
//! refusal says what to set instead.

use crate::shared::ends;
use vmcore::config::{Config, ConfigError, Problem, Variable};
use vmcore::engine::StartError;
use vmcore::report::say;
use vmcore::sys::file;
use vmcore::units::HumanSize;

/// The arena and the swap file are files: a limit of their size (`ulimit -f`) must allow them.
pub fn refuse_small_files(config: &Config<'static>) {
    for (variable, len) in [("VMALLOC_ARENA", config.arena), ("VMALLOC_SWAP", config.swap)] {
        if let Some(limit) = file::size_limit_below(len) {
            let (len, limit) = (HumanSize(len), HumanSize(limit));
            say(format_args!(
                "{variable}={len}: files may not be larger than {limit} here (ulimit -f); give it less, or raise the limit"
            ));
            ends::refuse_start()
        }
    }
}

pub fn refuse_start(config: &Config<'static>, error: StartError) -> ! {
    let bad = |variable, value, problem| -> ! { ends::refuse(&ConfigError::bad(variable, value, problem)) };
    match error {
        StartError::SwapDir(errno) => {
            let why = match errno.0 {
                libc::ENOENT => "no such directory",
                libc::ENOTDIR => "not a directory",
                libc::EACCES | libc::EPERM => "not writable",
                libc::EROFS => "on a read-only file system",
                libc::ENOSPC | libc::EDQUOT => "without the space for the swap file",
                _ => "unfit for the swap file",
            };
            bad(Variable::SwapDir, config.swap_dir, Problem::Unusable(why))
        }
        StartError::SwapDirTooLong => bad(Variable::SwapDir, config.swap_dir, Problem::Unusable("too long a name")),
        StartError::Crowded => {
            say(format_args!(
                "VMALLOC_SWAP={}: its bookkeeping leaves too few of the frames of VMALLOC_ARENA={}; use a larger arena or less swap",
                HumanSize(config.swap),
                HumanSize(config.arena)
            ));
            ends::refuse_start()
        }
        StartError::HeapTooLarge => {
            say(format_args!("VMALLOC_HEAP={}: does not fit into the address space", HumanSize(config.heap)));
            ends::refuse_start()
        }
        StartError::Memory(errno) => {
            say(format_args!(
                "cannot get an arena of {} from the kernel (error {}); use a smaller VMALLOC_ARENA",
                HumanSize(config.arena),
                errno.0
            ));
            ends::refuse_start()
        }
    }
}
