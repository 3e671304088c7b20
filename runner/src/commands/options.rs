//! `vmalloc options`: the option table as Markdown, for the README.

use std::process::ExitCode;

use anyhow::Result;
use vmcore::config::{OptionSpec, OPTIONS};

use crate::export::{self, markdown};

pub fn main() -> Result<ExitCode> {
    let header = ["variable", "flag of `vmalloc run`", "default", "meaning"];
    export::print(&markdown::table(&header, OPTIONS.iter().map(row)))?;
    Ok(ExitCode::SUCCESS)
}

fn row(option: &OptionSpec) -> [String; 4] {
    // A default that is a phrase, not a value to type, stays plain.
    let default = match option.default {
        phrase if phrase.contains(' ') || phrase == "off" => phrase.to_string(),
        value => format!("`{value}`"),
    };
    [format!("`{}`", option.variable), format!("`--{} {}`", option.flag, option.value), default, option.help.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_has_a_row() {
        let header = ["variable", "flag", "default", "meaning"];
        let text = markdown::table(&header, OPTIONS.iter().map(row));
        assert_eq!(text.lines().count(), OPTIONS.len() + 2);
        for (line, option) in text.lines().skip(2).zip(&OPTIONS) {
            assert!(line.contains(option.variable), "{line}");
            assert_eq!(line.matches('|').count(), 5, "{line}");
        }
    }
}
