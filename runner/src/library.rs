//! Where `libvmalloc.so` is, and the `LD_PRELOAD` that puts it in front.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::elf::{self, Target};

/// The variable that the dynamic linker reads.
pub const PRELOAD: &str = "LD_PRELOAD";
const FILE_NAME: &str = "libvmalloc.so";

/// The library that is preloaded.
pub struct Library {
    path: PathBuf,
    target: Target,
}

impl Library {
    /// Looks beside this executable (a build tree), then in `../lib` (an installation).
    pub fn find() -> Result<Library> {
        let executable = std::env::current_exe().context("cannot find my own executable")?;
        let directory = executable.parent().unwrap_or(Path::new("/"));
        let beside = directory.join(FILE_NAME);
        let installed = directory.with_file_name("lib").join(FILE_NAME);
        let path = if beside.exists() {
            beside
        } else if installed.exists() {
            installed
        } else {
            bail!(
                "there is no {FILE_NAME}, neither at {} nor at {}: build it with scripts/vmalloc",
                beside.display(),
                installed.display()
            );
        };
        let target = elf::read(&path).with_context(|| format!("{} is damaged", path.display()))?.target;
        Ok(Library { path, target })
    }

    /// For which machine the library is made.
    pub fn target(&self) -> Target {
        self.target
    }

    /// The value of `LD_PRELOAD`: this library first, then what was there before.
    pub fn preload(&self) -> Result<OsString> {
        preload(&self.path, std::env::var_os(PRELOAD))
    }

    /// Has a command preload this library.
    pub fn apply(&self, command: &mut Command) -> Result<()> {
        command.env(PRELOAD, self.preload()?);
        Ok(())
    }
}

fn preload(library: &Path, before: Option<OsString>) -> Result<OsString> {
    let path = library.as_os_str();
    // The dynamic linker splits LD_PRELOAD here and has no way to quote.
    if path.as_bytes().iter().any(|byte| b" :".contains(byte)) {
        bail!("{PRELOAD} cannot hold a path with a space or a colon: {}", library.display());
    }
    let mut value = path.to_os_string();
    if let Some(before) = before.filter(|before| !before.is_empty()) {
        value.push(OsStr::new(":"));
        value.push(before);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_goes_before_what_was_there() {
        let library = Path::new("/a/libvmalloc.so");
        let value = |before: Option<&str>| preload(library, before.map(OsString::from)).expect("a good path");
        assert_eq!(value(None), "/a/libvmalloc.so");
        assert_eq!(value(Some("")), "/a/libvmalloc.so");
        assert_eq!(value(Some("x.so y.so")), "/a/libvmalloc.so:x.so y.so");
    }

    #[test]
    fn a_path_that_cannot_be_said_is_refused() {
        assert!(preload(Path::new("/my files/libvmalloc.so"), None).is_err());
    }
}
