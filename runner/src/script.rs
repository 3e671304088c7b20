//! The first line of a script: which interpreter does the kernel start for it?

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How much of a file the kernel looks at (`BINPRM_BUF_SIZE`).
pub const HEAD: usize = 256;

/// A `#!` line: the interpreter, and the rest of the line as one argument.
#[derive(Debug, PartialEq)]
pub struct Shebang {
    interpreter: PathBuf,
    argument: OsString,
}

/// Reads the `#!` line at the start of a file, as the kernel does.
pub fn parse(head: &[u8]) -> Option<Shebang> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|byte| b"\n\0".contains(byte)).next()?;
    let line = trimmed(line);
    let end = line.iter().position(|byte| b" \t".contains(byte)).unwrap_or(line.len());
    let (interpreter, argument) = line.split_at_checked(end)?;
    (!interpreter.is_empty()).then(|| Shebang {
        interpreter: PathBuf::from(OsStr::from_bytes(interpreter)),
        argument: OsStr::from_bytes(trimmed(argument)).to_os_string(),
    })
}

/// Without the spaces and tabs around it; to the kernel a `\r` is part of the name.
fn trimmed(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}

impl Shebang {
    /// The program that `#!/usr/bin/env NAME` stands for: `env` only passes on to it.
    pub fn env_target(&self) -> Option<&OsStr> {
        if self.interpreter.file_name() != Some(OsStr::new("env")) {
            return None;
        }
        self.argument
            .as_bytes()
            .split(|byte| b" \t".contains(byte))
            .find(|word| !word.is_empty() && !word.starts_with(b"-") && !word.contains(&b'='))
            .map(OsStr::from_bytes)
    }

    /// The interpreter's path.
    pub fn interpreter(&self) -> &Path {
        &self.interpreter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interpreter(head: &str) -> Option<String> {
        parse(head.as_bytes()).map(|line| line.interpreter.display().to_string())
    }

    #[test]
    fn finds_the_interpreter() {
        assert_eq!(interpreter("#!/bin/sh\necho").as_deref(), Some("/bin/sh"));
        assert_eq!(interpreter("#! /bin/sh -eu\n").as_deref(), Some("/bin/sh"));
        assert_eq!(interpreter("#!/bin/awk -f").as_deref(), Some("/bin/awk"));
        assert_eq!(interpreter("#!/bin/sh"), Some("/bin/sh".into()));
    }

    #[test]
    fn other_files_have_none() {
        for head in ["", "#", "#!", "#!\n/bin/sh", "echo", " #!/bin/sh"] {
            assert_eq!(interpreter(head), None, "{head:?}");
        }
    }

    #[test]
    fn env_names_the_real_interpreter() {
        let target = |head: &str| {
            let line = parse(head.as_bytes()).expect("a script");
            line.env_target().map(|name| name.to_os_string())
        };
        assert_eq!(target("#!/usr/bin/env python3\n"), Some("python3".into()));
        assert_eq!(target("#!/usr/bin/env -S A=1 perl -w\n"), Some("perl".into()));
        assert_eq!(target("#!/usr/bin/env\n"), None);
        assert_eq!(target("#!/bin/sh env\n"), None);
    }
}
