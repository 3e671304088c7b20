//! Do the commands that only print a table print it?

mod common;

use common::Installation;
use predicates::prelude::*;
use predicates::str::contains;

#[test]
fn options_lists_every_variable() {
    let mut assert = Installation::without_library().vmalloc(&["options"]).assert().success().stderr("");
    for option in &vmcore::config::OPTIONS {
        assert = assert.stdout(contains(format!("`{}`", option.variable)));
    }
}

#[test]
fn report_shows_a_statistics_file() {
    let installation = Installation::without_library();
    let file = installation.path("1.json");
    std::fs::write(&file, r#"{"program": "sort", "pid": 1, "faults": {"swap_in": 5}}"#).expect("a file");
    let file = file.display().to_string();
    installation.vmalloc(&["report", &file]).assert().success().stdout(contains("sort").and(contains("swap in 5")));
}

#[test]
fn report_says_what_is_no_statistics_file() {
    Installation::without_library().vmalloc(&["report", "/dev/null"]).assert().code(125).stderr(contains("/dev/null"));
}
