//! `gristmill-evaluation`: the stage as a process of its own.

use std::process::ExitCode;

use gristmill_evaluation::EvaluationConfig;
use gristmill_stage::serve;

fn main() -> ExitCode {
    serve::main::<EvaluationConfig>()
}
