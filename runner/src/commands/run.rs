//! `vmalloc run`: check, then become the program.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use anyhow::Result;
use clap::ArgMatches;

use crate::library::{Library, PRELOAD};
use crate::program::Program;
use crate::settings::Settings;

/// Does not return if the program starts: its signals and exit status are its own, because it
/// takes the place of this process.
pub fn main(args: &ArgMatches) -> Result<ExitCode> {
    let settings = Settings::from_matches(args);
    settings.check()?;
    let program = Program::from_matches(args)?;
    let library = Library::find()?;
    program.check(library.target())?;
    if args.get_flag("dry-run") {
        std::io::stdout().write_all(&shell_line(&settings, &library, &program)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut command = program.command();
    settings.apply(&mut command);
    library.apply(&mut command)?;
    Err(program.cannot_start(command.exec()))
}

/// The command as one could type it.
fn shell_line(settings: &Settings, library: &Library, program: &Program) -> Result<Vec<u8>> {
    let preload = library.preload()?;
    let variables = settings.entries().iter().map(|(name, value)| (*name, value));
    let mut line = Vec::new();
    for (name, value) in variables.chain([(PRELOAD, &preload)]) {
        line.extend([name.as_bytes(), b"=", &quoted(value)?, b" "].concat());
    }
    let words: Vec<_> = program.words().map(quoted).collect::<Result<_>>()?;
    line.extend(words.join(&b' '));
    line.push(b'\n');
    Ok(line)
}

fn quoted(word: impl AsRef<OsStr>) -> Result<Vec<u8>> {
    Ok(shlex::bytes::try_quote(word.as_ref().as_bytes())?.into_owned())
}
