//! Holds the modules of each crate against the order in which its root declares them: a module may use only those that
//! stand before it. What is used the compiler says ([`mir`]); what is known to look down stands in `knots.txt`, and must
//! leave that list when it no longer does. A folder whose `mod.rs` says that its files stand in their order, "each using
//! only those above it", is held to that order as well.
//!
//!     layers            checks all crates
//!     layers --circles  says which modules form circles, too
//!     layers --knots    prints the knots as they are, in the form of knots.txt

mod floors;
mod mir;

use floors::Knot;
use mir::Use;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, io};

/// A crate: its name here, its directory, its root, and what cargo calls the target.
type Member = (&'static str, &'static str, &'static str, &'static [&'static str]);

const MEMBERS: [Member; 4] = [
    ("engine", ".", "src/lib.rs", &["--lib"]),
    ("interposer", "interpose", "src/lib.rs", &["--lib"]),
    ("capi", "capi", "src/lib.rs", &["--lib"]),
    ("runner", "runner", "src/main.rs", &["--bin", "vmalloc"]),
];

/// The uses of one member that are shown for each knot.
const SHOWN: usize = 3;

fn main() -> ExitCode {
    let said: Vec<_> = env::args().skip(1).collect();
    let mut clean = true;
    for member in MEMBERS {
        match check(member, said.first().map_or("", String::as_str)) {
            Ok(kept) => clean &= kept,
            Err(error) => {
                eprintln!("{}: {error}", member.0);
                clean = false;
            }
        }
    }
    if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Checks one member; says what is wrong. True if nothing is.
fn check((name, directory, root, target): Member, asked: &str) -> io::Result<bool> {
    let directory = workspace().join(directory);
    let order = floors::declared(&fs::read_to_string(directory.join(root))?);
    let sources = sources(&directory.join("src"), "")?;
    let mut impls = mir::Impls::new();
    for (module, file) in &sources {
        mir::implementations(&fs::read_to_string(file)?, module, &mut impls);
    }
    let uses = mir::uses(&compiled(name, &directory, target)?, &order, &impls);
    let mut knots = floors::knots(&order, &uses);
    let mut folders = 0;
    for (folder, file) in sources.iter().filter(|(_, file)| file.ends_with("mod.rs")) {
        let text = fs::read_to_string(file)?;
        if floors::is_ordered(&text) {
            folders += 1;
            let full = |name: String| format!("{folder}::{name}");
            let inner = floors::knots(&floors::declared(&text), &floors::inside(folder, &uses));
            knots.extend(inner.into_iter().map(|((above, below), uses)| ((full(above), full(below)), uses)));
        }
    }
    if asked == "--knots" {
        knots.keys().for_each(|(above, below)| println!("{name}: {above} -> {below}"));
        return Ok(true);
    }
    let clean = compare(name, &knots)? && !uses.is_empty();
    if asked == "--circles" {
        floors::circles(&order, &uses)
            .iter()
            .for_each(|circle| println!("{name}: a circle of {}: {}", circle.len(), circle.join(" ")));
    }
    println!(
        "{name}: {} modules, {folders} folders with an order of their own, {} uses, {} knots",
        order.len(),
        uses.len(),
        knots.len()
    );
    Ok(clean)
}

/// Says which knots are new, and which known ones are no more. True if there are none of either kind.
fn compare(name: &str, knots: &BTreeMap<Knot, Vec<Use>>) -> io::Result<bool> {
    let known = known(name)?;
    let fresh: Vec<_> = knots.iter().filter(|(knot, _)| !known.contains(knot)).collect();
    for ((above, below), uses) in &fresh {
        println!("{name}: {above} uses {below}, which stands below it:");
        uses.iter().take(SHOWN).for_each(|used| println!("    {} uses {}", used.by, used.of));
    }
    let untied: Vec<_> = known.iter().filter(|knot| !knots.contains_key(knot)).collect();
    for (above, below) in &untied {
        println!("{name}: {above} no longer uses {below}: the knot leaves knots.txt");
    }
    Ok(fresh.is_empty() && untied.is_empty())
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The knots of a member that are known.
fn known(name: &str) -> io::Result<BTreeSet<Knot>> {
    let text = fs::read_to_string(workspace().join("checks/knots.txt"))?;
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.split_once(" -> "));
    Ok(lines.map(|(above, below)| (above.to_owned(), below.to_owned())).collect())
}

/// The files below a directory, each with the path of its module; `above` is that of the directory.
fn sources(directory: &Path, above: &str) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let module = match stem.as_str() {
            "mod" => above.to_owned(),
            stem if above.is_empty() => stem.to_owned(),
            stem => format!("{above}::{stem}"),
        };
        if path.is_dir() {
            found.extend(sources(&path, &module)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((module, path.clone()));
        }
    }
    Ok(found)
}

/// The MIR of a member, without optimizations and with paths in full. The form that the compiler may print is not stable:
/// should it change, `mir.rs` finds no uses, and the check fails.
fn compiled(name: &str, directory: &Path, target: &[&str]) -> io::Result<String> {
    let built = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    let text = std::path::absolute(built)?.join(format!("{name}.mir"));
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["rustc", "--quiet", "--manifest-path"])
        .arg(directory.join("Cargo.toml"))
        .args(target)
        .args(["--", "-Copt-level=0", "-Ztrim-diagnostic-paths=no"])
        .arg(format!("--emit=mir={}", text.display()))
        .env("RUSTC_WORKSPACE_WRAPPER", workspace().join("checks/rustc.sh"))
        .status()?;
    if !status.success() {
        return Err(io::Error::other("cannot be compiled"));
    }
    fs::read_to_string(text)
}
