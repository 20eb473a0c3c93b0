//! `gristmill-monitoring`: the stage as a process of its own.

use std::process::ExitCode;

use gristmill_monitoring::MonitoringConfig;
use gristmill_stage::serve;

fn main() -> ExitCode {
    serve::main::<MonitoringConfig>()
}
