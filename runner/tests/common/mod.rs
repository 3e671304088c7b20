//! An installation for the tests: the real command, and a library that only leaves statistics, so
//! that these tests say something about the command alone.
#![allow(dead_code, reason = "not every test program uses all of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;

/// Leaves what libvmalloc.so would leave, with invented figures. It does so at the start: a program
/// may end in ways that only the real library notices.
const LIBRARY: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((constructor)) static void leave_statistics(void) {
    const char *pattern = getenv("VMALLOC_STATS");
    if (pattern == NULL) return;
    const char *percent = strstr(pattern, "%p");
    if (percent == NULL) return;
    char name[4096];
    snprintf(name, sizeof name, "%.*s%d%s", (int)(percent - pattern), pattern, getpid(), percent + 2);
    FILE *file = fopen(name, "w");
    if (file == NULL) return;
    fprintf(file, "{\"faults\": {\"first_touch\": 11}, \"evictions\": {\"dirty\": 7}}\n");
    fclose(file);
}
"#;

/// `bin/vmalloc` and `lib/libvmalloc.so` in a directory of their own.
pub struct Installation {
    directory: TempDir,
}

impl Installation {
    pub fn new() -> Installation {
        let installation = Installation::without_library();
        let library = installation.path("lib/libvmalloc.so");
        installation.compile(LIBRARY, &["-shared", "-fPIC"], &library);
        installation
    }

    pub fn without_library() -> Installation {
        // On the file system of the target directory, so that the command can be linked: a copy is
        // "text file busy" as long as another test's child holds a descriptor from the writing.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        for name in ["bin", "lib"] {
            std::fs::create_dir(directory.path().join(name)).expect("a directory");
        }
        std::fs::hard_link(cargo_bin("vmalloc"), directory.path().join("bin/vmalloc")).expect("a link");
        Installation { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The command, in an environment without settings.
    pub fn vmalloc(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::new(self.path("bin/vmalloc"));
        command.args(args).env_remove("LD_PRELOAD");
        for option in &vmcore::config::OPTIONS {
            command.env_remove(option.variable);
        }
        command
    }

    /// Compiles a C program and says where it is.
    pub fn program(&self, source: &str, flags: &[&str]) -> String {
        let program = self.path("program");
        self.compile(source, flags, &program);
        program.display().to_string()
    }

    fn compile(&self, source: &str, flags: &[&str], output: &Path) {
        let input = output.with_extension("c");
        std::fs::write(&input, source).expect("a source file");
        let mut compiler = Command::new("cc");
        compiler.arg(&input).arg("-o").arg(output).args(flags);
        assert!(compiler.status().expect("a C compiler").success());
    }
}
