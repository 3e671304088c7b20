//! Does `vmalloc run` start what can be started, as it is, and refuse the rest in one line?

mod common;

use std::os::unix::fs::{chown, PermissionsExt};

use common::Installation;
use nix::sys::statvfs::{statvfs, FsFlags};
use predicates::prelude::*;
use predicates::str::{contains, starts_with};

/// Exactly one line, from us.
fn one_line(words: &str) -> impl Predicate<str> {
    starts_with("vmalloc: ").and(contains(words.to_string())).and(predicate::function(|text: &str| text.lines().count() == 1))
}

#[test]
fn the_exit_status_and_output_are_the_programs_own() {
    Installation::new()
        .vmalloc(&["run", "--", "sh", "-c", "cat; echo warning >&2; exit 7"])
        .write_stdin("hello")
        .assert()
        .code(7)
        .stdout("hello")
        .stderr("warning\n");
}

#[test]
fn a_death_by_signal_is_the_programs_own() {
    Installation::new().vmalloc(&["run", "--", "sh", "-c", "kill -KILL $$"]).assert().interrupted();
}

#[test]
fn flags_become_variables_and_the_library_goes_first() {
    let installation = Installation::new();
    let library = installation.path("lib/libvmalloc.so");
    installation
        .vmalloc(&["run", "--arena", "4M", "--policy=fifo", "--"])
        .args(["sh", "-c", "echo $VMALLOC_ARENA $VMALLOC_POLICY $LD_PRELOAD"])
        .env("LD_PRELOAD", "libm.so.6")
        .assert()
        .success()
        .stdout(format!("4M fifo {}:libm.so.6\n", library.display()));
}

#[test]
fn dry_run_prints_the_command_and_runs_nothing() {
    Installation::new()
        .vmalloc(&["run", "--dry-run", "--swap=0", "--", "sh", "-c", "echo hello"])
        .assert()
        .success()
        .stdout(starts_with("VMALLOC_SWAP=0 LD_PRELOAD="))
        .stdout(predicate::str::ends_with(" sh -c 'echo hello'\n"));
}

#[test]
fn a_bad_setting_is_refused_with_78() {
    let installation = Installation::new();
    for flag in ["--arena=8Q", "--arena=0", "--swap=-1", "--policy=lifo", "--heap="] {
        installation.vmalloc(&["run", flag, "--", "echo", "never"]).assert().code(78).stdout("").stderr(one_line("VMALLOC_"));
    }
    installation
        .vmalloc(&["run", "--", "echo", "never"])
        .env("VMALLOC_ARENAS", "8M")
        .assert()
        .code(78)
        .stderr(one_line("VMALLOC_ARENAS"));
}

#[test]
fn a_static_program_is_refused_with_126() {
    let installation = Installation::new();
    let program = installation.program("int main(void) { return 0; }", &["-static"]);
    installation.vmalloc(&["run", &program]).assert().code(126).stderr(one_line("statically linked"));
    let script = installation.path("script");
    std::fs::write(&script, format!("#!{program}\n")).expect("a file");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("a mode");
    installation.vmalloc(&["run", &script.display().to_string()]).assert().code(126).stderr(one_line("its interpreter"));
}

#[test]
fn a_program_that_gains_privileges_is_refused_with_126() {
    let installation = Installation::new();
    let program = installation.program("int main(void) { return 0; }", &[]);
    let nosuid = statvfs(program.as_str()).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOSUID));
    // Only root can give a file away.
    if nosuid || chown(&program, Some(1), Some(1)).is_err() {
        eprintln!("skipped: no file here can be made setuid");
        return;
    }
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o4755)).expect("a mode");
    installation.vmalloc(&["run", &program]).assert().code(126).stderr(one_line("is setuid"));
}

#[test]
fn a_program_that_is_not_there_is_refused_with_127() {
    let installation = Installation::new();
    for program in ["/no/such/program", "no-such-program"] {
        installation.vmalloc(&["run", program]).assert().code(127).stderr(one_line(program));
    }
}

#[test]
fn what_is_no_program_is_refused_with_126() {
    let installation = Installation::new();
    for program in ["/", "/etc/passwd"] {
        installation.vmalloc(&["run", program]).assert().code(126).stderr(one_line(program));
    }
}

#[test]
fn a_missing_library_is_our_own_trouble() {
    Installation::without_library()
        .vmalloc(&["run", "echo", "never"])
        .assert()
        .code(125)
        .stdout("")
        .stderr(one_line("libvmalloc.so"));
}
