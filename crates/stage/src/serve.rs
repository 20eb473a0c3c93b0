//! A stage as a process of its own: settings, opening, serving, ending.

mod command;
mod config;
mod keys;
mod migrate;
mod open;
mod peers;
mod ready;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use gristmill_jobs::Workers;
use gristmill_rpc::channel::LocalRoutes;
use gristmill_runtime::Process;
use gristmill_runtime::telemetry::{self, Telemetry};

pub use command::{Flags, Verb, parse};
pub use config::{Config, StoreSettings, TelemetrySettings, TlsSettings};
pub use keys::Keys;
pub use migrate::{Moved, moved};
pub use open::Parts;
pub use peers::{EVALUATION, INGESTION, MONITORING, PIPELINE, PREPARATION, Peer, Peers, REGISTRY, SERVING, TRAINING};

use crate::memory;
use crate::{Failure, Host, Mounted, RootServer, StageDeps, StageRoots, Surroundings};
use ready::Readiness;

/// A stage that can be a process of its own: its settings, and how it is wired.
pub trait Program: Keys {
    /// Wires the stage. `peers` are the channels to the stages that [`Keys::PEERS`] names.
    fn open(&self, deps: &StageDeps, peers: &Peers) -> impl Future<Output = Result<Mounted, Failure>> + Send;
}

/// The whole `main` of a stage's program.
pub fn main<P: Program>() -> ExitCode {
    main_of::<P, Verb, _>(run::<P>)
}

/// The `main` of a program with verbs of its own: `run` does one.
pub fn main_of<K: Keys, V: Subcommand, F>(run: impl FnOnce(V) -> F) -> ExitCode
where
    F: Future<Output = Result<(), Failure>>,
{
    memory::keep_while_busy();
    let verb = match parse::<V>(K::BINARY, K::ABOUT) {
        Ok(verb) => verb,
        Err(exit) => return exit.into(),
    };
    match command::block_on(run(verb)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit.into()
        }
    }
}

/// Does what the command line says.
///
/// # Errors
/// The settings are wrong, or something they name cannot be used.
pub async fn run<P: Program>(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Serve(flags) => serve::<P>(&flags).await,
        Verb::Migrate(flags) => migrate::run::<P>(&flags).await,
    }
}

/// Serves the stage until told to end.
async fn serve<P: Program>(flags: &Flags) -> Result<(), Failure> {
    let Some(config) = flags.config::<P>()? else { return Ok(()) };
    let process = Process::new();
    let _telemetry = begin(&config, &process)?;
    let dir = crate::data_dir(&config.data_dir)?;
    let peers = Peers::connect(&config)?;
    let parts = Parts::open(&config, &process).await?;
    let database = crate::open_database(&dir, config.database.as_ref()).await?;
    let deps = StageDeps { store: parts.store, database, slots: parts.slots.clone(), process: process.clone() };
    // Before the stage can name its first artifact.
    let roots = StageRoots::register(&deps, P::SECTION).await?;
    let mut mounted = config.own.open(&deps, &peers).await?;
    let roots = roots.with(std::mem::take(&mut mounted.roots));
    mounted.add(RootServer::new([roots], std::sync::Arc::clone(&process.clock)).into_services(), None);
    let announce = |at: Option<&str>| dir.announce(at).map_err(Failure::failed);
    around(&config, mounted, parts.slots, &process, peers, announce).await?;
    dir.announce(None).map_err(Failure::failed)
}

/// Works for a stage elsewhere until told to end: no database, no service but health and metrics.
///
/// # Errors
/// As [`run`].
pub async fn work<K: Keys>(
    flags: &Flags,
    open: impl FnOnce(&Config<K>, &Parts, &Peers) -> Result<Workers, Failure>,
) -> Result<(), Failure> {
    let Some(config) = flags.config::<K>()? else { return Ok(()) };
    let process = Process::new();
    let _telemetry = begin(&config, &process)?;
    open::no_database(&config)?;
    let peers = Peers::connect(&config)?;
    let parts = Parts::open(&config, &process).await?;
    let mounted = Mounted { workers: vec![open(&config, &parts, &peers)?], ..Mounted::default() };
    around(&config, mounted, parts.slots, &process, peers, |_| Ok(())).await
}

fn begin<K: Keys>(config: &Config<K>, process: &Process) -> Result<Telemetry, Failure> {
    let (lines, collector) = config.telemetry.read();
    let telemetry = telemetry::init(K::BINARY, &lines, collector.as_deref()).map_err(Failure::usage)?;
    process.shutdown.listen()?;
    Ok(telemetry)
}

/// Builds the server around `mounted`, binds, lets the workers claim and serves to the end.
async fn around<K: Keys>(
    config: &Config<K>,
    mut mounted: Mounted,
    slots: gristmill_runtime::slots::Slots,
    process: &Process,
    peers: Peers,
    bound: impl FnOnce(Option<&str>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let readiness = Readiness::new(&peers);
    mounted.add(readiness.routes(), None);
    let auth = config.auth.open(process).await.map_err(Failure::usage)?;
    let server = &open::server(config);
    let around = Surroundings { auth, server, process, slots, engine: K::in_engine_threads };
    let mut host = Host::build(mounted, &LocalRoutes::new(), around).await?;
    let ports = host.listen(&config.grpc, &config.http).await?;
    let (grpc, http) = (ports.grpc_address()?, ports.http_address()?);
    let endpoint = grpc.as_ref().map(|at| format!("{}://{at}", host.server().scheme()));
    bound(endpoint.as_deref())?;
    host.start();
    tracing::info!(program = K::BINARY, grpc, http, version = env!("CARGO_PKG_VERSION"), "serving");
    let grace = Duration::from_secs(config.drain_seconds);
    let watched = process.shutdown.child().run_until_cancelled_owned(readiness.watch(host.server(), &peers));
    tokio::join!(host.serve(ports, grace), watched);
    host.stop(grace).await;
    tracing::info!(program = K::BINARY, "ended");
    Ok(())
}
