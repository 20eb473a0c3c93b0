//! Small stages with real ledgers, workers and services, whose work is trivial, and the pipeline over
//! them; one process, one server, as in all-in-one.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_jobs::{Attempt, JobError, LocalLeases, Outcome, Running, Work, Workers};
use gristmill_pipeline::{Channels, Config};
use gristmill_proto::pipeline::pipeline_service_client::PipelineServiceClient;
use gristmill_proto::pipeline::{CreateRunJobRequest, GetRunJobRequest, RunJob, RunSpec, WatchRunJobRequest};
use gristmill_proto::{artifact, evaluation, ingestion, preparation, training};
use gristmill_rpc::channel::LocalRoutes;
use gristmill_rpc::error::Problem;
use gristmill_rpc::{Auth, Caller, Channel, Server, ServerConfig, Services};
use gristmill_runtime::Process;
use gristmill_runtime::database::DataDir;
use gristmill_runtime::slots::Slots;
use gristmill_stage::{Assembled, JobStage, JobVerbs, StageDeps};
use gristmill_store::{Location, Store, StoreConfig};
use gristmill_types::{ArtifactKind, ArtifactRef, Digest, Name};
use prost::Message;
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

use crate::registry::Registry;

/// What the stages should do, and what they did.
#[derive(Debug, Default)]
pub struct Script {
    /// Stages that wait to be told to finish.
    pub held: Mutex<BTreeSet<&'static str>>,
    /// Stages that fail for good, with this message.
    pub broken: Mutex<BTreeMap<&'static str, String>>,
    /// What the evaluation says.
    pub verdict: Mutex<Option<evaluation::VerdictState>>,
    /// How often each stage computed.
    pub computed: Mutex<BTreeMap<&'static str, u32>>,
    pub started: Notify,
    pub finish: Notify,
}

impl Script {
    pub fn hold(&self, stage: &'static str) {
        self.held.lock().unwrap().insert(stage);
    }

    pub fn computed(&self, stage: &str) -> u32 {
        self.computed.lock().unwrap().get(stage).copied().unwrap_or(0)
    }

    /// One attempt of a stage: counts, waits, fails or goes on.
    async fn perform(&self, stage: &'static str, attempt: &Attempt) -> Result<(), JobError> {
        *self.computed.lock().unwrap().entry(stage).or_default() += 1;
        attempt.progress("grinding", 0.5, "half");
        let held = self.held.lock().unwrap().remove(stage);
        if held {
            self.started.notify_one();
            tokio::select! {
                () = self.finish.notified() => {}
                stopped = attempt.cancelled() => return Err(stopped),
            }
        }
        match self.broken.lock().unwrap().get(stage) {
            Some(message) => Err(JobError::permanent("BROKEN", message.clone())),
            None => Ok(()),
        }
    }
}

/// An artifact that depends on the spec alone.
fn output(kind: ArtifactKind, attempt: &Attempt, part: &str) -> ArtifactRef {
    let digest = Digest::of(&[kind.as_str().as_bytes(), part.as_bytes(), attempt.payload()].concat());
    ArtifactRef { kind, digest }
}

fn message(artifact: ArtifactRef) -> Option<artifact::ArtifactRef> {
    Some(artifact.into())
}

