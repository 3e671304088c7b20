//! The house rules that the compiler does not check by itself.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The files of the engine with unsafe code. Any other forbids it, so one more is a decision that is made here.
const UNSAFE: &str = "
    engine.rs fork.rs opened.rs regions.rs
    events/trace.rs frames/arena.rs mapper/signal.rs region/record.rs
    pager/bookkeeping.rs pager/contents.rs pager/evict.rs pager/kept_stack.rs pager/place.rs pager/release.rs
    swap/device.rs swap/file.rs swap/memory.rs swap/mod.rs
    sync/futex.rs sync/gate.rs sync/lock.rs
    sys/file.rs sys/limits.rs sys/medium.rs sys/memory.rs sys/mod.rs sys/thread.rs";

/// The files below a directory, by their paths from `root`.
fn files(root: &Path, directory: &Path, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files(root, &path, found)?;
        } else if let (Some("rs"), Ok(inside)) = (path.extension().and_then(|e| e.to_str()), path.strip_prefix(root)) {
            found.push(inside.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

fn engine() -> (PathBuf, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &root, &mut found).unwrap();
    found.sort();
    (root, found)
}

/// Whether there is unsafe code: the word, outside of comments.
fn is_unsafe(text: &str) -> bool {
    let code = text.lines().filter_map(|line| line.split("//").next());
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).any(|word| word == "unsafe")
}

#[test]
fn pure_files_forbid_unsafe_code() {
    let (root, files) = engine();
    let allowed: BTreeSet<_> = UNSAFE.split_whitespace().collect();
    let text = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
    let forbids = |file: &str| text(file).contains("#![forbid(unsafe_code)]");
    for file in &files {
        // What a folder's `mod.rs` forbids is forbidden in all of it.
        let above = Path::new(file).ancestors().skip(1).map(|folder| folder.join("mod.rs"));
        let forbidden = forbids(file) || above.into_iter().any(|above| forbids(&above.to_string_lossy()));
        // A file that only lists modules with unsafe code cannot forbid it.
        let lists = text(file).lines().any(|line| line.trim_start_matches("pub ").starts_with("mod "));
        assert_eq!(is_unsafe(&text(file)), allowed.contains(file.as_str()), "{file}: is its unsafe code a decision?");
        assert!(forbidden || lists || allowed.contains(file.as_str()), "{file} has no unsafe code, and does not forbid it");
    }
}

/// The five parts: their files, and their names there.
const PARTS: [(&str, &str); 5] = [
    ("frames/pool.rs", "impl FramePool"),
    ("mapper/mod.rs", "pub trait Mapper"),
    ("swap/mod.rs", "impl Swap "),
    ("charge.rs", "impl CommitCharge"),
    ("events/mod.rs", "impl Events"),
];

#[test]
fn the_readme_lists_every_method_of_the_parts() {
    let (root, _) = engine();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    for (file, head) in PARTS {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let body = text.split_once(head).and_then(|(_, rest)| rest.split_once("\n}")).map_or("", |(body, _)| body);
        let heads =
            body.lines().filter(|line| line.starts_with("    pub ") || line.starts_with("    fn ") && head.contains("trait"));
        let methods: Vec<_> = heads.filter_map(|line| line.split_once("fn ")?.1.split(['(', '<']).next()).collect();
        assert!(!methods.is_empty(), "{file}: no methods after {head:?}");
        for method in methods {
            assert!(readme.contains(&format!("`{method}`")), "src/README.md does not list {method} of {file}");
        }
    }
}
