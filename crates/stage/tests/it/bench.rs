//! Stages with tables of their own behind servers of their own, over one store.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use gristmill_jobs::{Claim, Leased, Ledger, Options, Submit};
use gristmill_rpc::{Auth, Channel, Server, ServerConfig, Surface};
use gristmill_runtime::Process;
use gristmill_runtime::database::DataDir;
use gristmill_runtime::slots::Slots;
use gristmill_stage::{LedgerRoots, Limits, RemoteRoots, RootServer, StageDeps, StageRoots};
use gristmill_store::{
    Holder, Location, Producer, RootProvider, Store, StoreConfig, StoreError, SweepReport, Unpinned,
};
use gristmill_types::{ArtifactKind, ArtifactRef, Clock, Digest, ManualClock, Micros, Name, Project, SystemClock};
use tempfile::TempDir;

pub const HOUR: Micros = 3_600_000_000;

/// Patient enough for a loaded machine, and quick to give up on what is dead.
pub const LIMITS: Limits =
    Limits { deadline: Duration::from_secs(20), tries: 2, pause: Duration::from_millis(1), digests: 100_000 };

/// A store and the clock by which it dates.
pub struct Ground {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    folder: TempDir,
}

/// A stage as a process has it.
pub struct Stage {
    pub name: &'static str,
    pub ledger: Arc<dyn Ledger>,
    pub holder: Holder,
    pub channel: Channel,
    pub process: Process,
    serving: tokio::task::JoinHandle<()>,
}

impl Ground {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let config = StoreConfig::new(Location::Local(folder.path().join("store")), folder.path().join("cache"));
        let store = Store::open(&config, clock.clone()).await.unwrap();
        Self { store, clock, folder }
    }

    /// Opens `name` over the database in `folder`, and serves what it holds on a socket.
    pub async fn stage(&self, name: &'static str, folder: &str) -> Stage {
        let process = Process::with_clock(self.clock.clone());
        let data = DataDir::open(&self.folder.path().join(folder)).unwrap();
        let database = data.database("gristmill").await.unwrap();
        let slots = Slots::new(NonZeroUsize::MIN);
        let deps = StageDeps { store: self.store.clone(), database, slots, process: process.clone() };
        let roots = StageRoots::register(&deps, name).await.unwrap();
        let options = Options { reaper: false, lease: Duration::from_secs(48 * 3600), ..deps.ledger_options() };
        let ledger = deps.ledger_with(&Name::new(name).unwrap(), options).await.unwrap();
        let held: Arc<dyn RootProvider> = Arc::new(LedgerRoots::new(Arc::clone(&ledger)));
        let holder = roots.holder().clone();
        let services = RootServer::new([roots.with([held])], self.clock.clone()).into_services();
        let server = Server::build(services, Auth::LoopbackOnly, &ServerConfig::default(), &process).await.unwrap();
        let listener = server.listen("127.0.0.1:0").await.unwrap();
        let channel = Channel::remote(&format!("http://{}", listener.local_addr().unwrap()), None).unwrap();
        let serving = tokio::spawn(async move { server.serve(listener, Surface::Grpc).await });
        Stage { name, ledger, holder, channel, process, serving }
    }

    /// How a sweep asks `stage`.
    pub fn remote(&self, stage: &Stage) -> RemoteRoots {
        RemoteRoots::new(stage.name, stage.channel.clone(), self.clock.clone(), LIMITS)
    }

    pub async fn write(&self, bytes: &[u8]) -> ArtifactRef {
        let name = |text| Name::new(text).unwrap();
        let spec_digest = Digest::of(b"spec");
        let producer = Producer { stage: name("test"), logic_version: 1, spec_digest, cpu_class: name("any") };
        let mut writer = self.store.project(&Project::default()).write(ArtifactKind::Dataset, producer, []);
        writer.part_bytes("rows.parquet", bytes.to_vec()).await.unwrap();
        writer.finish(&Unpinned).await.unwrap()
    }

    pub async fn sweep(&self, asked: &[&dyn RootProvider]) -> Result<SweepReport, StoreError> {
        self.store.sweep(&Project::default(), asked, false).await
    }

    pub async fn has(&self, artifact: &ArtifactRef) -> bool {
        self.store.project(&Project::default()).exists(artifact).await.unwrap()
    }

    pub async fn objects(&self) -> u64 {
        self.store.usage(&Project::default()).await.unwrap().objects
    }
}

impl Stage {
    /// A job under way that has pinned `artifact`.
    pub async fn pins(&self, artifact: ArtifactRef) -> Leased {
        let leased = self.claims().await;
        self.ledger.pin(&leased.lease, &[artifact.digest]).await.unwrap();
        leased
    }

    pub async fn claims(&self) -> Leased {
        let submit = Submit::new(Project::default(), "grind", None, b"spec".to_vec());
        self.ledger.submit(submit).await.unwrap();
        let claim = Claim { worker: "w".into(), kinds: vec!["grind".into()], spec_version: 1 };
        self.ledger.claim(&claim).await.unwrap().unwrap()
    }

    /// Ends the process's server; nobody answers there any more.
    pub async fn dies(&mut self) {
        self.process.shutdown.request();
        (&mut self.serving).await.unwrap();
    }
}
