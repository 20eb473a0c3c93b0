//! `gristmill-preparation`: the stage as a process of its own.

use std::process::ExitCode;

use gristmill_preparation::PreparationConfig;
use gristmill_stage::serve;

fn main() -> ExitCode {
    serve::main::<PreparationConfig>()
}
