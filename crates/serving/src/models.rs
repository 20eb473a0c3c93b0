//! What is served: a table that requests read without waiting, changed by one load at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use gristmill_model::Model;
use gristmill_proto::registry::get_model_version_request::Which;
use gristmill_proto::registry::registry_service_client::RegistryServiceClient;
use gristmill_proto::registry::{GetModelVersionRequest, ModelVersion};
use gristmill_rpc::{Caller, Channel};
use gristmill_store::Store;
use gristmill_types::{ArtifactRef, Clock, Project};

use crate::ServingError;
use crate::deployed::Deployed;
use crate::log::{Flusher, LogBuffer, PredictionIds};
use crate::metrics::{ModelMetrics, ServingMetrics};
use crate::tables::{Follows, Tables, Wanted};

/// Part of a model artifact that is the model file.
pub(crate) const MODEL_PART: &str = "model.gmm";

/// One name that is served, or that could not be.
#[derive(Debug)]
pub(crate) struct Entry {
    pub follows: Follows,
    /// What answers requests.
    pub deployed: Option<Arc<Deployed>>,
    /// Why the newest version is not the one that answers.
    pub error: Option<String>,
}

type Served = HashMap<Project, BTreeMap<String, Arc<Entry>>>;

/// The models of this process.
#[derive(Debug)]
pub(crate) struct Models {
    served: ArcSwap<Served>,
    registry: RegistryServiceClient<Channel>,
    store: Store,
    tables: Tables,
    flusher: Arc<Flusher>,
    ids: Arc<PredictionIds>,
    metrics: ServingMetrics,
    clock: Arc<dyn Clock>,
    /// Held while the table changes, so that two loads of one name end in the order they began.
    turn: tokio::sync::Mutex<()>,
}

