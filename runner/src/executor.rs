//! Runs a program once and keeps what can be compared: its standard output, how it ended, how
//! long it took, and the statistics it left.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::library::Library;
use crate::program::Program;
use crate::settings::Settings;
use crate::statistics::Totals;

/// How much of the end of standard error is looked at for its last line.
const TAIL: u64 = 4096;

/// Starts one program again and again, under equal conditions.
pub struct Executor<'a> {
    pub program: &'a Program,
    pub library: &'a Library,
    /// Standard input of every run; `/dev/null` if not given.
    pub stdin: PathBuf,
}

/// What one run left.
pub struct Run {
    pub seconds: f64,
    pub status: ExitStatus,
    pub statistics: Option<Totals>,
    stdout: File,
    stderr: File,
}

impl Executor<'_> {
    /// Runs the program as it is: the reference.
    pub fn native(&self) -> Result<Run> {
        self.run(self.program.command())
    }

    /// Runs the program under the library.
    pub fn paged(&self, settings: &Settings) -> Result<Run> {
        let directory = tempfile::tempdir()?;
        let mut settings = settings.clone();
        // A file for each process: the program may start others.
        settings.set("VMALLOC_STATS", directory.path().join("%p.json"));
        let mut command = self.program.command();
        settings.apply(&mut command);
        self.library.apply(&mut command)?;
        let mut run = self.run(command)?;
        run.statistics = Totals::of_directory(directory.path());
        Ok(run)
    }

    fn run(&self, mut command: Command) -> Result<Run> {
        let stdin = File::open(&self.stdin).with_context(|| format!("cannot read {}", self.stdin.display()))?;
        let (stdout, stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        command.stdin(stdin).stdout(Stdio::from(stdout.try_clone()?)).stderr(Stdio::from(stderr.try_clone()?));
        let start = Instant::now();
        let status = command.status().map_err(|error| self.program.cannot_start(error))?;
        Ok(Run { seconds: start.elapsed().as_secs_f64(), status, statistics: None, stdout, stderr })
    }
}

impl Run {
    /// In what way this run differs from the reference, if it does.
    pub fn difference(&self, reference: &Run) -> Result<Option<String>> {
        if self.status != reference.status {
            let (is, was) = (ending(self.status), ending(reference.status));
            return Ok(Some(format!("{is} instead of {was}")));
        }
        let at = first_difference(&self.stdout, &reference.stdout)?;
        Ok(at.map(|at| format!("standard output differs from byte {at} on")))
    }

    /// The last line of standard error, where a dying program says why.
    pub fn last_words(&self) -> Result<Option<String>> {
        let mut file = &self.stderr;
        let length = file.metadata()?.len();
        file.seek(std::io::SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.take(TAIL).read_to_end(&mut tail)?;
        let tail = String::from_utf8_lossy(&tail);
        let line = tail.lines().rfind(|line| !line.trim().is_empty());
        Ok(line.map(|line| line.trim().to_string()))
    }
}

/// How a program ended, in words.
pub fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("death by {signal}"),
            Err(_) => format!("death by signal {number}"),
        },
        (None, None) => "an unknown end".into(),
    }
}

/// The first offset at which two files differ; the shorter of two differs at its end.
fn first_difference(a: &File, b: &File) -> Result<Option<u64>> {
    let (mut a, mut b) = (BufReader::new(a), BufReader::new(b));
    a.rewind()?;
    b.rewind()?;
    let mut at = 0;
    let (mut a, mut b) = (a.bytes(), b.bytes());
    loop {
        match (a.next().transpose()?, b.next().transpose()?) {
            (None, None) => return Ok(None),
            (left, right) if left != right => return Ok(Some(at)),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(content: &str) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content.as_bytes()).expect("a write");
        file
    }

    fn run(status: i32, stdout: &str, stderr: &str) -> Run {
        Run { seconds: 1.0, status: ExitStatus::from_raw(status), statistics: None, stdout: file(stdout), stderr: file(stderr) }
    }

    fn difference(a: &Run, b: &Run) -> Option<String> {
        a.difference(b).expect("readable files")
    }

    #[test]
    fn equal_runs_do_not_differ() {
        let (a, b) = (run(0, "hello\n", "warning"), run(0, "hello\n", ""));
        assert_eq!(difference(&a, &b), None);
        assert_eq!(difference(&a, &b), None, "comparing changes nothing");
    }

    #[test]
    fn output_differs_at_its_first_byte() {
        let reference = run(0, "hello", "");
        for (stdout, at) in [("help!", 3), ("hell", 4), ("hello!", 5), ("", 0)] {
            let words = difference(&run(0, stdout, ""), &reference).expect("a difference");
            assert!(words.contains(&format!("byte {at} ")), "{words}");
        }
    }

    #[test]
    fn endings_are_named() {
        let words = difference(&run(11, "", ""), &run(1 << 8, "", ""));
        assert_eq!(words.as_deref(), Some("death by SIGSEGV instead of exit status 1"));
    }

    #[test]
    fn last_words_are_one_line() {
        let words = |stderr: &str| run(0, "", stderr).last_words().expect("a readable file");
        assert_eq!(words(""), None);
        assert_eq!(words("a\nvmalloc: b\n\n").as_deref(), Some("vmalloc: b"));
        assert_eq!(words(&"x\n".repeat(5000)).as_deref(), Some("x"));
    }
}
