//! The rooms of the engine stand in the order in which `src/lib.rs` lists them, and each may use only
//! those above it. This test reads the sources: every `crate::room` outside of comments and tests.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Pairs that look up and down at once, each with the reason. A pair that is no longer needed must go.
const KNOTS: [(&str, &str); 0] = [];

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rooms from top to bottom.
fn rooms() -> Vec<String> {
    let text = fs::read_to_string(sources().join("lib.rs")).unwrap();
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("pub mod "));
    names.filter_map(|rest| rest.strip_suffix(';')).map(str::to_owned).collect()
}

/// The Rust files below a directory, with the room that each belongs to.
fn files(directory: &Path, room: Option<&str>, found: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let room = room.unwrap_or(stem);
        if path.is_dir() {
            files(&path, Some(room), found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && room != "lib" {
            found.push((room.to_owned(), path));
        }
    }
}

/// Modules that are declared under `#[cfg(test)]`, here or in a file of their own.
fn test_modules(text: &str) -> BTreeSet<&str> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let pairs = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
    pairs.filter_map(|pair| pair[1].strip_prefix("mod ")?.strip_suffix(';')).collect()
}

/// The rooms that a file names, outside of comments and of the tests at its end.
fn named(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("mod tests {") {
            break;
        }
        let code = line.split("//").next().unwrap_or("");
        for rest in code.split("crate::").skip(1) {
            let word = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("").to_owned();
            match rest.strip_prefix('{') {
                // use crate::{one, two::Three};
                Some(list) => names.extend(list.split(',').map(|item| word(item.trim()))),
                None => drop(names.insert(word(rest))),
            }
        }
    }
    names.remove("");
    names
}

#[test]
fn each_room_uses_only_those_above_it() {
    let rooms = rooms();
    let place = |name: &str| rooms.iter().position(|room| room == name);
    let mut all = Vec::new();
    files(&sources(), None, &mut all);
    let texts: Vec<_> = all.iter().map(|(room, path)| (room, path, fs::read_to_string(path).unwrap())).collect();
    let tests: BTreeSet<(&str, &str)> =
        texts.iter().flat_map(|(room, _, text)| test_modules(text).into_iter().map(|module| (room.as_str(), module))).collect();
    let mut wrong = Vec::new();
    let mut knots = BTreeSet::new();
    for (room, path, text) in &texts {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if tests.contains(&(room.as_str(), stem)) {
            continue;
        }
        let Some(here) = place(room) else {
            panic!("{} belongs to no room of lib.rs", path.display());
        };
        for name in named(text) {
            let knot = KNOTS.iter().find(|knot| **knot == (room.as_str(), name.as_str()));
            match place(&name) {
                Some(there) if there <= here => {}
                Some(_) if knot.is_some() => knots.extend(knot),
                Some(_) => wrong.push(format!("{} uses {name}, which stands below it", path.display())),
                None => wrong.push(format!("{} uses {name}, which is no room", path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(knots, KNOTS.iter().collect(), "a knot that is untied leaves the list");
}

#[test]
fn names_are_found_where_they_stand() {
    let text = "use crate::a::{B, C};\nuse crate::{d, e::F};\nlet x = crate::g::h(); // crate::i\n//! crate::j\nmod tests {\nuse crate::k;\n}";
    assert_eq!(named(text).into_iter().collect::<Vec<_>>(), ["a", "d", "e", "g"]);
    assert!(test_modules("#[cfg(test)]\nmod model;\nmod other;").contains("model"));
}
