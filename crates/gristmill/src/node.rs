//! All stages in this process: the only place that knows them all.

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
use gristmill_stage::serve::{
    EVALUATION, INGESTION, MONITORING, PIPELINE, PREPARATION, Peer, REGISTRY, SERVING, StoreSettings, TRAINING,
};
use gristmill_stage::{Assembled, Host, LedgerRoots, Mounted, Ports, RootServer, StageDeps, StageRoots, Surroundings};
use gristmill_store::RootProvider;
use gristmill_training::Settings as Trials;
use gristmill_types::SecretRef;

use crate::failure::Failure;

/// How long jobs under way may go on after a drain began; then they are given back.
const GRACE: Duration = Duration::from_millis(500);

/// What may be said about a node.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Trials at a time; one per CPU if not said.
    pub workers: Option<usize>,
    /// Where the URL of a database server is; none for SQLite in the data directory.
    pub database: Option<SecretRef>,
    /// Where artifacts are: in the data directory unless said.
    pub store: StoreSettings,
    /// How callers over the network are told.
    pub auth: Auth,
    /// Bounds of the server.
    pub server: ServerConfig,
    /// Whether models are loaded for online predictions.
    pub serving: bool,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            workers: None,
            database: None,
            store: StoreSettings::default(),
            auth: Auth::LoopbackOnly,
            server: ServerConfig::default(),
            serving: false,
        }
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
    /// What each holds, registered in the store: other processes that share it may collect too.
    roots: Vec<StageRoots>,
}

impl Stages {
    fn add(&mut self, stage: Assembled, roots: StageRoots) {
        self.mounted.add(stage.services, Some(stage.workers));
        let ledger: Arc<dyn RootProvider> = Arc::new(LedgerRoots::new(stage.ledger));
        self.roots.push(roots.with([ledger]));
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

    /// `http`, or `https` where the ports speak TLS.
    pub fn scheme(&self) -> &'static str {
        self.host.server().scheme()
    }

    /// Drains: no new work, what runs has a moment to finish and is then given back, the last rows of
    /// the prediction log are written.
    pub async fn stop(self) {
        self.host.stop(GRACE).await;
    }
}

async fn deps(dir: &Arc<DataDir>, options: &NodeOptions, process: &Process) -> Result<StageDeps, Failure> {
    let database = gristmill_stage::open_database(dir, options.database.as_ref()).await?;
    let store = options.store.located(dir.path().join("store"), dir.path())?;
    let store = gristmill_stage::open_store(&store, process).await?;
    // More trials at a time than CPUs were asked for: let them share.
    let detected = Slots::detected();
    let wanted = options.workers.and_then(NonZeroUsize::new).filter(|workers| workers.get() > detected.total());
    let slots = wanted.map_or(detected, Slots::new);
    Ok(StageDeps { store, database, slots, process: process.clone() })
}

/// Opens every stage, each registered in the store before it can name its first artifact. A new stage is one
/// line here.
async fn open(deps: &StageDeps, routes: &LocalRoutes, options: &NodeOptions) -> Result<Mounted, Failure> {
    let holder = |stage: Peer| StageRoots::register(deps, stage.stage);
    let own = holder(REGISTRY).await?;
    let registry = gristmill_registry::open(deps, &RegistryConfig::default()).await.map_err(Failure::failed)?;
    let versions: Arc<dyn RootProvider> = Arc::new(registry.registry);
    let mut stages = Stages { mounted: registry.services.into(), roots: vec![own.with([versions])] };
    open_serving(deps, routes, options, &mut stages).await?;
    let trials = Trials {
        trial_workers: options.workers.unwrap_or_else(|| deps.slots.total()).max(1),
        ..Trials::of(&deps.slots)
    };
    let held = holder(INGESTION).await?;
    stages.add(gristmill_ingestion::open(deps).await.map_err(Failure::failed)?, held);
    let held = holder(PREPARATION).await?;
    stages.add(gristmill_preparation::open(deps).await.map_err(Failure::failed)?, held);
    let held = holder(TRAINING).await?;
    stages.add(gristmill_training::open_with(deps, trials).await.map_err(Failure::failed)?, held);
    let held = holder(EVALUATION).await?;
    stages.add(gristmill_evaluation::open(deps).await.map_err(Failure::failed)?, held);
    let held = holder(MONITORING).await?;
    stages.add(gristmill_monitoring::open(deps).await.map_err(Failure::failed)?, held);
    let held = holder(PIPELINE).await?;
    let others = Channels::all(&routes.channel("pipeline"));
    let pipeline = gristmill_pipeline::open(deps, &gristmill_pipeline::Config::default(), others).await;
    stages.add(pipeline.map_err(Failure::failed)?, held);
    let Stages { mut mounted, roots } = stages;
    let every = roots.iter().map(|one| -> Arc<dyn RootProvider> { Arc::new(one.clone()) });
    registry.holders.complete(every.collect());
    mounted.add(RootServer::new(roots, Arc::clone(&deps.process.clock)).into_services(), None);
    Ok(mounted)
}

async fn open_serving(
    deps: &StageDeps,
    routes: &LocalRoutes,
    options: &NodeOptions,
    stages: &mut Stages,
) -> Result<(), Failure> {
    // Only a server that is asked keeps models in memory.
    let followed = if options.serving {
        ServingConfig::default()
    } else {
        ServingConfig { projects: Vec::new(), ..ServingConfig::default() }
    };
    let held = StageRoots::register(deps, SERVING.stage).await?;
    let (served, serving) =
        gristmill_serving::open(deps, &followed, routes.channel("serving")).await.map_err(Failure::failed)?;
    let logs: Arc<dyn RootProvider> = Arc::new(serving.roots());
    stages.add(served, held.with([logs]));
    stages.mounted.last.push(async move { serving.finished().await }.boxed());
    Ok(())
}
