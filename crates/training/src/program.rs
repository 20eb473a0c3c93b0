//! The stage's program: what every stage's does, and `work`.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use gristmill_stage::Failure;
use gristmill_stage::serve::{self, Flags, TRAINING};

use crate::config::{TrainingConfig, WorkConfig};
use crate::stage::trial_workers;

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    Stage(serve::Verb),
    /// Do trials for the stage at an endpoint: a store and a token, no database
    Work(WorkArgs),
}

#[derive(Debug, Args)]
struct WorkArgs {
    /// Where the training stage serves gRPC, such as http://training:7700
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

/// The whole `main` of `gristmill-training`.
pub fn main() -> ExitCode {
    serve::main_of::<TrainingConfig, Verb, _>(|verb| async {
        match verb {
            Verb::Stage(verb) => serve::run::<TrainingConfig>(verb).await,
            Verb::Work(told) => work(told).await,
        }
    })
}

async fn work(told: WorkArgs) -> Result<(), Failure> {
    let mut flags = told.flags;
    flags.set.extend(told.endpoint.map(|endpoint| (format!("peers.{}", TRAINING.stage), endpoint)));
    serve::work::<WorkConfig>(&flags, |config, parts, peers| {
        let name = format!("training-{}", std::process::id());
        let settings = config.own.settings(&parts.slots);
        let clock = Arc::clone(&parts.process.clock);
        let channel = peers.channel(TRAINING)?;
        Ok(trial_workers(&name, parts.store.clone(), parts.slots.clone(), clock, channel, settings))
    })
    .await
}
