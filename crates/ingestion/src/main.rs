//! `gristmill-ingestion`: the stage as a process of its own.

use std::process::ExitCode;

use gristmill_ingestion::IngestionConfig;
use gristmill_stage::serve;

fn main() -> ExitCode {
    gristmill_frame::child::main_if_child();
    serve::main::<IngestionConfig>()
}
