//! The settings of one run: the inherited environment, the flags given on top of it, and the
//! engine's own check of both, so that a bad value is refused here in the same words as there.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use anyhow::{Context, Result};
use clap::{value_parser, Arg, ArgMatches};
use nix::unistd::{sysconf, SysconfVar};
use vmcore::config::{self, Kind, OptionSpec, System, OPTIONS};
use vmcore::policy::POLICIES;

use crate::failure::Failure;

/// Variables to set for the program, in the order of the option table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    entries: Vec<(&'static str, OsString)>,
}

/// What the engine makes of the settings, as far as the runner needs it.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub arena: u64,
    pub swap: u64,
}

/// One flag for each row of the option table that `keep` lets through.
pub fn flags(keep: impl Fn(&str) -> bool) -> Vec<Arg> {
    OPTIONS.iter().filter(|option| keep(option.flag)).map(flag).collect()
}

fn flag(option: &OptionSpec) -> Arg {
    let arg = Arg::new(option.flag)
        .long(option.flag)
        .value_name(option.value)
        .value_parser(value_parser!(OsString))
        .allow_hyphen_values(true)
        .help(help(option));
    if option.flag == "stats" {
        // `--stats` alone asks for the short table on stderr.
        arg.num_args(0..=1).default_missing_value("-").allow_hyphen_values(false)
    } else {
        arg
    }
}

/// The help of the option table as a sentence, with what it can only say here.
fn help(option: &OptionSpec) -> String {
    let mut letters = option.help.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let sentence: String = first.into_iter().chain(letters).collect();
    let names: Vec<_> = POLICIES.iter().map(|policy| policy.name()).collect();
    let choice = match option.kind {
        Kind::Policy => format!(": {}", names.join(", ")),
        _ => String::new(),
    };
    format!("{sentence}{choice} [default: {}]", option.default)
}

/// For `--help`: each flag sets the variable of the same name.
pub fn variables_help() -> String {
    let names: Vec<_> = OPTIONS.iter().map(|option| option.variable).collect();
    format!("Each flag sets a variable, which works without this command too: {}.", names.join(", "))
}

impl Settings {
    /// The flags that were given on the command line.
    pub fn from_matches(matches: &ArgMatches) -> Settings {
        let mut settings = Settings::default();
        for option in &OPTIONS {
            // `compare` has not every flag; asking for a missing one is no error here.
            if let Ok(Some(value)) = matches.try_get_one::<OsString>(option.flag) {
                settings.set(option.variable, value);
            }
        }
        settings
    }

    /// Sets a variable, in place of an earlier value.
    pub fn set(&mut self, variable: &'static str, value: impl AsRef<OsStr>) {
        self.entries.retain(|(name, _)| *name != variable);
        self.entries.push((variable, value.as_ref().to_os_string()));
    }

    /// A copy with one more variable set.
    pub fn with(&self, variable: &'static str, value: impl AsRef<OsStr>) -> Settings {
        let mut settings = self.clone();
        settings.set(variable, value);
        settings
    }

    /// Whether a flag or the inherited environment gives this variable.
    pub fn gives(&self, variable: &str) -> bool {
        self.entries.iter().any(|(name, _)| *name == variable) || std::env::var_os(variable).is_some()
    }

    /// The variables that are set on top of the environment.
    pub fn entries(&self) -> &[(&'static str, OsString)] {
        &self.entries
    }

    /// Puts the variables into a command's environment.
    pub fn apply(&self, command: &mut Command) {
        command.envs(self.entries.iter().map(|(name, value)| (name, value)));
    }

    /// Asks the engine whether a program could start with these settings.
    pub fn check(&self) -> Result<Sizes> {
        self.check_over(std::env::vars_os())
    }

    fn check_over(&self, inherited: impl Iterator<Item = (OsString, OsString)>) -> Result<Sizes> {
        let inherited = inherited.filter(|(name, _)| !self.entries.iter().any(|(n, _)| n == name));
        let given = self.entries.iter().map(|(name, value)| (OsString::from(name), value.clone()));
        let lines: Vec<Vec<u8>> =
            inherited.chain(given).map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect();
        config::from_environment(lines.iter().map(Vec::as_slice), &system()?)
            .map(|config| Sizes { arena: config.arena, swap: config.swap })
            .map_err(|error| Failure::BadSetting(error.to_string()).into())
    }
}

/// What the engine wants to know about this machine.
fn system() -> Result<System> {
    let value = |variable| -> Result<u64> {
        let value = sysconf(variable)?.context("sysconf knows no such value")?;
        Ok(u64::try_from(value)?)
    };
    let page = value(SysconfVar::PAGE_SIZE)?;
    Ok(System { page, ram: page.saturating_mul(value(SysconfVar::_PHYS_PAGES)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inherited(name: &str, value: &str) -> impl Iterator<Item = (OsString, OsString)> {
        [(OsString::from(name), OsString::from(value))].into_iter()
    }

    #[test]
    fn every_option_is_a_flag() {
        let names: Vec<_> = flags(|_| true).iter().map(|arg| arg.get_id().to_string()).collect();
        let table: Vec<_> = OPTIONS.iter().map(|option| option.flag).collect();
        assert_eq!(names, table);
    }

    #[test]
    fn flags_set_their_variables() {
        let matches =
            clap::Command::new("run").args(flags(|_| true)).get_matches_from(["run", "--swap", "1M", "--policy", "fifo"]);
        let settings = Settings::from_matches(&matches);
        let expected: [(&str, OsString); 2] = [("VMALLOC_SWAP", "1M".into()), ("VMALLOC_POLICY", "fifo".into())];
        assert_eq!(settings.entries(), expected);
    }

    #[test]
    fn a_flag_beats_the_environment() {
        let mut settings = Settings::default();
        let bad = || inherited("VMALLOC_ARENA", "8Q");
        assert!(settings.check_over(bad()).is_err());
        settings.set("VMALLOC_ARENA", "4M");
        let sizes = settings.check_over(bad()).expect("a good flag");
        assert_eq!(sizes.arena, 4 << 20);
    }

    #[test]
    fn a_bad_value_is_named() {
        let error = Settings::default().check_over(inherited("VMALLOC_POLICY", "lifo")).expect_err("an unknown policy");
        let text = error.to_string();
        assert!(text.contains("VMALLOC_POLICY") && text.contains("lifo"), "{text}");
    }
}