impl Models {
    pub(crate) fn new(
        registry: Channel,
        store: Store,
        tables: Tables,
        flusher: Arc<Flusher>,
        metrics: ServingMetrics,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            served: ArcSwap::default(),
            registry: RegistryServiceClient::new(registry),
            store,
            tables,
            flusher,
            ids: Arc::new(PredictionIds::new()),
            metrics,
            clock,
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The clock of requests.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(crate) fn flusher(&self) -> &Flusher {
        &self.flusher
    }

    /// The registry, for those who watch it.
    pub(crate) fn registry(&self) -> RegistryServiceClient<Channel> {
        self.registry.clone()
    }

    /// The model that answers for `name`.
    pub(crate) fn get(&self, project: &Project, name: &str) -> Result<Arc<Deployed>, ServingError> {
        let served = self.served.load();
        let entry = served.get(project).and_then(|names| names.get(name));
        let deployed = entry.and_then(|entry| entry.deployed.clone());
        deployed.ok_or_else(|| ServingError::NotLoaded { name: crate::rows::short(name) })
    }

    /// As [`Self::get`], if `version` is the one that answers; empty is any.
    pub(crate) fn get_version(
        &self,
        project: &Project,
        name: &str,
        version: &str,
    ) -> Result<Arc<Deployed>, ServingError> {
        let deployed = self.get(project, name)?;
        if version.is_empty() || version.parse() == Ok(deployed.version) {
            return Ok(deployed);
        }
        let asked = crate::rows::short(version);
        Err(ServingError::OtherVersion { name: deployed.name.clone(), loaded: deployed.version, asked })
    }

    /// Every name of a project, in order.
    pub(crate) fn list(&self, project: &Project) -> Vec<(String, Arc<Entry>)> {
        let served = self.served.load();
        let names = served.get(project).into_iter().flatten();
        names.map(|(name, entry)| (name.clone(), Arc::clone(entry))).collect()
    }

    /// The entry of one name.
    pub(crate) fn entry(&self, project: &Project, name: &str) -> Option<Arc<Entry>> {
        self.served.load().get(project).and_then(|names| names.get(name)).cloned()
    }

    /// Loads what `wanted` names and serves it. What was served before goes on answering until the new
    /// one is ready, and stays if it cannot be loaded; then the entry says why.
    pub(crate) async fn deploy(&self, wanted: &Wanted, caller: Option<&Caller>) -> Result<Arc<Entry>, ServingError> {
        let _turn = self.turn.lock().await;
        let Wanted { project, name, follows } = wanted;
        let before = self.entry(project, name);
        let loaded = self.load(wanted, caller, before.as_deref()).await;
        let metrics = self.metrics.of(project.as_str(), name);
        let (deployed, failure) = match loaded {
            Ok(deployed) => (Some(deployed), None),
            Err(error) => (before.and_then(|entry| entry.deployed.clone()), Some(error)),
        };
        let error = failure.as_ref().map(ToString::to_string);
        metrics.serves(deployed.as_ref().map_or(0, |deployed| deployed.version));
        let version = deployed.as_ref().map(|deployed| deployed.version);
        let entry = Arc::new(Entry { follows: follows.clone(), deployed, error });
        // A name that nothing answers for is not kept for a caller's typing error.
        if failure.is_none() || caller.is_none() || entry.deployed.is_some() {
            self.change(project, name, Some(Arc::clone(&entry)));
        }
        match failure {
            None => {
                tracing::info!(%project, model = name, version, "model serves");
                Ok(entry)
            }
            Some(error) => {
                metrics.load_failed();
                tracing::warn!(%project, model = name, serving = version, %error, "model not loaded");
                Err(error)
            }
        }
    }

    /// Stops serving a name; whether it was served.
    pub(crate) async fn undeploy(&self, project: &Project, name: &str) -> bool {
        let _turn = self.turn.lock().await;
        let was = self.entry(project, name).is_some();
        self.change(project, name, None);
        self.metrics.of(project.as_str(), name).serves(0);
        was
    }

    fn change(&self, project: &Project, name: &str, entry: Option<Arc<Entry>>) {
        self.served.rcu(|served| {
            let mut served = Served::clone(served);
            let names = served.entry(project.clone()).or_default();
            match &entry {
                Some(entry) => drop(names.insert(name.to_owned(), Arc::clone(entry))),
                None => drop(names.remove(name)),
            }
            served
        });
    }

    /// Asks the registry for the version, and loads it unless it is the one that answers already.
    async fn load(
        &self,
        wanted: &Wanted,
        caller: Option<&Caller>,
        before: Option<&Entry>,
    ) -> Result<Arc<Deployed>, ServingError> {
        let which = match &wanted.follows {
            Follows::Version(version) => Which::Version(*version),
            Follows::Alias(alias) => Which::Alias(alias.clone()),
        };
        let message = GetModelVersionRequest {
            project: wanted.project.as_str().into(),
            name: wanted.name.clone(),
            which: Some(which),
        };
        let request =
            caller.map_or_else(|| tonic::Request::new(message.clone()), |caller| caller.request(message.clone()));
        let version = self.registry.clone().get_model_version(request).await?.into_inner().version;
        let version = version.ok_or_else(|| ServingError::request("version", "the registry answered none"))?;
        let artifact = gristmill_proto::artifact_ref("model", version.model.as_ref())
            .map_err(|error| ServingError::request(error.field, error.message))?;
        match before.and_then(|entry| entry.deployed.as_ref()) {
            Some(same) if same.version == version.version && same.artifact == artifact => Ok(Arc::clone(same)),
            _ => self.open(wanted, &version, artifact).await,
        }
    }

    /// Reads, checks and tries a model.
    async fn open(
        &self,
        wanted: &Wanted,
        version: &ModelVersion,
        artifact: ArtifactRef,
    ) -> Result<Arc<Deployed>, ServingError> {
        let file = self.store.project(&wanted.project).open(&artifact).await?.part(MODEL_PART)?.bytes().await?;
        let (file, model) =
            tokio::task::spawn_blocking(move || read(file)).await.map_err(|_| ServingError::Thread)??;
        let metrics = self.metrics.of(wanted.project.as_str(), &wanted.name);
        let log = self.buffer(wanted, version.version, artifact, &model, metrics.clone());
        let loaded_at = self.clock.now();
        let (name, version) = (wanted.name.clone(), version.version);
        Ok(Arc::new(Deployed::new(name, version, artifact, file, model, loaded_at, log, metrics)))
    }

    fn buffer(
        &self,
        wanted: &Wanted,
        version: u32,
        artifact: ArtifactRef,
        model: &Model,
        metrics: ModelMetrics,
    ) -> Arc<LogBuffer> {
        let Wanted { project, name, .. } = wanted.clone();
        let (ids, config) = (Arc::clone(&self.ids), self.flusher.config().clone());
        let full = self.flusher.full();
        let buffer = LogBuffer::new(project, name, version, artifact, model, ids, config, full, metrics);
        let buffer = Arc::new(buffer);
        self.flusher.add(Arc::clone(&buffer));
        buffer
    }
}

/// Reads a model file and predicts its embedded example.
fn read(file: Bytes) -> Result<(Bytes, Model), ServingError> {
    let model = Model::read(&file)?;
    model.check_example()?;
    Ok((file, model))
}
