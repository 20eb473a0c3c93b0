//! `gristmill-training`: the stage as a process of its own, or a worker for it.

use std::process::ExitCode;

fn main() -> ExitCode {
    gristmill_training::main()
}
