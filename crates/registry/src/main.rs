//! `gristmill-registry`: the stage as a process of its own.

use std::process::ExitCode;

use gristmill_registry::RegistryConfig;
use gristmill_stage::serve;

fn main() -> ExitCode {
    serve::main::<RegistryConfig>()
}
