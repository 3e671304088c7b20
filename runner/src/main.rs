//! The `vmalloc` command: starts programs under `libvmalloc.so`, compares policies, and is the external
//! pager.
//!
//! Exit statuses: those of `env(1)` and the shell. `run` ends as the program does, because it
//! becomes the program; 78 is a bad setting, 126 a program that cannot be reached, 127 a program
//! that is not there, 125 trouble of our own; 1 from `compare` means that an output differed.
#![forbid(unsafe_code)]

// The modules stand in their order: each uses only those above it. `checks/` holds them to that.

mod failure;

// What is to be run: files, and who may run them.
mod elf;
mod privilege;
mod script;

mod program;

mod library;

// What is set, and what came of it.
mod settings;
mod statistics;

mod results;

mod export;

// Who runs it.
mod executor;
mod pager;

// What a user types.
mod cli;
mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = cli::command().get_matches();
    let outcome = match matches.subcommand() {
        Some(("run", args)) => commands::run::main(args),
        Some(("compare", args)) => commands::compare::main(args),
        Some(("pager", args)) => commands::pager::main(args),
        Some(("report", args)) => commands::report::main(args),
        _ => commands::options::main(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("vmalloc: {error:#}");
        failure::exit_code(&error)
    })
}
