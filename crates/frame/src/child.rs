//! The child process in which untrusted SQL runs: bounded in memory and time, killed on cancel.

mod inside;
mod spawn;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::report::Report;

pub use inside::main_if_child;
pub use spawn::{Observed, Outcome, integrate};

/// Set in the environment of a child.
const MARKER: &str = "GRISTMILL_FRAME_CHILD";
/// First word of a line on the child's standard output that reports progress.
const PROGRESS: &str = "@progress ";
/// First words of the line on standard error by which a child says that it went over its memory.
const OVER_MEMORY: &str = "@over-memory";
/// File with the child's answer, beside the rows.
const ANSWER: &str = "answer.json";

/// What the child says at its end.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    result: Result<Report, Error>,
    cpu_millis: u64,
    peak_bytes: u64,
}

/// Which program to start as the child: one whose `main` first calls [`main_if_child`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Executable; the running one if none.
    pub path: Option<PathBuf>,
    /// Arguments.
    pub args: Vec<String>,
}

impl Program {
    /// The running program itself.
    pub const fn this() -> Self {
        Self { path: None, args: Vec::new() }
    }

    /// The running test binary, which must hold a test `name` that calls [`main_if_child`].
    pub fn test_harness(name: &str) -> Self {
        Self { path: None, args: vec![name.into(), "--exact".into(), "--nocapture".into(), "--test-threads=1".into()] }
    }
}
