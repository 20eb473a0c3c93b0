//! A registry behind a server, and artifacts to register.

use std::num::NonZeroUsize;
use std::sync::Arc;

use gristmill_proto::artifact::artifact_service_client::ArtifactServiceClient;
use gristmill_proto::registry as message;
use gristmill_proto::registry::registry_service_client::RegistryServiceClient;
use gristmill_registry::{Holders, NewVersion, Registry, RegistryConfig, Version, open};
use gristmill_rpc::auth::Tokens;
use gristmill_rpc::channel::LocalRoutes;
use gristmill_rpc::{Auth, Channel, Server, ServerConfig, Surface};
use gristmill_runtime::Process;
use gristmill_runtime::database::{DataDir, Database, PostgresConfig};
use gristmill_runtime::slots::Slots;
use gristmill_stage::StageDeps;
use gristmill_store::{Location, Producer, ProjectStore, Store, StoreConfig, Unpinned};
use gristmill_types::{ArtifactKind, ArtifactRef, Clock, Digest, ManualClock, Name, Project, Secret, SystemClock};
use tempfile::TempDir;

/// A process's parts in a temporary folder. The registry reads no rows, so its tests stand on less than
/// the sandbox of `testkit`, which brings the readers of tables.
pub struct Bench {
    pub deps: StageDeps,
    /// Stands still until the test moves it.
    pub clock: Arc<ManualClock>,
    folder: TempDir,
    pub registry: Registry,
    pub holders: Holders,
    pub channel: Channel,
    server: Arc<Server>,
    routes: LocalRoutes,
    /// The database on a server, if the tests are to have one.
    pub ground: Option<gristmill_testpg::Database<'static>>,
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(&RegistryConfig::default()).await
    }

    pub async fn with(config: &RegistryConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let process = Process::with_clock(clock.clone());
        let ground = gristmill_testpg::database();
        let database = match &ground {
            Some(ground) => connect(&ground.url()).await,
            None => DataDir::open(&folder.path().join("data")).unwrap().database("gristmill").await.unwrap(),
        };
        let location = Location::Local(folder.path().join("store"));
        let config_of_store = StoreConfig::new(location, folder.path().join("cache"));
        let store = Store::open(&config_of_store, Arc::clone(&process.clock)).await.unwrap();
        let deps = StageDeps { store, database, slots: Slots::new(NonZeroUsize::MIN), process };
        let opened = open(&deps, config).await.unwrap();
        let bounds = ServerConfig::default();
        let server = Server::build(opened.services, Auth::LoopbackOnly, &bounds, &deps.process).await;
        let server = Arc::new(server.unwrap());
        let routes = LocalRoutes::new();
        assert!(routes.open(&server));
        let channel = routes.channel("ana");
        Self {
            deps,
            clock,
            folder,
            registry: opened.registry,
            holders: opened.holders,
            channel,
            server,
            routes,
            ground,
        }
    }

    /// The same, called through a socket of this machine.
    pub async fn over_the_network(self) -> Self {
        let listener = self.server.listen("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::clone(&self.server);
        tokio::spawn(async move { server.serve(listener, Surface::Grpc).await });
        Self { channel: Channel::remote(&endpoint, None).unwrap(), ..self }
    }

    /// A client as one of the principals of this token file.
    pub fn client_of(&self, file: &str, name: &str) -> RegistryServiceClient<Channel> {
        RegistryServiceClient::new(self.channel_of(file, name))
    }

    /// Calls as one of the principals of this token file.
    pub fn channel_of(&self, file: &str, name: &str) -> Channel {
        let path = self.folder.path().join("tokens.yaml");
        std::fs::write(&path, file).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let principal = Tokens::read(&path).unwrap().named(name).unwrap();
        self.routes.channel_as(principal)
    }

    /// A folder for files of the test.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn client(&self) -> RegistryServiceClient<Channel> {
        RegistryServiceClient::new(self.channel.clone())
    }

    pub fn artifacts(&self) -> ArtifactServiceClient<Channel> {
        ArtifactServiceClient::new(self.channel.clone())
    }

    /// A model of these bytes, made from `inputs`.
    pub async fn model(&self, bytes: &str, inputs: &[ArtifactRef]) -> ArtifactRef {
        let parts = [("model.gmm", bytes.as_bytes().to_vec())];
        put(&self.store(), ArtifactKind::Model, inputs.iter().copied(), parts).await
    }

    pub async fn artifact(&self, kind: ArtifactKind, bytes: &str, inputs: &[ArtifactRef]) -> ArtifactRef {
        let parts = [("rows.parquet", bytes.as_bytes().to_vec())];
        put(&self.store(), kind, inputs.iter().copied(), parts).await
    }

    /// An evaluation of `model` that says `state`.
    pub async fn evaluation(&self, model: ArtifactRef, state: &str) -> ArtifactRef {
        self.evaluation_against(model, None, state).await
    }

    /// An evaluation of `model` against a champion, laid out as the evaluation stage does it.
    pub async fn evaluation_against(
        &self,
        model: ArtifactRef,
        champion: Option<ArtifactRef>,
        state: &str,
    ) -> ArtifactRef {
        let facts = |artifact: ArtifactRef| serde_json::json!({"artifact": artifact, "learner": "logistic"});
        let measured = serde_json::json!({"model": facts(model), "champion": champion.map(facts), "test_opened": 1});
        let verdict = serde_json::json!({"format_version": 1, "state": state, "reasons": ["holds"], "findings": []});
        let parts = [
            ("evaluation.json", measured.to_string().into_bytes()),
            ("verdict.json", verdict.to_string().into_bytes()),
        ];
        put(&self.store(), ArtifactKind::Evaluation, champion.into_iter().chain([model]), parts).await
    }

    /// Registers a version of `fraud` that passed its gate.
    pub async fn passed(&self, bytes: &str) -> Version {
        let model = self.model(bytes, &[]).await;
        let evaluation = Some(self.evaluation(model, "passed").await);
        let new = NewVersion { evaluation, ..NewVersion::of(name("fraud"), model) };
        self.registry.register(&Project::default(), &new, None, "ana").await.unwrap()
    }

    /// Puts other bytes in the place of a stored part.
    pub fn tamper(&self, part: &str, bytes: &str) {
        let digest = Digest::of(part.as_bytes()).to_string();
        let blobs = self.folder.path().join("store/projects/default/blobs/sha256");
        let file = blobs.join(&digest[..2]).join(&digest);
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, bytes).unwrap();
    }

    /// Removes a manifest, as a collection of an unreferenced artifact does.
    pub fn collect(&self, artifact: ArtifactRef) {
        let manifests = self.folder.path().join("store/projects/default/artifacts");
        std::fs::remove_file(manifests.join(artifact.digest.to_string())).unwrap();
    }

    /// The artifacts of the default project.
    pub fn store(&self) -> ProjectStore {
        self.deps.store.project(&Project::default())
    }

    pub fn project(&self) -> Project {
        Project::default()
    }
}

pub async fn connect(url: &str) -> Database {
    Database::connect(&PostgresConfig::new(Secret::new(url))).await.unwrap()
}

async fn put(
    store: &ProjectStore,
    kind: ArtifactKind,
    inputs: impl IntoIterator<Item = ArtifactRef>,
    parts: impl IntoIterator<Item = (&str, Vec<u8>)>,
) -> ArtifactRef {
    let producer =
        Producer { stage: name("test"), logic_version: 1, spec_digest: Digest::of(b"spec"), cpu_class: name("any") };
    let mut writer = store.write(kind, producer, inputs);
    for (part, bytes) in parts {
        writer.part_bytes(part, bytes).await.unwrap();
    }
    writer.finish(&Unpinned).await.unwrap()
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn create(name: &str, model: ArtifactRef) -> message::CreateModelVersionRequest {
    message::CreateModelVersionRequest { name: name.into(), model: Some(model.into()), ..Default::default() }
}
