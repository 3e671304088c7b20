//! Does `vmalloc compare` notice what differs, and print nothing but its table on stdout?

mod common;

use common::Installation;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use vmcore::policy::POLICIES;

#[test]
fn a_program_that_stays_the_same() {
    Installation::new()
        .vmalloc(&["compare", "--arenas", "1M,2M", "--runs", "2", "--", "sh", "-c", "printf HEL%s LO"])
        .assert()
        .success()
        .stdout(contains("same").count(2 * POLICIES.len()))
        .stdout(contains("HELLO").not())
        .stderr("");
}

#[test]
fn a_program_that_differs_under_one_policy() {
    let program = r#"if [ "$VMALLOC_POLICY" = fifo ]; then echo why >&2; exit 3; fi; echo hello"#;
    Installation::new()
        .vmalloc(&["compare", "--arenas=1M", "--", "sh", "-c", program])
        .assert()
        .code(1)
        .stdout(contains("same").count(POLICIES.len() - 1))
        .stdout(contains("DIFFERENT").count(1))
        .stderr(contains("fifo 1M: exit status 3 instead of exit status 0; it said: why"));
}

#[test]
fn a_program_that_is_never_the_same_is_found_out() {
    Installation::new()
        .vmalloc(&["compare", "--arenas=1M", "--policies=fifo", "--", "sh", "-c", "echo $$"])
        .assert()
        .code(1)
        .stderr(contains("from run to run"));
}

#[test]
fn input_and_results_are_files() {
    let installation = Installation::new();
    let (input, results) = (installation.path("input"), installation.path("results.json"));
    std::fs::write(&input, "3\n1\n2\n").expect("a file");
    installation
        .vmalloc(&["compare", "--arenas=1M,2M", "--policies=clock", "--markdown"])
        .arg("--stdin")
        .arg(&input)
        .arg("--json")
        .arg(&results)
        .args(["--", "sort", "-n"])
        .assert()
        .success()
        .stdout(predicate::str::starts_with("| policy"));
    let text = std::fs::read(results).expect("results");
    let results: Value = serde_json::from_slice(&text).expect("good JSON");
    let at = |path: &str| results.pointer(path).cloned().unwrap_or(Value::Null);
    assert_eq!(at("/command"), serde_json::json!(["sort", "-n"]));
    assert_eq!(at("/settings/0/statistics/faults/first_touch"), 11);
    assert_eq!(at("/settings/1/statistics/evictions/dirty"), 7);
    assert_eq!(at("/settings/1/arena"), 2 << 20);
    assert_eq!(at("/settings/0/swap"), (16 + 2) << 20, "room for all that fits the default");
}

#[test]
fn the_figures_of_all_processes_are_added_up() {
    Installation::new()
        .vmalloc(&["compare", "--arenas=1M", "--policies=clock", "--markdown"])
        .args(["--", "sh", "-c", "/bin/true; /bin/true; true"])
        .assert()
        .success()
        .stdout(contains("33"));
}

#[test]
fn bad_settings_are_refused_before_the_first_run() {
    let installation = Installation::new();
    for flag in ["--arenas=1M,8Q", "--policies=fifo,lifo", "--swap=1X"] {
        installation.vmalloc(&["compare", flag, "--", "no-such-program"]).assert().code(78).stdout("");
    }
}
