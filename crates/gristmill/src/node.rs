//! All stages in this process: the only place that knows them all.

mod roots;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use gristmill_pipeline::Channels;
use gristmill_registry::RegistryConfig;
use gristmill_rpc::channel::LocalRoutes;
use gristmill_rpc::{Auth, Channel, ServerConfig};
use gristmill_runtime::Process;
use gristmill_runtime::database::DataDir;
use gristmill_runtime::slots::Slots;
use gristmill_serving::ServingConfig;
use gristmill_stage::memory::InEngineThreads;
use gristmill_stage::{Assembled, Host, Mounted, Ports, StageDeps, Surroundings};
use gristmill_store::{Location, RootProvider, StoreConfig};
use gristmill_training::Settings as Trials;

use crate::failure::Failure;
use roots::LedgerRoots;

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
#[derive(Debug)]
pub struct Node {
    host: Host,
    routes: LocalRoutes,
}

/// The stages before the server around them exists.
struct Stages {
    mounted: Mounted,
    roots: Vec<Arc<dyn RootProvider>>,
}

impl Stages {
    fn add(&mut self, stage: Assembled) {
        self.mounted.add(stage.services, Some(stage.workers));
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
        let mounted = open(&deps, &routes, &options).await?;
        let engine: InEngineThreads = |work| gristmill_frame::in_engine_threads(work);
        let around =
            Surroundings { auth: options.auth, server: &options.server, process, slots: deps.slots.clone(), engine };
        let mut host = Host::build(mounted, &routes, around).await?;
        host.start();
        Ok(Self { host, routes })
    }

    /// Binds the two ports.
    ///
    /// # Errors
    /// An address is in use, or needs protection that is not there.
    pub async fn listen(&self, grpc: &str, http: &str) -> Result<Ports, Failure> {
        self.host.listen(grpc, http).await
    }

    /// Serves until the process is told to end, then drains.
    pub async fn serve(&self, ports: Ports) {
        self.host.serve(ports, GRACE).await;
    }

    /// A channel to the stages as the owner of this machine.
    pub fn channel(&self) -> Channel {
        self.routes.channel_as(gristmill_rpc::Principal::local())
    }

    /// Drains: no new work, what runs has a moment to finish and is then given back, the last rows of
    /// the prediction log are written.
    pub async fn stop(self) {
        self.host.stop(GRACE).await;
    }
}

async fn deps(dir: &Arc<DataDir>, options: &NodeOptions, process: &Process) -> Result<StageDeps, Failure> {
    let database = gristmill_stage::open_database(dir).await?;
    let location = Location::Local(dir.path().join("store"));
    let store = gristmill_stage::open_store(&StoreConfig::new(location, dir.path().join("cache")), process).await?;
    // More trials at a time than CPUs were asked for: let them share.
    let detected = Slots::detected();
    let wanted = options.workers.and_then(NonZeroUsize::new).filter(|workers| workers.get() > detected.total());
    let slots = wanted.map_or(detected, Slots::new);
    Ok(StageDeps { store, database, slots, process: process.clone() })
}

/// Opens every stage. A new stage is one line here.
async fn open(deps: &StageDeps, routes: &LocalRoutes, options: &NodeOptions) -> Result<Mounted, Failure> {
    let registry = gristmill_registry::open(deps, &RegistryConfig::default()).await.map_err(Failure::failed)?;
    // Only a server that is asked keeps models in memory.
    let followed = if options.serving {
        ServingConfig::default()
    } else {
        ServingConfig { projects: Vec::new(), ..ServingConfig::default() }
    };
    let (served, serving) =
        gristmill_serving::open(deps, &followed, routes.channel("serving")).await.map_err(Failure::failed)?;
    let trials = Trials {
        trial_workers: options.workers.unwrap_or_else(|| deps.slots.total()).max(1),
        ..Trials::of(&deps.slots)
    };
    let roots: Vec<Arc<dyn RootProvider>> = vec![Arc::new(registry.registry), Arc::new(serving.roots())];
    let last = async move { serving.finished().await }.boxed();
    let mounted = Mounted { last: vec![last], ..registry.services.into() };
    let mut stages = Stages { mounted, roots };
    stages.add(served);
    stages.add(gristmill_ingestion::open(deps).await.map_err(Failure::failed)?);
    stages.add(gristmill_preparation::open(deps).await.map_err(Failure::failed)?);
    stages.add(gristmill_training::open_with(deps, trials).await.map_err(Failure::failed)?);
    stages.add(gristmill_evaluation::open(deps).await.map_err(Failure::failed)?);
    stages.add(gristmill_monitoring::open(deps).await.map_err(Failure::failed)?);
    let others = Channels::all(&routes.channel("pipeline"));
    let pipeline = gristmill_pipeline::open(deps, &gristmill_pipeline::Config::default(), others).await;
    stages.add(pipeline.map_err(Failure::failed)?);
    registry.holders.complete(stages.roots);
    Ok(stages.mounted)
}
