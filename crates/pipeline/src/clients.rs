//! The other stages, through their generated clients (I1: no arrow to a stage, only to its contract).

use std::future::Future;

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_proto::evaluation::evaluation_service_client::EvaluationServiceClient;
use gristmill_proto::ingestion::ingestion_service_client::IngestionServiceClient;
use gristmill_proto::job::{Job, JobEvent};
use gristmill_proto::preparation::preparation_service_client::PreparationServiceClient;
use gristmill_proto::registry::registry_service_client::RegistryServiceClient;
use gristmill_proto::training::training_service_client::TrainingServiceClient;
use gristmill_proto::{evaluation, ingestion, preparation, training};
use gristmill_rpc::Channel;
use tonic::Status;

/// Where the stages are. All may be one server.
#[derive(Debug, Clone)]
pub struct Channels {
    /// Data extraction.
    pub ingestion: Channel,
    /// Data preparation.
    pub preparation: Channel,
    /// Training.
    pub training: Channel,
    /// Evaluation.
    pub evaluation: Channel,
    /// Versions and aliases.
    pub registry: Channel,
}

/// The clients of the stages.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) ingestion: IngestionServiceClient<Channel>,
    pub(crate) preparation: PreparationServiceClient<Channel>,
    pub(crate) training: TrainingServiceClient<Channel>,
    pub(crate) evaluation: EvaluationServiceClient<Channel>,
    pub(crate) registry: RegistryServiceClient<Channel>,
}

/// Events of a stage's job.
pub(crate) type Events = BoxStream<'static, Result<JobEvent, Status>>;

/// A stage's job with its result, once there is one.
#[derive(Debug, Clone)]
pub(crate) struct StageJob<R> {
    pub(crate) job: Job,
    pub(crate) result: Option<R>,
}

/// The verbs of a job stage.
pub(crate) trait StageClient: Clone + Send + Sync {
    /// The step's name.
    const STAGE: &'static str;
    /// The stage's spec.
    type Spec: Clone + Send + Sync;
    /// The stage's result.
    type Result: Send;

    fn create(
        &self,
        project: &str,
        request_id: &str,
        spec: Self::Spec,
        fresh: bool,
    ) -> impl Future<Output = Result<StageJob<Self::Result>, Status>> + Send;
    fn get(&self, project: &str, id: &str) -> impl Future<Output = Result<StageJob<Self::Result>, Status>> + Send;
    fn watch(&self, project: &str, id: &str, after: i64) -> impl Future<Output = Result<Events, Status>> + Send;
    fn cancel(&self, project: &str, id: &str) -> impl Future<Output = Result<(), Status>> + Send;
}

impl Channels {
    /// Every stage behind one channel.
    pub fn all(channel: &Channel) -> Self {
        Self {
            ingestion: channel.clone(),
            preparation: channel.clone(),
            training: channel.clone(),
            evaluation: channel.clone(),
            registry: channel.clone(),
        }
    }

    /// The same stages, told on whose account they are called.
    pub(crate) fn initiated_by(&self, actor: Option<&str>) -> Self {
        Self {
            ingestion: self.ingestion.initiated_by(actor),
            preparation: self.preparation.initiated_by(actor),
            training: self.training.initiated_by(actor),
            evaluation: self.evaluation.initiated_by(actor),
            registry: self.registry.initiated_by(actor),
        }
    }

    pub(crate) fn clients(self) -> Clients {
        Clients {
            ingestion: IngestionServiceClient::new(self.ingestion),
            preparation: PreparationServiceClient::new(self.preparation),
            training: TrainingServiceClient::new(self.training),
            evaluation: EvaluationServiceClient::new(self.evaluation),
            registry: RegistryServiceClient::new(self.registry),
        }
    }
}

fn incomplete() -> Status {
    Status::internal("the stage answered without a job")
}

macro_rules! stage_client {
    ($client:ty, $stage:literal, $package:ident, $spec:ident, $result:ident,
     $create:ident / $create_request:ident, $get:ident / $get_request:ident,
     $watch:ident / $watch_request:ident, $cancel:ident / $cancel_request:ident) => {
        impl StageClient for $client {
            const STAGE: &'static str = $stage;
            type Spec = $package::$spec;
            type Result = $package::$result;

            async fn create(
                &self,
                project: &str,
                request_id: &str,
                spec: Self::Spec,
                fresh: bool,
            ) -> Result<StageJob<Self::Result>, Status> {
                let (project, request_id) = (project.to_owned(), request_id.to_owned());
                let request = $package::$create_request { project, request_id, spec: Some(spec), fresh };
                let answer = self.clone().$create(request).await?.into_inner().job.ok_or_else(incomplete)?;
                Ok(StageJob { job: answer.job.ok_or_else(incomplete)?, result: answer.result })
            }

            async fn get(&self, project: &str, id: &str) -> Result<StageJob<Self::Result>, Status> {
                let request = $package::$get_request { project: project.to_owned(), id: id.to_owned() };
                let answer = self.clone().$get(request).await?.into_inner().job.ok_or_else(incomplete)?;
                Ok(StageJob { job: answer.job.ok_or_else(incomplete)?, result: answer.result })
            }

            async fn watch(&self, project: &str, id: &str, after: i64) -> Result<Events, Status> {
                let (project, id) = (project.to_owned(), id.to_owned());
                let request = $package::$watch_request { project, id, after_sequence: after };
                let events = self.clone().$watch(request).await?.into_inner();
                Ok(events.map(|item| item.and_then(|item| item.event.ok_or_else(incomplete))).boxed())
            }

            async fn cancel(&self, project: &str, id: &str) -> Result<(), Status> {
                let request = $package::$cancel_request { project: project.to_owned(), id: id.to_owned() };
                self.clone().$cancel(request).await?;
                Ok(())
            }
        }
    };
}

stage_client!(
    IngestionServiceClient<Channel>,
    "ingestion",
    ingestion,
    IngestionSpec,
    IngestionResult,
    create_ingestion_job / CreateIngestionJobRequest,
    get_ingestion_job / GetIngestionJobRequest,
    watch_ingestion_job / WatchIngestionJobRequest,
    cancel_ingestion_job / CancelIngestionJobRequest
);
stage_client!(
    PreparationServiceClient<Channel>,
    "preparation",
    preparation,
    PreparationSpec,
    PreparationResult,
    create_preparation_job / CreatePreparationJobRequest,
    get_preparation_job / GetPreparationJobRequest,
    watch_preparation_job / WatchPreparationJobRequest,
    cancel_preparation_job / CancelPreparationJobRequest
);
stage_client!(
    TrainingServiceClient<Channel>,
    "training",
    training,
    StudySpec,
    StudyResult,
    create_study_job / CreateStudyJobRequest,
    get_study_job / GetStudyJobRequest,
    watch_study_job / WatchStudyJobRequest,
    cancel_study_job / CancelStudyJobRequest
);
stage_client!(
    EvaluationServiceClient<Channel>,
    "evaluation",
    evaluation,
    EvaluationSpec,
    EvaluationResult,
    create_evaluation_job / CreateEvaluationJobRequest,
    get_evaluation_job / GetEvaluationJobRequest,
    watch_evaluation_job / WatchEvaluationJobRequest,
    cancel_evaluation_job / CancelEvaluationJobRequest
);
