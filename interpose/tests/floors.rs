//! The folders of `src/` are floors, from the lowest to the highest as `src/lib.rs` lists them, and each calls only those
//! above it in that list. This test reads the sources, outside of comments and tests: every `crate::floor`, and every
//! call of a method that only a higher floor defines.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("")
}

/// The floors, lowest first.
fn floors(lib: &str) -> Vec<String> {
    let lines = lib.lines().map(|line| line.trim().trim_start_matches("pub "));
    lines.filter_map(|line| Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())).collect()
}

/// The Rust files below a directory, with the floor that each belongs to; files of tests are none.
fn files(directory: &Path, floor: Option<&str>, found: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let floor = floor.unwrap_or(stem);
        if path.is_dir() {
            files(&path, Some(floor), found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && floor != "lib" && !stem.ends_with("tests") {
            found.push((floor.to_owned(), path));
        }
    }
}

/// The code of a file: without comments, and without the tests at its end.
fn code(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.trim().starts_with("mod tests {"));
    lines.map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The floors that the paths of a file name.
fn named(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            // use crate::{one, two::Three};
            Some(list) => {
                let list = list.split("};").next().unwrap_or("");
                names.extend(list.split(',').map(|item| word(item.trim()).to_owned()));
            }
            None => drop(names.insert(word(rest).to_owned())),
        }
    }
    names.remove("");
    names
}

/// The methods that a file defines: functions that take `self`.
fn defined(code: &str) -> BTreeSet<String> {
    let functions = code.split("fn ").skip(1);
    let methods = functions.filter(|rest| {
        let arguments = rest.split_once('(').map_or("", |(_, arguments)| arguments);
        let first = arguments.split([',', ')']).next().unwrap_or("");
        first.split(|c: char| !c.is_alphanumeric()).any(|word| word == "self")
    });
    methods.map(|rest| word(rest).to_owned()).collect()
}

/// The methods that a file calls.
fn called(code: &str) -> BTreeSet<String> {
    let after_dots = code.split('.').skip(1);
    after_dots.filter(|rest| rest[word(rest).len()..].starts_with(['(', ':'])).map(|rest| word(rest).to_owned()).collect()
}

/// Methods of the language that are called like one of a floor.
const NOT_OURS: [&str; 2] = ["contains", "next"];

#[test]
fn each_floor_calls_only_those_below_it() {
    let floors = floors(&fs::read_to_string(sources().join("lib.rs")).unwrap());
    let place = |name: &str| floors.iter().position(|floor| floor == name);
    let mut all = Vec::new();
    files(&sources(), None, &mut all);
    let texts: Vec<_> = all.iter().map(|(floor, path)| (floor, path, code(&fs::read_to_string(path).unwrap()))).collect();
    // For each method the lowest floor that defines one of its name.
    let mut lowest: BTreeMap<String, usize> = BTreeMap::new();
    for (floor, path, text) in &texts {
        let here = place(floor).unwrap_or_else(|| panic!("{} belongs to no floor of lib.rs", path.display()));
        for method in defined(text) {
            let known = lowest.entry(method).or_insert(here);
            *known = here.min(*known);
        }
    }
    let mut wrong = Vec::new();
    for (floor, path, text) in &texts {
        let here = place(floor).unwrap();
        for name in named(text) {
            // What is no floor is a macro or a function of the crate's root.
            if place(&name).is_some_and(|there| there > here) {
                wrong.push(format!("{} uses {name}, a higher floor", path.display()));
            }
        }
        for method in called(text).iter().filter(|method| !NOT_OURS.contains(&method.as_str())) {
            if lowest.get(method).is_some_and(|there| *there > here) {
                wrong.push(format!("{} calls .{method}(), which {} defines", path.display(), floors[lowest[method]]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} times:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn names_are_found_where_they_stand() {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let uses = "use crate::a::{B, C};\nuse crate::{d, e::F};\nlet x = crate::g::h(); // crate::i\n//! crate::j\n";
    let text = code(&format!("{uses}mod tests {{\nuse crate::k;\n}}"));
    assert_eq!(named(&text), set(&["a", "d", "e", "g"]));
    let text = "fn one(&self) {}\nfn two(\n    &'a mut self,\n    x: u8) {}\nfn three(x: u8) {}\nfn four<T>(mut self) {}";
    assert_eq!(defined(text), set(&["one", "two", "four"]));
    assert_eq!(called("x.one(); y.two; z\n    .three::<u8>(1.0); four()"), set(&["one", "three"]));
}
