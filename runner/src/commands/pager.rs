//! `vmalloc pager`: the external pager, until a signal ends it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ArgMatches;
use external_pager::decisions::Decisions;

use crate::pager::socket::{self, Listener};
use crate::pager::{say, Events, Memory, Server};

pub fn main(args: &ArgMatches) -> Result<ExitCode> {
    let number = |name: &str| args.get_one::<u32>(name).copied().with_context(|| format!("--{name} has no value"));
    let (pages, blocks) = (number("memory-pages")?, number("disk-blocks")?);
    let path = args.get_one::<PathBuf>("socket").cloned().unwrap_or_else(socket::default_path);
    let directory = args.get_one::<PathBuf>("disk-dir").cloned().unwrap_or_else(std::env::temp_dir);
    let patience = Some(number("patience")?).filter(|seconds| *seconds > 0);
    let signals = Server::signals()?;
    let listener = Listener::open(path)?;
    // For the life of the process, and so for ever: the engine refers to its machine, and that to the trace.
    let events: &'static Events = Box::leak(Box::new(Events::open(args.get_one::<PathBuf>("trace").map(PathBuf::as_path))?));
    let memory: &'static Memory = Box::leak(Box::new(Memory::new(pages, blocks, &directory, events)?));
    let decisions = Decisions::new(pages, blocks, memory).context("cannot start the pager")?;
    events.line(format_args!("vm_init({pages}, {blocks})"));
    let at = listener.path().display();
    say(format_args!("pager with {pages} pages of memory and {blocks} disk blocks listens at {at}"));
    let patience = patience.map(|seconds| Duration::from_secs(seconds.into()));
    Server::new(listener, memory, decisions, events, patience).serve(&signals)?;
    Ok(ExitCode::SUCCESS)
}
