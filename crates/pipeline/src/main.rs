//! `gristmill-pipeline`: the stage as a process of its own.

use std::process::ExitCode;

use gristmill_pipeline::Config;
use gristmill_stage::serve;

fn main() -> ExitCode {
    serve::main::<Config>()
}
