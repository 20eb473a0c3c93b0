//! The only wiring of the stage.

use std::sync::Arc;

use async_trait::async_trait;
use gristmill_jobs::{LedgerError, LocalLeases, Workers};
use gristmill_proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use gristmill_proto::serving::prediction_service_server::PredictionServiceServer;
use gristmill_proto::serving::serving_service_server::ServingServiceServer;
use gristmill_rpc::{Channel, INFERENCE_BYTES};
use gristmill_stage::{Assembled, JobVerbs, StageDeps};
use gristmill_store::{RootProvider, Roots};
use gristmill_types::{ErrorCode, Name, Project};
use tokio_util::task::TaskTracker;

use crate::batch::{Prediction, PredictionServer, PredictionWork};
use crate::config::ServingConfig;
use crate::follow::Follower;
use crate::inference::Inference;
use crate::log::Flusher;
use crate::metrics::ServingMetrics;
use crate::models::Models;
use crate::service::Service;
use crate::tables::Tables;

/// Raised when the same spec would give other bytes; part of every cache key.
pub const LOGIC_VERSION: u32 = 1;

/// Batch jobs that one process does at a time.
const AT_A_TIME: usize = 2;

/// The stage beside its services: what follows the registry and writes the log until the process ends.
#[derive(Debug, Clone)]
pub struct Serving {
    tasks: TaskTracker,
    roots: LogRoots,
}

/// Keeps the prediction log from garbage collection.
#[derive(Debug, Clone)]
struct LogRoots(Tables);

/// Wires the stage: its ledger, its services, its workers, and the tasks that follow the registry behind
/// `registry` and write the prediction log. The tasks end with the process's shutdown.
///
/// # Errors
/// [`LedgerError`] if the configuration means nothing or the stage's tables cannot be opened.
pub async fn open(
    deps: &StageDeps,
    config: &ServingConfig,
    registry: Channel,
) -> Result<(Assembled, Serving), LedgerError> {
    let refused = |message: String| LedgerError::Remote { code: ErrorCode::InvalidArgument, message };
    let settings = config.check().map_err(refused)?;
    let name = Name::new("serving").map_err(|error| refused(error.to_string()))?;
    let ledger = deps.ledger(&name).await?;
    let tables = Tables::open(deps.database.clone(), &name).await?;
    let flusher = Arc::new(Flusher::new(deps.store.clone(), tables.clone(), settings.log));
    let metrics = ServingMetrics::new(&deps.process.metrics);
    let clock = Arc::clone(&deps.process.clock);
    let models = Models::new(registry, deps.store.clone(), tables.clone(), Arc::clone(&flusher), metrics, clock);
    let models = Arc::new(models);

    let tasks = TaskTracker::new();
    let shutdown = &deps.process.shutdown;
    tasks.spawn(flusher.run(shutdown.clone()));
    for project in settings.projects {
        let follower = Follower::new(Arc::clone(&models), project, settings.alias.clone());
        tasks.spawn(follower.run(shutdown.clone()));
    }
    tasks.close();

    let work = Arc::new(PredictionWork { store: deps.store.clone() });
    let leases = Arc::new(LocalLeases::new(Arc::clone(&ledger)));
    let workers = Workers::new("serving", deps.slots.clone()).serve(leases, work, AT_A_TIME);
    let inference = GrpcInferenceServiceServer::new(Inference(Arc::clone(&models)))
        .max_decoding_message_size(INFERENCE_BYTES)
        .max_encoding_message_size(INFERENCE_BYTES);
    let services = crate::http::routes(&models)
        .add(ServingServiceServer::new(Service(Arc::clone(&models))))
        .add(PredictionServiceServer::new(PredictionServer(JobVerbs::new(Arc::clone(&ledger), Prediction))))
        .add(inference);
    Ok((Assembled { services, workers, ledger }, Serving { tasks, roots: LogRoots(tables) }))
}

impl Serving {
    /// Waits until the stage's tasks have ended, the last rows of the log written. They end with the
    /// process's shutdown: request it and drain the server first.
    pub async fn finished(&self) {
        self.tasks.wait().await;
    }

    /// What a sweep must keep of this stage besides its jobs' artifacts: the prediction log.
    pub fn roots(&self) -> impl RootProvider + use<> {
        self.roots.clone()
    }
}

#[async_trait]
impl RootProvider for LogRoots {
    fn name(&self) -> &str {
        "serving"
    }

    async fn roots(&self, project: &Project) -> Result<Roots, String> {
        self.0.roots(project).await.map_err(|error| error.to_string())
    }
}
