//! The traces and logs with known answers, as they lie in `test-data/oracles`.

pub mod course;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use vmcore::page::Access;

/// The text of a file.
pub fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("test-data/oracles").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of a table, each as a map from the column's name to the field.
pub fn rows(table: &str) -> Vec<HashMap<&str, &str>> {
    let mut lines = table.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').collect();
    lines.map(|line| names.iter().copied().zip(line.split(',')).collect()).collect()
}

/// The traces by name, each read once.
#[derive(Default)]
pub struct Traces(HashMap<String, Vec<(u32, Access)>>);

impl Traces {
    pub fn get(&mut self, name: &str) -> &[(u32, Access)] {
        self.0.entry(name.to_owned()).or_insert_with(|| {
            read(&format!("traces/{name}.txt"))
                .lines()
                .map(|line| match line.split_once(' ').unwrap() {
                    (page, "r") => (page.parse().unwrap(), Access::Read),
                    (page, "w") => (page.parse().unwrap(), Access::Write),
                    _ => panic!("{name}: {line}"),
                })
                .collect()
        })
    }
}

/// A field that is a number.
pub fn number(row: &HashMap<&str, &str>, column: &str) -> u64 {
    row[column].parse().unwrap()
}
