//! What each command does.

pub mod compare;
pub mod data;
pub mod diff;
pub mod gc;
pub mod jobs;
pub mod migrate;
pub mod models;
pub mod monitor;
pub mod predict;
pub mod results;
pub mod run;
pub mod runs;
pub mod sources;
pub mod up;
pub mod verify;

use clap::CommandFactory;

use crate::cli::Cli;
use crate::failure::{Exit, Failure};
use crate::output;

/// Prints a shell's completion script.
pub fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "gristmill", &mut script);
    output::text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Prints the JSON Schema of the pipeline file.
pub fn schema() -> Result<Exit, Failure> {
    output::text(&(gristmill_pipeline::file::Pipeline::json_schema() + "\n"))?;
    Ok(Exit::Done)
}
