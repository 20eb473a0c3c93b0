//! All stages in this process: the only place that knows them all.

mod roots;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use gristmill_jobs::{Running, Workers};
use gristmill_pipeline::Channels;
use gristmill_registry::RegistryConfig;
use gristmill_rpc::channel::LocalRoutes;
use gristmill_rpc::{Auth, Channel, Server, ServerConfig, Services};
use gristmill_runtime::database::DataDir;
use gristmill_runtime::slots::Slots;
use gristmill_runtime::{Process, Shutdown};
use gristmill_serving::{Serving, ServingConfig};
use gristmill_stage::{Assembled, StageDeps};
use gristmill_store::{Location, RootProvider, Store, StoreConfig};
use gristmill_training::Settings as Trials;

use crate::failure::Failure;
use roots::LedgerRoots;

/// The database of all stages in the data directory.
pub const DATABASE: &str = "gristmill";
/// How long jobs under way may go on after a drain began; then they are given back.
const GRACE: Duration = Duration::from_millis(500);

/// What may be said about a node.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Trials at a time; one per CPU if not said.
    pub workers: Option<usize>,
    /// How callers over the network are told.
    pub auth: Auth,
    /// Bounds of the server.
    pub server: ServerConfig,
    /// Whether models are loaded for online predictions.
    pub serving: bool,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self { workers: None, auth: Auth::LoopbackOnly, server: ServerConfig::default(), serving: false }
    }
}

/// Every stage, started.
pub struct Node {
    server: Arc<Server>,
    routes: LocalRoutes,
    running: Vec<Running>,
    serving: Serving,
    shutdown: Shutdown,
    /// Ends with the node.
    _at_rest: tokio::task::JoinSet<()>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("server", &self.server).finish_non_exhaustive()
    }
}

/// The stages before the server around them exists.
struct Stages {
    services: Services,
    workers: Vec<Workers>,
    roots: Vec<Arc<dyn RootProvider>>,
    serving: Serving,
}

impl Stages {
    fn add(&mut self, stage: Assembled) {
        self.services = std::mem::take(&mut self.services).merge(stage.services);
        self.workers.push(stage.workers);
        self.roots.push(Arc::new(LedgerRoots::new(stage.ledger)));
    }
}

impl Node {
    /// Opens database and store in `dir`, wires every stage, and starts the workers.
    ///
    /// # Errors
    /// The database or the store cannot be opened.
    pub async fn start(dir: Arc<DataDir>, options: NodeOptions, process: &Process) -> Result<Self, Failure> {
        let deps = deps(&dir, &options, process).await?;
        let routes = LocalRoutes::new();
        let mut stages = open(&deps, &routes, &options).await?;
        let services = std::mem::take(&mut stages.services);
        let server = Server::build(services, options.auth, &options.server, process).await;
        let server = Arc::new(server.map_err(Failure::failed)?);
        routes.open(&server);
        let running = std::mem::take(&mut stages.workers).into_iter().map(Workers::start).collect();
        let serving = stages.serving;
        let shutdown = process.shutdown.clone();
        let mut at_rest = tokio::task::JoinSet::new();
        at_rest.spawn(crate::memory::release_at_rest(deps.slots));
        Ok(Self { server, routes, running, serving, shutdown, _at_rest: at_rest })
    }

    /// The server around the stages.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// A channel to the stages as the owner of this machine.
    pub fn channel(&self) -> Channel {
        self.routes.channel_as(gristmill_rpc::Principal::local())
    }

    /// Drains: no new work, what runs has a moment to finish and is then given back, the last rows of
    /// the prediction log are written.
    pub async fn stop(self) {
        self.shutdown.request();
        let drained = self.running.iter().map(|running| running.drain(GRACE));
        futures::future::join_all(drained).await;
        self.serving.finished().await;
    }
}

async fn deps(dir: &Arc<DataDir>, options: &NodeOptions, process: &Process) -> Result<StageDeps, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::failed(gristmill_rpc::error::chain(error));
    let database = dir.database(DATABASE).await.map_err(|error| failed(&error))?;
    let location = Location::Local(dir.path().join("store"));
    let config = StoreConfig::new(location, dir.path().join("cache"));
    let store = Store::open(&config, Arc::clone(&process.clock)).await.map_err(|error| failed(&error))?;
    // More trials at a time than CPUs were asked for: let them share.
    let detected = Slots::detected();
    let wanted = options.workers.and_then(NonZeroUsize::new).filter(|workers| workers.get() > detected.total());
    let slots = wanted.map_or(detected, Slots::new);
    Ok(StageDeps { store, database, slots, process: process.clone() })
}

/// Opens every stage. A new stage is one line here.
async fn open(deps: &StageDeps, routes: &LocalRoutes, options: &NodeOptions) -> Result<Stages, Failure> {
    let registry = gristmill_registry::open(deps, &RegistryConfig::default()).await.map_err(Failure::failed)?;
    // Only a server that is asked keeps models in memory.
    let followed = if options.serving {
        ServingConfig::default()
    } else {
        ServingConfig { projects: Vec::new(), ..ServingConfig::default() }
    };
    let (served, serving) =
        gristmill_serving::open(deps, &followed, routes.channel("serving")).await.map_err(Failure::failed)?;
    let trials =
        Trials { trial_workers: options.workers.unwrap_or_else(|| deps.slots.total()).max(1), trial_threads: 1 };
    let roots: Vec<Arc<dyn RootProvider>> = vec![Arc::new(registry.registry), Arc::new(serving.roots())];
    let mut stages = Stages { services: registry.services, workers: Vec::new(), roots, serving };
    stages.add(served);
    stages.add(gristmill_ingestion::open(deps).await.map_err(Failure::failed)?);
    stages.add(gristmill_preparation::open(deps).await.map_err(Failure::failed)?);
    stages.add(gristmill_training::open_with(deps, trials).await.map_err(Failure::failed)?);
    stages.add(gristmill_evaluation::open(deps).await.map_err(Failure::failed)?);
    stages.add(gristmill_monitoring::open(deps).await.map_err(Failure::failed)?);
    let others = Channels::all(&routes.channel("pipeline"));
    let pipeline = gristmill_pipeline::open(deps, &gristmill_pipeline::Config::default(), others).await;
    stages.add(pipeline.map_err(Failure::failed)?);
    registry.holders.complete(stages.roots.clone());
    Ok(stages)
}
