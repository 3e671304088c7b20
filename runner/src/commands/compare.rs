//! `vmalloc compare`: one program, natively and under every policy and arena size.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use clap::ArgMatches;
use indicatif::{ProgressBar, ProgressStyle};
use vmcore::policy::POLICIES;
use vmcore::units::HumanSize;

use crate::executor::{ending, Executor, Run};
use crate::export::{self, json, markdown, text};
use crate::library::Library;
use crate::program::Program;
use crate::results::{Comparison, Native, Row};
use crate::settings::{Settings, Sizes};

/// Swap beyond the largest arena, unless `--swap` is given: a program that fits the default arena
/// and swap then fits every arena of the list.
const SPARE_SWAP: u64 = 16 << 20;

/// One line of the table to be.
struct Setting {
    policy: String,
    settings: Settings,
    sizes: Sizes,
}

pub fn main(args: &ArgMatches) -> Result<ExitCode> {
    // Every setting is checked before the first run: a comparison can take long.
    let plan = plan(args)?;
    let program = Program::from_matches(args)?;
    let library = Library::find()?;
    program.check(library.target())?;
    let stdin = args.get_one::<PathBuf>("stdin").cloned();
    let executor = Executor { program: &program, library: &library, stdin: stdin.unwrap_or("/dev/null".into()) };
    let runs = args.get_one::<u32>("runs").copied().unwrap_or(1);
    let comparison = compare(&executor, &plan, runs)?;
    show(&comparison, args)?;
    if comparison.is_same() {
        return Ok(ExitCode::SUCCESS);
    }
    warn_if_never_the_same(&executor)?;
    Ok(ExitCode::FAILURE)
}

/// All combinations of policies and arena sizes.
fn plan(args: &ArgMatches) -> Result<Vec<Setting>> {
    let names = |list: &str| args.get_many::<String>(list).map(|names| names.cloned().collect());
    let all = || POLICIES.iter().map(|policy| policy.name().into()).collect();
    let policies: Vec<String> = names("policies").unwrap_or_else(all);
    let arenas: Vec<String> = names("arenas").unwrap_or_default();
    let mut base = Settings::from_matches(args);
    if !base.gives("VMALLOC_SWAP") {
        let mut largest = 0;
        for arena in &arenas {
            largest = largest.max(base.with("VMALLOC_ARENA", arena).check()?.arena);
        }
        base.set("VMALLOC_SWAP", (SPARE_SWAP + largest).to_string());
    }
    let mut plan = Vec::new();
    for policy in &policies {
        for arena in &arenas {
            let settings = base.with("VMALLOC_POLICY", policy).with("VMALLOC_ARENA", arena);
            plan.push(Setting { policy: policy.clone(), sizes: settings.check()?, settings });
        }
    }
    if plan.is_empty() {
        bail!("nothing to compare: --policies and --arenas need at least one value each");
    }
    Ok(plan)
}

fn compare(executor: &Executor, plan: &[Setting], runs: u32) -> Result<Comparison> {
    let progress = progress(plan.len() as u64 * u64::from(runs) + u64::from(runs));
    progress.set_message("native");
    let reference = middle(repeat(runs, &progress, || executor.native())?)?;
    let mut rows = Vec::new();
    for setting in plan {
        progress.set_message(format!("{} {}", setting.policy, HumanSize(setting.sizes.arena)));
        let runs = repeat(runs, &progress, || executor.paged(&setting.settings))?;
        rows.push(row(setting, runs, &reference)?);
    }
    progress.finish_and_clear();
    let words = executor.program.words();
    Ok(Comparison {
        command: words.map(|word| word.to_string_lossy().into()).collect(),
        runs,
        native: Native { seconds: reference.seconds, ending: ending(reference.status) },
        settings: rows,
    })
}

/// The figures are those of the middle run; the verdict is about all of them.
fn row(setting: &Setting, runs: Vec<Run>, reference: &Run) -> Result<Row> {
    let (mut difference, mut last_words) = (None, None);
    for run in &runs {
        difference = run.difference(reference)?;
        if difference.is_some() {
            last_words = run.last_words()?;
            break;
        }
    }
    let run = middle(runs)?;
    Ok(Row {
        policy: setting.policy.clone(),
        arena: setting.sizes.arena,
        swap: setting.sizes.swap,
        seconds: run.seconds,
        relative: run.seconds / reference.seconds,
        statistics: run.statistics,
        difference,
        last_words,
    })
}

fn repeat(runs: u32, progress: &ProgressBar, run: impl Fn() -> Result<Run>) -> Result<Vec<Run>> {
    (0..runs).map(|_| run().inspect(|_| progress.inc(1))).collect()
}

/// The run with the median time.
fn middle(mut runs: Vec<Run>) -> Result<Run> {
    runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let half = runs.len() / 2;
    runs.into_iter().nth(half).context("there was no run")
}

/// Shown on stderr, and only if that is a terminal.
fn progress(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed}");
    let bar = ProgressBar::new(length);
    bar.enable_steady_tick(Duration::from_secs(1));
    bar.with_style(style.unwrap_or(ProgressStyle::default_bar()))
}

fn show(comparison: &Comparison, args: &ArgMatches) -> Result<()> {
    if let Some(path) = args.get_one::<PathBuf>("json") {
        std::fs::write(path, json::render(comparison)?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let table = if args.get_flag("markdown") { markdown::render(comparison) } else { text::render(comparison) };
    export::print(&table)?;
    for note in comparison.notes() {
        eprintln!("vmalloc: {note}");
    }
    Ok(())
}

/// A difference means little for a program that prints the time, or addresses.
fn warn_if_never_the_same(executor: &Executor) -> Result<()> {
    let (once, again) = (executor.native()?, executor.native()?);
    if let Some(difference) = again.difference(&once)? {
        eprintln!("vmalloc: natively the program is not the same from run to run either: {difference}");
    }
    Ok(())
}