macro_rules! toy_stage {
    ($toy:ident, $stage:literal, $package:ident, $server:ident, $service:ident, $mount:ident, $spec:ident, $result:ident, $job:ident,
     $create:ident $create_request:ident $create_response:ident, $get:ident $get_request:ident $get_response:ident,
     $list:ident $list_request:ident $list_response:ident,
     $watch:ident $watch_request:ident $watch_response:ident $watch_stream:ident,
     $cancel:ident $cancel_request:ident $cancel_response:ident, $compute:expr) => {
        #[derive(Clone, Copy)]
        struct $toy;

        impl JobStage for $toy {
            const STAGE: &'static str = $stage;
            const KIND: &'static str = $stage;
            const LOGIC_VERSION: u32 = 1;
            type Spec = $package::$spec;
            type Result = $package::$result;

            fn check(&self, _: &Self::Spec) -> Result<(), Problem> {
                Ok(())
            }
        }

        const _: () = {
            struct ToyWork(Arc<Script>);

            impl Work for ToyWork {
                const KIND: &'static str = $stage;

                async fn run(&self, attempt: Attempt) -> Result<Outcome, JobError> {
                    self.0.perform($stage, &attempt).await?;
                    let compute: fn(&Script, &Attempt) -> (Vec<ArtifactRef>, $package::$result) = $compute;
                    let (outputs, result) = compute(&self.0, &attempt);
                    Ok(Outcome { result: result.encode_to_vec(), outputs })
                }
            }

            struct ToyService(JobVerbs<$toy>);

            fn job(entry: gristmill_stage::Entry<$package::$spec, $package::$result>) -> Option<$package::$job> {
                Some($package::$job { job: Some(entry.job), spec: Some(entry.spec), result: entry.result })
            }

            #[tonic::async_trait]
            impl $package::$server::$service for ToyService {
                async fn $create(
                    &self,
                    request: Request<$package::$create_request>,
                ) -> Result<Response<$package::$create_response>, Status> {
                    let caller = Caller::of(&request)?;
                    let m = request.into_inner();
                    let entry = self.0.create(&caller, &m.project, &m.request_id, m.spec, m.fresh).await?;
                    Ok(Response::new($package::$create_response { job: job(entry) }))
                }

                async fn $get(
                    &self,
                    request: Request<$package::$get_request>,
                ) -> Result<Response<$package::$get_response>, Status> {
                    let caller = Caller::of(&request)?;
                    let m = request.into_inner();
                    let entry = self.0.get(&caller, &m.project, &m.id).await?;
                    Ok(Response::new($package::$get_response { job: job(entry) }))
                }

                async fn $list(
                    &self,
                    request: Request<$package::$list_request>,
                ) -> Result<Response<$package::$list_response>, Status> {
                    let caller = Caller::of(&request)?;
                    let m = request.into_inner();
                    let (jobs, next_page_token) = self.0.list(&caller, &m.project, m.page_size, &m.page_token).await?;
                    let jobs = jobs.into_iter().filter_map(job).collect();
                    Ok(Response::new($package::$list_response { jobs, next_page_token }))
                }

                type $watch_stream = BoxStream<'static, Result<$package::$watch_response, Status>>;

                async fn $watch(
                    &self,
                    request: Request<$package::$watch_request>,
                ) -> Result<Response<Self::$watch_stream>, Status> {
                    let caller = Caller::of(&request)?;
                    let m = request.into_inner();
                    let events = self.0.watch(&caller, &m.project, &m.id, m.after_sequence).await?;
                    let events = events.map(|e| e.map(|event| $package::$watch_response { event: Some(event) }));
                    Ok(Response::new(events.boxed()))
                }

                async fn $cancel(
                    &self,
                    request: Request<$package::$cancel_request>,
                ) -> Result<Response<$package::$cancel_response>, Status> {
                    let caller = Caller::of(&request)?;
                    let m = request.into_inner();
                    let entry = self.0.cancel(&caller, &m.project, &m.id).await?;
                    Ok(Response::new($package::$cancel_response { job: job(entry) }))
                }
            }

            impl $toy {
                async fn open(deps: &StageDeps, script: &Arc<Script>) -> Assembled {
                    let ledger = deps.ledger(&Name::new($stage).unwrap()).await.unwrap();
                    let service = ToyService(JobVerbs::new(ledger.clone(), $toy));
                    let leases = Arc::new(LocalLeases::new(ledger.clone()));
                    let work = Arc::new(ToyWork(script.clone()));
                    let workers = Workers::new($stage, deps.slots.clone()).serve(leases, work, 2);
                    let services = Services::new().add($package::$server::$mount::new(service));
                    Assembled { services, workers, ledger }
                }
            }
        };
    };
}

toy_stage!(
    Ingest, "ingestion", ingestion, ingestion_service_server, IngestionService, IngestionServiceServer,
    IngestionSpec, IngestionResult, IngestionJob,
    create_ingestion_job CreateIngestionJobRequest CreateIngestionJobResponse,
    get_ingestion_job GetIngestionJobRequest GetIngestionJobResponse,
    list_ingestion_jobs ListIngestionJobsRequest ListIngestionJobsResponse,
    watch_ingestion_job WatchIngestionJobRequest WatchIngestionJobResponse WatchIngestionJobStream,
    cancel_ingestion_job CancelIngestionJobRequest CancelIngestionJobResponse,
    |_, attempt| {
        let dataset = output(ArtifactKind::Dataset, attempt, "");
        (vec![dataset], ingestion::IngestionResult { dataset: message(dataset), ..Default::default() })
    }
);
toy_stage!(
    Prepare, "preparation", preparation, preparation_service_server, PreparationService, PreparationServiceServer,
    PreparationSpec, PreparationResult, PreparationJob,
    create_preparation_job CreatePreparationJobRequest CreatePreparationJobResponse,
    get_preparation_job GetPreparationJobRequest GetPreparationJobResponse,
    list_preparation_jobs ListPreparationJobsRequest ListPreparationJobsResponse,
    watch_preparation_job WatchPreparationJobRequest WatchPreparationJobResponse WatchPreparationJobStream,
    cancel_preparation_job CancelPreparationJobRequest CancelPreparationJobResponse,
    |_, attempt| {
        let transform = output(ArtifactKind::Transform, attempt, "");
        let splits = ["train", "validation", "test"].map(|part| output(ArtifactKind::Prepared, attempt, part));
        let result = preparation::PreparationResult {
            transform: message(transform),
            train: message(splits[0]),
            validation: message(splits[1]),
            test: message(splits[2]),
            ..Default::default()
        };
        (vec![transform, splits[0], splits[1], splits[2]], result)
    }
);
toy_stage!(
    Train, "training", training, training_service_server, TrainingService, TrainingServiceServer,
    StudySpec, StudyResult, StudyJob,
    create_study_job CreateStudyJobRequest CreateStudyJobResponse,
    get_study_job GetStudyJobRequest GetStudyJobResponse,
    list_study_jobs ListStudyJobsRequest ListStudyJobsResponse,
    watch_study_job WatchStudyJobRequest WatchStudyJobResponse WatchStudyJobStream,
    cancel_study_job CancelStudyJobRequest CancelStudyJobResponse,
    |_, attempt| {
        let (study, model) = (output(ArtifactKind::Study, attempt, ""), output(ArtifactKind::Model, attempt, ""));
        let result = training::StudyResult { study: message(study), model: message(model), ..Default::default() };
        (vec![study, model], result)
    }
);
toy_stage!(
    Evaluate, "evaluation", evaluation, evaluation_service_server, EvaluationService, EvaluationServiceServer,
    EvaluationSpec, EvaluationResult, EvaluationJob,
    create_evaluation_job CreateEvaluationJobRequest CreateEvaluationJobResponse,
    get_evaluation_job GetEvaluationJobRequest GetEvaluationJobResponse,
    list_evaluation_jobs ListEvaluationJobsRequest ListEvaluationJobsResponse,
    watch_evaluation_job WatchEvaluationJobRequest WatchEvaluationJobResponse WatchEvaluationJobStream,
    cancel_evaluation_job CancelEvaluationJobRequest CancelEvaluationJobResponse,
    |script, attempt| {
        let report = output(ArtifactKind::Evaluation, attempt, "");
        let state = script.verdict.lock().unwrap().unwrap_or(evaluation::VerdictState::Passed);
        let verdict = evaluation::Verdict { state: state.into(), rules: vec![], summary: "as told".into() };
        let result = evaluation::EvaluationResult {
            evaluation: message(report),
            verdict: Some(verdict),
            ..Default::default()
        };
        (vec![report], result)
    }
);

