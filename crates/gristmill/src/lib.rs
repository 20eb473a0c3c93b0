#![doc = include_str!("../README.md")]

mod cli;
mod commands;
mod failure;
mod names;
mod node;
mod output;
mod progress;
mod report;
mod session;
mod transfer;
mod ways;

use std::process::ExitCode;

use clap::Parser;
use gristmill_runtime::Process;
use gristmill_runtime::telemetry::{self, ENDPOINT_VARIABLE, TelemetryConfig};
use gristmill_stage::memory;

use crate::cli::{Cli, Command};
use crate::failure::{Exit, Failure};

/// What `main` is: a child of the data reader, or a command.
pub fn main() -> ExitCode {
    gristmill_frame::child::main_if_child();
    memory::keep_while_busy();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _closed = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_keep_alive(memory::THREADS_WAIT).build();
    let exit = match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(command(cli));
            // A blocking read of a terminal or a dead disk must not keep the process.
            runtime.shutdown_background();
            exit
        }
        Err(error) => Err(Failure::failed(format!("threads cannot be started: {error}"))),
    };
    match exit {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit.into()
        }
    }
}

async fn command(cli: Cli) -> Result<Exit, Failure> {
    let process = Process::new();
    let Cli { global, command } = cli;
    let up = match command {
        Command::Up(up) => return commands::up::run(&global, up, process).await,
        Command::Completions { shell } => return commands::completions(shell),
        Command::Schema => return commands::schema(),
        other => other,
    };
    let log =
        TelemetryConfig { log: global.log.clone().unwrap_or_else(|| "error".into()), ..TelemetryConfig::default() };
    let endpoint = std::env::var(ENDPOINT_VARIABLE).ok();
    let _telemetry = telemetry::init("gristmill", &log, endpoint.as_deref()).map_err(Failure::usage)?;
    process.shutdown.listen()?;
    match up {
        Command::Run(run) => commands::run::run(&global, run, process).await,
        Command::Runs(runs) => commands::runs::run(&global, runs, process).await,
        Command::Data(data) => commands::data::run(&global, data, process).await,
        Command::Models(models) => commands::models::run(&global, models, process).await,
        Command::Predict(predict) => commands::predict::run(&global, predict, process).await,
        Command::Monitor(monitor) => commands::monitor::run(&global, monitor, process).await,
        Command::Migrate(migrate) => commands::migrate::run(&global, migrate, process).await,
        Command::Gc(gc) => commands::gc::run(&global, gc, process).await,
        Command::Up(_) | Command::Completions { .. } | Command::Schema => Ok(Exit::Done),
    }
}
