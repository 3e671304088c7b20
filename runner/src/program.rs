//! The program to run: where it is, and whether `LD_PRELOAD` can reach it. Whatever speaks
//! against it is found out before it starts; the dynamic linker itself would say nothing, or
//! only warn, and the program would run without us.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::ArgMatches;
use nix::unistd::{eaccess, AccessFlags};

use crate::elf::{self, Elf, Target};
use crate::failure::Failure;
use crate::{privilege, script};

/// How many `#!` the kernel follows from one to the next.
const SCRIPT_DEPTH: usize = 5;
/// Where `execvp` looks when `PATH` is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A program and its arguments, found but not yet started.
pub struct Program {
    name: OsString,
    path: PathBuf,
    args: Vec<OsString>,
}

impl Program {
    /// Finds the program that the command line names.
    pub fn from_matches(matches: &ArgMatches) -> Result<Program> {
        let mut words = matches.get_many::<OsString>("program").context("PROGRAM is missing")?.cloned();
        let name = words.next().context("PROGRAM is missing")?;
        let path = find(&name).map_err(|reason| reason.about(shown(&name)))?;
        Ok(Program { name, path, args: words.collect() })
    }

    /// Refuses a program that a library made for `target` cannot be preloaded into.
    pub fn check(&self, target: Target) -> Result<()> {
        let mut subject = shown(&self.name);
        let mut path = self.path.clone();
        for _ in 0..SCRIPT_DEPTH {
            let next = examine(&path, target).map_err(|reason| reason.about(subject))?;
            let Some(interpreter) = next else {
                return Ok(());
            };
            subject = format!("{}: its interpreter {}", shown(&self.name), shown(&interpreter));
            path = find(&interpreter).map_err(|reason| reason.about(subject.clone()))?;
        }
        Err(unreachable("is a script with too many interpreters").about(subject).into())
    }

    /// The command that starts the program, in the environment of this process.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.arg0(&self.name).args(&self.args);
        command
    }

    /// The command line as it was given.
    pub fn words(&self) -> impl Iterator<Item = &OsStr> {
        std::iter::once(&self.name).chain(&self.args).map(OsString::as_os_str)
    }

    /// The error that belongs to a failed start.
    pub fn cannot_start(&self, error: std::io::Error) -> anyhow::Error {
        unreachable(format!("cannot be started: {error}")).about(shown(&self.name)).into()
    }
}

/// What speaks against a program; it becomes a [`Failure`] together with the program's name.
enum Reason {
    Unreachable(String),
    NotFound(String),
}

impl Reason {
    fn about(self, program: String) -> Failure {
        match self {
            Reason::Unreachable(reason) => Failure::Unreachable { program, reason },
            Reason::NotFound(reason) => Failure::NotFound { program, reason },
        }
    }
}

fn unreachable(reason: impl Into<String>) -> Reason {
    Reason::Unreachable(reason.into())
}

/// Finds a program as `execvp` does: along `PATH`, unless the name has a slash.
fn find(name: &OsStr) -> Result<PathBuf, Reason> {
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return runnable(&path).map(|()| path);
    }
    let directories = std::env::var_os("PATH").unwrap_or(DEFAULT_PATH.into());
    let mut answer = Reason::NotFound("was not found in PATH".into());
    for directory in std::env::split_paths(&directories) {
        // An empty entry is the current directory; `./` keeps the path one with a slash.
        let path = Path::new(".").join(directory).join(name);
        match runnable(&path) {
            Ok(()) if !name.is_empty() => return Ok(path),
            Err(reason @ Reason::Unreachable(_)) => answer = reason,
            _ => {}
        }
    }
    Err(answer)
}

fn runnable(path: &Path) -> Result<(), Reason> {
    let file = path.metadata().map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => unreachable("cannot be reached: permission denied"),
        _ => Reason::NotFound("does not exist".into()),
    })?;
    if file.is_dir() {
        return Err(unreachable("is a directory"));
    }
    eaccess(path, AccessFlags::X_OK).map_err(|_| unreachable("is not executable"))
}

