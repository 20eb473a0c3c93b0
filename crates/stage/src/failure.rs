//! How a program ends: what is printed and which exit code the shell sees.

use std::fmt;
use std::process::ExitCode;

use gristmill_rpc::{Problem, ServerError, Status};
use gristmill_runtime::config::ConfigError;
use gristmill_types::ErrorCode;

/// The exit codes of every program, documented and stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command or a file was wrong: nothing was tried.
    Usage = 2,
    /// A gate, a schema or a monitor said no; everything worked.
    Refused = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A program that did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the shell sees.
    pub exit: Exit,
    /// What was wrong and what to do.
    pub message: String,
}

impl Failure {
    /// The command or a file was wrong.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string() }
    }

    /// It failed.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Failed, message: message.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = if problem.code == ErrorCode::InvalidArgument { Exit::Usage } else { Exit::Failed };
        Self { exit, message: problem.to_string() }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::from(Problem::from(&status))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error)
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let message = gristmill_rpc::error::chain(&error);
        match error {
            ServerError::Tls(_) => Self::usage(message),
            _ => Self::failed(message),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error)
    }
}
