//! The way of a command to the stages: the live server of the data directory, a named one, or this
//! process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gristmill_proto::artifact::artifact_service_client::ArtifactServiceClient;
use gristmill_proto::evaluation::evaluation_service_client::EvaluationServiceClient;
use gristmill_proto::ingestion::ingestion_service_client::IngestionServiceClient;
use gristmill_proto::monitoring::monitoring_service_client::MonitoringServiceClient;
use gristmill_proto::pipeline::pipeline_service_client::PipelineServiceClient;
use gristmill_proto::preparation::preparation_service_client::PreparationServiceClient;
use gristmill_proto::registry::registry_service_client::RegistryServiceClient;
use gristmill_proto::serving::prediction_service_client::PredictionServiceClient;
use gristmill_proto::serving::serving_service_client::ServingServiceClient;
use gristmill_proto::training::training_service_client::TrainingServiceClient;
use gristmill_rpc::Channel;
use gristmill_runtime::Process;
use gristmill_runtime::config::resolve;
use gristmill_runtime::database::{DataDir, DatabaseError, Holder, free_bytes};
use gristmill_types::Secret;

use crate::cli::Global;
use crate::failure::Failure;
use crate::node::{Node, NodeOptions};
use crate::ways::Ways;

/// The folder's name when nobody names one.
const FOLDER: &str = ".gristmill";

/// With less room than this no step of a ledger or an artifact can be written.
const LEAST_ROOM: u64 = 256 << 10;

/// How long a command waits for another one that holds the data directory and serves nothing.
const HELD_FOR: Duration = Duration::from_secs(10);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A connection to the stages, with this process's own behind it where nobody else serves them.
#[derive(Debug)]
pub struct Session {
    ways: Ways,
    node: Option<Node>,
    /// Project of every request.
    pub project: String,
    /// Clock, metrics and the wish to stop.
    pub process: Process,
    /// Where files of this machine go by default, such as reports.
    pub data_dir: PathBuf,
}

impl Session {
    /// Opens the way; `workers` counts only when the stages run here.
    ///
    /// # Errors
    /// The data directory cannot be used, or is held by a process that serves nothing.
    pub async fn open(global: &Global, process: Process, workers: Option<usize>) -> Result<Self, Failure> {
        let data_dir = data_dir(global.data_dir.as_deref())?;
        let project = global.project.clone();
        if let Some(endpoint) = &global.endpoint {
            let ways = Ways::remote(endpoint, token(global)?.as_ref())?;
            return Ok(Self { ways, node: None, project, process, data_dir });
        }
        let mut waited = Duration::ZERO;
        loop {
            match DataDir::open(&data_dir) {
                Ok(dir) => {
                    let node = Node::start(dir, NodeOptions { workers, ..NodeOptions::default() }, &process).await?;
                    let ways = Ways::all(node.channel());
                    return Ok(Self { ways, node: Some(node), project, process, data_dir });
                }
                Err(DatabaseError::Held { holder: Some(Holder { endpoint: Some(endpoint), .. }) }) => {
                    if workers.is_some() {
                        tracing::warn!(endpoint, "a live server does the work with its own number of workers");
                    }
                    let ways = Ways::remote(&endpoint, token(global)?.as_ref())?;
                    return Ok(Self { ways, node: None, project, process, data_dir });
                }
                Err(error @ DatabaseError::Held { .. }) if waited >= HELD_FOR => return Err(Failure::failed(error)),
                Err(DatabaseError::Held { .. }) => {
                    tokio::time::sleep(LOOK_EVERY).await;
                    waited += LOOK_EVERY;
                }
                Err(error) => return Err(Failure::failed(gristmill_rpc::error::chain(&error))),
            }
        }
    }

    /// Whether the stages run in this process.
    pub const fn is_local(&self) -> bool {
        self.node.is_some()
    }

    /// Whether work in this process can still be written down. A full disk fails every attempt and even the note of
    /// that, so waiting for a job would only wait.
    ///
    /// # Errors
    /// Says where there is no room left.
    pub fn room(&self) -> Result<(), Failure> {
        match free_bytes(&self.data_dir) {
            Some(free) if self.is_local() && free < LEAST_ROOM => Err(Failure::failed(format!(
                "no space is left on the disk of {} ({free} bytes): free some, and the same command goes on where this one stopped",
                self.data_dir.display()
            ))),
            _ => Ok(()),
        }
    }

    /// Ends what runs in this process, if anything does: jobs under way are given back.
    pub async fn close(self) {
        if let Some(node) = self.node {
            node.stop().await;
        }
    }

    /// Artifacts.
    pub fn artifacts(&self) -> ArtifactServiceClient<Channel> {
        ArtifactServiceClient::new(self.ways.registry.clone())
    }

    /// Runs.
    pub fn pipelines(&self) -> PipelineServiceClient<Channel> {
        PipelineServiceClient::new(self.ways.pipeline.clone())
    }

    /// Datasets.
    pub fn ingestion(&self) -> IngestionServiceClient<Channel> {
        IngestionServiceClient::new(self.ways.ingestion.clone())
    }

    /// Splits and transforms.
    pub fn preparation(&self) -> PreparationServiceClient<Channel> {
        PreparationServiceClient::new(self.ways.preparation.clone())
    }

    /// Studies.
    pub fn training(&self) -> TrainingServiceClient<Channel> {
        TrainingServiceClient::new(self.ways.training.clone())
    }

    /// Evaluations.
    pub fn evaluation(&self) -> EvaluationServiceClient<Channel> {
        EvaluationServiceClient::new(self.ways.evaluation.clone())
    }

    /// Models.
    pub fn registry(&self) -> RegistryServiceClient<Channel> {
        RegistryServiceClient::new(self.ways.registry.clone())
    }

    /// Deployments.
    pub fn serving(&self) -> ServingServiceClient<Channel> {
        ServingServiceClient::new(self.ways.serving.clone())
    }

    /// Batch predictions.
    pub fn predictions(&self) -> PredictionServiceClient<Channel> {
        PredictionServiceClient::new(self.ways.serving.clone())
    }

    /// Monitoring.
    pub fn monitoring(&self) -> MonitoringServiceClient<Channel> {
        MonitoringServiceClient::new(self.ways.monitoring.clone())
    }
}

fn token(global: &Global) -> Result<Option<Secret>, Failure> {
    global.token.as_ref().map(resolve).transpose().map_err(Failure::usage)
}

/// The data directory: the named one, else the nearest upwards from here, else a new one here.
pub fn data_dir(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let here = std::env::current_dir()?;
    let found = here.ancestors().map(|folder| folder.join(FOLDER)).find(|folder| folder.is_dir());
    Ok(found.unwrap_or_else(|| here.join(FOLDER)))
}
