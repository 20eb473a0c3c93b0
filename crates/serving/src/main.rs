//! `gristmill-serving`: the stage as a process of its own.

use std::process::ExitCode;

use gristmill_serving::ServingConfig;
use gristmill_stage::serve;

fn main() -> ExitCode {
    serve::main::<ServingConfig>()
}
