//! Errors that have an exit status of their own; any other error ends the command with 125.

use std::process::ExitCode;

/// Trouble of our own, as in `env`, `nohup` and `timeout`.
const EXIT_OWN_FAILURE: u8 = 125;
/// The program exists, but cannot be run under the library.
const EXIT_UNREACHABLE: u8 = 126;
/// There is no such program.
const EXIT_NOT_FOUND: u8 = 127;

/// Why a program is not started. Each is one line, said before anything runs.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// A variable or flag has a value that cannot work; the engine's own words.
    #[error("{0}")]
    BadSetting(String),
    /// `LD_PRELOAD` cannot reach the program, or the system cannot run it.
    #[error("{program} {reason}")]
    Unreachable { program: String, reason: String },
    /// No such program.
    #[error("{program} {reason}")]
    NotFound { program: String, reason: String },
}

impl Failure {
    fn status(&self) -> u8 {
        match self {
            Failure::BadSetting(_) => vmcore::config::EXIT_BAD_CONFIG as u8,
            Failure::Unreachable { .. } => EXIT_UNREACHABLE,
            Failure::NotFound { .. } => EXIT_NOT_FOUND,
        }
    }
}

/// The exit status that belongs to an error, whatever context was put around it.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let status = error.downcast_ref::<Failure>().map_or(EXIT_OWN_FAILURE, Failure::status);
    ExitCode::from(status)
}
