//! A data directory, its database and store, and servers for stages.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gristmill_jobs::Running;
use gristmill_rpc::channel::LocalRoutes;
use gristmill_rpc::{Auth, Channel, Server, ServerConfig, Services};
use gristmill_runtime::Process;
use gristmill_runtime::database::{DataDir, Database, PostgresConfig};
use gristmill_runtime::slots::Slots;
use gristmill_stage::{Assembled, StageDeps};
use gristmill_store::{Location, ProjectStore, Store, StoreConfig};
use gristmill_types::{Project, Secret};
use tempfile::TempDir;

/// A process's parts in a temporary folder, removed when it goes out of scope.
#[derive(Debug)]
pub struct Sandbox {
    /// What stages are opened with.
    pub deps: StageDeps,
    folder: TempDir,
    /// The database on a server, if the tests run on one.
    _ground: Option<gristmill_testpg::Database<'static>>,
}

/// Stages behind a server, their workers claiming.
#[derive(Debug)]
pub struct Started {
    /// Calls the stages as the machine's owner.
    pub channel: Channel,
    running: Vec<Running>,
    _server: Arc<Server>,
}

impl Sandbox {
    /// A fresh one with two CPU slots.
    pub async fn new() -> Self {
        Self::with_slots(2).await
    }

    /// A fresh one with `slots` CPU slots.
    pub async fn with_slots(slots: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::new();
        let ground = gristmill_testpg::database();
        let database = match &ground {
            Some(ground) => Database::connect(&PostgresConfig::new(Secret::new(ground.url()))).await.unwrap(),
            None => DataDir::open(&folder.path().join("data")).unwrap().database("gristmill").await.unwrap(),
        };
        let config = StoreConfig::new(Location::Local(folder.path().join("store")), folder.path().join("cache"));
        let store = Store::open(&config, Arc::clone(&process.clock)).await.unwrap();
        let slots = Slots::new(NonZeroUsize::new(slots).unwrap());
        Self { deps: StageDeps { store, database, slots, process }, folder, _ground: ground }
    }

    /// A folder for files of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The artifacts of the default project.
    pub fn store(&self) -> ProjectStore {
        self.deps.store.project(&Project::default())
    }

    /// Mounts `stages` on one server and starts their workers. Stages that call others were opened with
    /// channels of `routes`.
    pub async fn start(&self, routes: &LocalRoutes, stages: impl IntoIterator<Item = Assembled>) -> Started {
        let mut services = Services::new();
        let mut workers = Vec::new();
        for stage in stages {
            services = services.merge(stage.services);
            workers.push(stage.workers);
        }
        let config = ServerConfig::default();
        let server = Server::build(services, Auth::LoopbackOnly, &config, &self.deps.process).await.unwrap();
        let server = Arc::new(server);
        assert!(routes.open(&server), "one sandbox server per routes");
        let running = workers.into_iter().map(gristmill_jobs::Workers::start).collect();
        Started { channel: routes.channel("test"), running, _server: server }
    }
}

impl Started {
    /// Stops the workers at once, as a process that may not wait, and returns when their attempts have ended.
    pub async fn drain(&self) {
        for running in &self.running {
            running.drain(Duration::ZERO).await;
        }
    }
}