/// Looks into one file of the chain. A script's interpreter is the next one to look at.
fn examine(path: &Path, target: Target) -> Result<Option<OsString>, Reason> {
    let Some(head) = read_head(path) else {
        // Executable but not readable: the kernel can run it, we cannot judge it.
        return Ok(None);
    };
    if let Some(line) = script::parse(&head) {
        let interpreter = line.env_target().unwrap_or(line.interpreter().as_os_str());
        return Ok(Some(interpreter.to_os_string()));
    }
    if !head.starts_with(&object::elf::ELFMAG) {
        // A shell script without `#!`, or a format that binfmt_misc knows.
        return Ok(None);
    }
    let elf = elf::read(path).map_err(|error| unreachable(format!("is damaged: {error}")))?;
    reachable(path, &elf, target)?;
    match privilege::raised_by(path) {
        Some(mark) => Err(unreachable(format!("{mark}: the dynamic linker ignores LD_PRELOAD for it"))),
        None => Ok(None),
    }
}

fn reachable(path: &Path, elf: &Elf, target: Target) -> Result<(), Reason> {
    if !elf.is_executable {
        return Err(unreachable("is an object file, not a program"));
    }
    if elf.target != target {
        return Err(unreachable(format!("is a {} program, and libvmalloc.so is {target}", elf.target)));
    }
    match &elf.interpreter {
        None if is_dynamic_linker(path) => Ok(()),
        None => Err(unreachable("is statically linked: LD_PRELOAD cannot reach it")),
        Some(linker) if file_name(linker).starts_with("ld-musl") => {
            Err(unreachable("is linked with musl: libvmalloc.so needs glibc"))
        }
        Some(linker) if !linker.exists() => {
            Err(unreachable(format!("needs the dynamic linker {}, which does not exist", linker.display())))
        }
        Some(_) => Ok(()),
    }
}

/// The dynamic linker run as a program has no interpreter, yet reads `LD_PRELOAD`.
fn is_dynamic_linker(path: &Path) -> bool {
    let name = path.canonicalize().map(|path| file_name(&path));
    name.is_ok_and(|name| name.starts_with("ld-linux") || name.starts_with("ld-2"))
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn read_head(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(script::HEAD);
    let file = File::open(path).ok()?;
    file.take(script::HEAD as u64).read_to_end(&mut head).ok()?;
    Some(head)
}

/// A name for a message of one line: a stray `\r` at the end of a `#!` line must be seen.
fn shown(name: &OsStr) -> String {
    let name = name.to_string_lossy();
    if name.chars().any(char::is_control) {
        name.escape_debug().to_string()
    } else {
        name.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::synthetic;
    use object::elf::{EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, ET_REL};
    use std::os::unix::fs::PermissionsExt;

    /// Writes an executable file and says what the check says about it.
    fn verdict(content: &[u8]) -> String {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("program");
        std::fs::write(&path, content).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("a mode");
        let program = Program { name: "program".into(), path, args: Vec::new() };
        let library = directory.path().join("library");
        std::fs::write(&library, synthetic::elf64(ET_DYN, EM_X86_64, None)).expect("a file");
        let target = elf::read(&library).expect("a good file").target;
        match program.check(target) {
            Ok(()) => "reachable".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn dynamic_programs_are_reachable() {
        // Any file that exists will do as the dynamic linker.
        let file = synthetic::elf64(ET_DYN, EM_X86_64, Some("/dev/null"));
        assert_eq!(verdict(&file), "reachable");
    }

    #[test]
    fn each_obstacle_has_its_message() {
        let elf64 = synthetic::elf64;
        for (content, words) in [
            (elf64(ET_EXEC, EM_X86_64, None), "statically linked"),
            (elf64(ET_DYN, EM_X86_64, Some("/lib/ld-musl-x86_64.so.1")), "musl"),
            (elf64(ET_DYN, EM_X86_64, Some("/no/ld.so")), "/no/ld.so, which does not exist"),
            (elf64(ET_DYN, EM_AARCH64, Some("/dev/null")), "a 64-bit Arm program"),
            (synthetic::elf32(), "a 32-bit x86 program, and libvmalloc.so is 64-bit x86-64"),
            (elf64(ET_REL, EM_X86_64, None), "object file"),
            (b"\x7fELF\x02".to_vec(), "damaged"),
            (b"#!/no/such/shell\n".to_vec(), "its interpreter /no/such/shell does not exist"),
            (b"#!/bin/sh\r\n".to_vec(), "its interpreter /bin/sh\\r does not exist"),
            (b"#!/usr/bin/env no-such-shell\n".to_vec(), "no-such-shell was not found in PATH"),
        ] {
            let verdict = verdict(&content);
            assert!(verdict.contains(words), "{verdict:?} should say {words:?}");
        }
    }

    #[test]
    fn a_script_without_interpreter_is_left_to_exec() {
        assert_eq!(verdict(b"echo hello\n"), "reachable");
        assert_eq!(verdict(b""), "reachable");
    }
}