/// The stages, the registry and the pipeline behind one server.
pub struct House {
    pub script: Arc<Script>,
    pub registry: Registry,
    pub channel: Channel,
    running: Vec<Running>,
    _server: Server,
}

impl House {
    /// Opens everything on `folder`, as a process does that starts there.
    pub async fn open(folder: &Path) -> Self {
        let process = Process::new();
        let data = DataDir::open(&folder.join("data")).unwrap();
        let database = data.database("gristmill").await.unwrap();
        let config = StoreConfig::new(Location::Local(folder.join("store")), folder.join("cache"));
        let store = Store::open(&config, process.clock.clone()).await.unwrap();
        let slots = Slots::new(NonZeroUsize::new(2).unwrap());
        let deps = StageDeps { store, database, slots, process };
        let script = Arc::new(Script::default());
        let registry = Registry::open(folder);
        let routes = LocalRoutes::new();
        let channels = Channels::all(&routes.channel("pipeline"));
        let stages = [
            Ingest::open(&deps, &script).await,
            Prepare::open(&deps, &script).await,
            Train::open(&deps, &script).await,
            Evaluate::open(&deps, &script).await,
            gristmill_pipeline::open(&deps, &Config::default(), channels).await.unwrap(),
        ];
        let mut services = Services::new().add(registry.clone().into_service());
        let mut workers = Vec::new();
        for stage in stages {
            services = services.merge(stage.services);
            workers.push(stage.workers);
        }
        let server =
            Server::build(services, Auth::LoopbackOnly, &ServerConfig::default(), &deps.process).await.unwrap();
        assert!(routes.open(&server));
        let running = workers.into_iter().map(Workers::start).collect();
        Self { script, registry, channel: routes.channel("test"), running, _server: server }
    }

    pub fn client(&self) -> PipelineServiceClient<Channel> {
        PipelineServiceClient::new(self.channel.clone())
    }

    /// Starts a run of `text`.
    pub async fn start(&self, text: &str) -> Result<RunJob, Status> {
        let spec = RunSpec { pipeline: text.into(), uploads: uploads(), ..RunSpec::default() };
        let request = CreateRunJobRequest { spec: Some(spec), ..Default::default() };
        Ok(self.client().create_run_job(request).await?.into_inner().job.unwrap())
    }

    pub async fn get(&self, id: &str) -> RunJob {
        let request = GetRunJobRequest { project: String::new(), id: id.into() };
        self.client().get_run_job(request).await.unwrap().into_inner().job.unwrap()
    }

    /// Waits for the end of a run.
    pub async fn end_of(&self, id: &str) -> RunJob {
        let request = WatchRunJobRequest { id: id.into(), ..Default::default() };
        let mut events = self.client().watch_run_job(request).await.unwrap().into_inner();
        while let Some(event) = events.next().await {
            event.unwrap();
        }
        self.get(id).await
    }

    pub async fn run(&self, text: &str) -> RunJob {
        let id = self.start(text).await.unwrap().job.unwrap().id;
        self.end_of(&id).await
    }

    /// Ends the process's part in it: attempts are given back.
    pub async fn drain(self) {
        for running in &self.running {
            running.drain(Duration::ZERO).await;
        }
    }
}

fn uploads() -> BTreeMap<String, artifact::ArtifactRef> {
    let digest = Digest::of(b"rows").to_string();
    [("rows.csv".to_owned(), artifact::ArtifactRef { kind: "source".into(), digest })].into()
}
