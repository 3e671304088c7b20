//! The command line. The flags that set variables are not written here: they come from the
//! engine's option table, so that flags, variables and README cannot disagree.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{value_parser, Arg, ArgAction, Command};

use crate::settings;

/// What `compare` varies or uses for itself, so that the flag would have no meaning there.
const VARIED_BY_COMPARE: [&str; 4] = ["arena", "policy", "stats", "trace"];

/// The whole command line.
pub fn command() -> Command {
    Command::new("vmalloc")
        .version(clap::crate_version!())
        .about("Runs unmodified programs on a heap that is paged between a bounded arena and a swap file")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(run())
        .subcommand(compare())
        .subcommand(report())
        .subcommand(pager())
        .subcommand(Command::new("options").about("Print the table of variables and flags, as Markdown"))
}

fn run() -> Command {
    Command::new("run")
        .about("Run PROGRAM under libvmalloc.so; its exit status and signals are its own")
        .after_help(settings::variables_help())
        .args(settings::flags(|_| true))
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Check everything and print the command that would run, in shell syntax"),
        )
        .arg(program())
}

fn compare() -> Command {
    Command::new("compare")
        .about("Run PROGRAM natively and under every policy and arena size; one table")
        .after_help("The exit status is 1 if any run's standard output or exit status differs from the native run's.")
        .arg(list("arenas", "SIZES", "Arena sizes, separated by commas").default_value("1M,2M,4M,8M"))
        .arg(list("policies", "NAMES", "Policies, separated by commas [default: all]"))
        .args(settings::flags(|flag| !VARIED_BY_COMPARE.contains(&flag)))
        .mut_arg("swap", |arg| arg.help("Size of the swap file in every run [default: 16M + the largest arena]"))
        .arg(
            Arg::new("runs")
                .long("runs")
                .value_name("N")
                .value_parser(value_parser!(u32).range(1..=1000))
                .default_value("1")
                .help("Runs of each setting; the one with the median time is shown"),
        )
        .arg(file("stdin", "The programs' standard input [default: /dev/null]"))
        .arg(file("json", "Write all results to FILE, as JSON"))
        .arg(Arg::new("markdown").long("markdown").action(ArgAction::SetTrue).help("Print the table as Markdown"))
        .arg(program())
}

fn report() -> Command {
    Command::new("report")
        .about("Print files that VMALLOC_STATS wrote as short tables")
        .arg(Arg::new("files").value_name("FILE.json").value_parser(value_parser!(PathBuf)).num_args(1..).required(true))
}

fn pager() -> Command {
    Command::new("pager")
        .about("Be the external pager of applications that include vm_app.h, until a signal ends it")
        .after_help(
            "Messages of vm_syslog go to standard output, everything else to standard error. Applications find the \
             socket by themselves, or by VM_PAGER=PATH in their environment. See docs/EXTERNAL_PAGER.md.",
        )
        .arg(count("memory-pages", "PAGES", "Pages of physical memory, of 8192 bytes; an instruction can need two at once", 2..=1 << 20, "4").short('m'))
        .arg(count("disk-blocks", "BLOCKS", "Disk blocks: the valid pages that all applications can have", 0..=1 << 24, "256").short('d'))
        .arg(file("socket", "Listen at PATH, in a directory that nobody else may enter [default: $VM_PAGER, else $XDG_RUNTIME_DIR/vm-pager/socket, else /tmp/vm-pager-UID/socket]").value_name("PATH"))
        .arg(file("trace", "Write every call, fault and disk transfer to FILE; - is standard error"))
        .arg(file("disk-dir", "Make the disk, a file without a name, in DIR [default: $TMPDIR, else /tmp]").value_name("DIR"))
        .arg(count("patience", "SECONDS", "Cut an application off that is silent for so long while others wait for the processor; 0: never", 0..=86_400, "30"))
}

fn count(name: &'static str, value: &'static str, help: &'static str, range: RangeInclusive<i64>, default: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help).value_parser(value_parser!(u32).range(range)).default_value(default)
}

/// PROGRAM and all that follows it, flags included, with or without a `--` before it.
fn program() -> Arg {
    Arg::new("program")
        .value_names(["PROGRAM", "ARGS"])
        .value_parser(value_parser!(std::ffi::OsString))
        .help("The program and its arguments")
        .num_args(1..)
        .required(true)
        .trailing_var_arg(true)
        .allow_hyphen_values(true)
}

fn list(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).value_delimiter(',').help(help)
}

fn file(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_program_keeps_its_own_flags() {
        for line in ["vmalloc run --arena 4M -- sort -n --swap x", "vmalloc run --arena 4M sort -n --swap x"] {
            let matches = command().get_matches_from(line.split(' '));
            let (_, run) = matches.subcommand().expect("run");
            let words: Vec<_> = run.get_many::<std::ffi::OsString>("program").expect("a program").collect();
            assert_eq!(words, ["sort", "-n", "--swap", "x"], "{line}");
        }
    }

    #[test]
    fn stats_alone_means_a_table_on_stderr() {
        let matches = command().get_matches_from(["vmalloc", "run", "--stats", "--", "ls"]);
        let (_, run) = matches.subcommand().expect("run");
        let stats = run.get_one::<std::ffi::OsString>("stats");
        assert_eq!(stats.expect("a value"), "-");
    }
}
