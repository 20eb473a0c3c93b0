//! The gRPC face of the stage: checks, records, answers (I5).

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_jobs::{Job, Ledger, Submit, Submitted};
use gristmill_proto::job as job_message;
use gristmill_proto::pipeline::pipeline_service_server::PipelineService;
use gristmill_proto::pipeline::{
    CancelRunJobRequest, CancelRunJobResponse, CheckPipelineRequest, CheckPipelineResponse, CreateRunJobRequest,
    CreateRunJobResponse, GetRunJobRequest, GetRunJobResponse, ListRunJobsRequest, ListRunJobsResponse,
    ResumeRunRequest, ResumeRunResponse, RunJob, RunResult, Step, WatchRunJobRequest, WatchRunJobResponse,
};
use gristmill_rpc::Caller;
use gristmill_rpc::error::Problem;
use gristmill_stage::{Entry, JobStage, JobVerbs, ledger_problem};
use gristmill_types::{Digest, JobId, JobState, Project, RequestId};
use prost::Message;
use tonic::{Request, Response, Status};

use crate::file::{Given, Interval, Pipeline};
use crate::steps::Steps;
use crate::{PipelineError, convert, run};

/// Times a chain of resumed runs is followed.
const RESUMES: u32 = 1_000;

/// What runs are. Their payload is the request that made them, without project and request id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Runs;

impl JobStage for Runs {
    const STAGE: &'static str = "pipeline";
    const KIND: &'static str = "run";
    const LOGIC_VERSION: u32 = 1;
    type Spec = CreateRunJobRequest;
    type Result = RunResult;

    fn check(&self, payload: &CreateRunJobRequest) -> Result<(), Problem> {
        check(payload).map(drop).map_err(Into::into)
    }
}

/// Reads the file, and checks that all it needs was given.
fn check(payload: &CreateRunJobRequest) -> Result<Pipeline, PipelineError> {
    let spec = payload.spec.as_ref().cloned().unwrap_or_default();
    let pipeline = run::read(&spec)?;
    convert::ingestion(&pipeline, &spec.uploads)?;
    Ok(pipeline)
}

/// The service over the stage's ledger.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) verbs: JobVerbs<Runs>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) steps: Steps,
}

impl Service {
    /// Records a run. An equal one that is under way is joined; one that has ended is not answered
    /// again, since a run also depends on the champion of the day: its steps are what is reused.
    async fn submit(
        &self,
        caller: &Caller,
        project: Project,
        request_id: Option<RequestId>,
        payload: CreateRunJobRequest,
    ) -> Result<Submitted, Status> {
        let pipeline = check(&payload).map_err(Problem::from)?;
        let submit = Submit::new(project, Runs::KIND, request_id, payload.encode_to_vec())
            .cache_key(key(&pipeline, &payload))
            .unfinished_only()
            .fresh(payload.fresh)
            .actor(caller.principal().audit_name());
        Ok(self.ledger.submit(submit).await.map_err(ledger_problem)?)
    }

    async fn answer(&self, entry: Entry<CreateRunJobRequest, RunResult>) -> Result<RunJob, Status> {
        let id: JobId = entry.job.id.parse().map_err(|error: String| Status::internal(error))?;
        let steps = self.steps.of(id).await.map_err(PipelineError::from).map_err(Problem::from)?;
        let steps = steps.into_iter().map(|step| as_it_stands(step, &entry.job)).collect();
        Ok(RunJob { job: Some(entry.job), spec: entry.spec.spec, result: entry.result, steps })
    }

    async fn answer_job(&self, job: &Job, cached: bool) -> Result<RunJob, Status> {
        let unreadable = |error: prost::DecodeError| Status::from(Problem::internal(&error));
        let spec = CreateRunJobRequest::decode(job.payload.as_slice()).map_err(unreadable)?;
        let result = job.result.as_deref().map(RunResult::decode).transpose().map_err(unreadable)?;
        self.answer(Entry { job: gristmill_jobs::job_message(job, cached), spec, result }).await
    }
}

/// Names equal runs: what the file means, and which bytes it reads.
fn key(pipeline: &Pipeline, payload: &CreateRunJobRequest) -> Digest {
    let mut text = pipeline.canonical();
    for (path, artifact) in payload.spec.iter().flat_map(|spec| &spec.uploads) {
        text.push_str(&format!("{path} {}/{}\n", artifact.kind, artifact.digest));
    }
    gristmill_stage::cache_key::<Runs>(text.as_bytes())
}

/// A step under way has the run's progress; if the run has ended, it has ended with it.
fn as_it_stands(step: Step, run: &job_message::Job) -> Step {
    if step.state() != job_message::JobState::Running {
        return step;
    }
    match run.state() {
        job_message::JobState::Failed | job_message::JobState::Cancelled => Step { state: run.state, ..step },
        _ => {
            let progress = run.progress.clone().filter(|progress| progress.phase == step.stage);
            Step { progress, ..step }
        }
    }
}

#[tonic::async_trait]
impl PipelineService for Service {
    async fn create_run_job(
        &self,
        request: Request<CreateRunJobRequest>,
    ) -> Result<Response<CreateRunJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let project = caller.project(&m.project)?;
        let request_id = gristmill_proto::request_id(&m.request_id).map_err(|error| {
            Problem::invalid("INVALID_FIELD", error.to_string()).violation(error.field.clone(), error.message.clone())
        })?;
        let payload = CreateRunJobRequest { project: String::new(), request_id: String::new(), ..m };
        let submitted = self.submit(&caller, project, request_id, payload).await?;
        let job = self.answer_job(&submitted.job, submitted.cached).await?;
        Ok(Response::new(CreateRunJobResponse { job: Some(job) }))
    }

    async fn get_run_job(&self, request: Request<GetRunJobRequest>) -> Result<Response<GetRunJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.verbs.get(&caller, &m.project, &m.id).await?;
        Ok(Response::new(GetRunJobResponse { job: Some(self.answer(entry).await?) }))
    }

    async fn list_run_jobs(
        &self,
        request: Request<ListRunJobsRequest>,
    ) -> Result<Response<ListRunJobsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let (entries, next_page_token) = self.verbs.list(&caller, &m.project, m.page_size, &m.page_token).await?;
        let mut jobs = Vec::with_capacity(entries.len());
        for entry in entries {
            jobs.push(self.answer(entry).await?);
        }
        Ok(Response::new(ListRunJobsResponse { jobs, next_page_token }))
    }

    type WatchRunJobStream = BoxStream<'static, Result<WatchRunJobResponse, Status>>;

    async fn watch_run_job(
        &self,
        request: Request<WatchRunJobRequest>,
    ) -> Result<Response<Self::WatchRunJobStream>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let events = self.verbs.watch(&caller, &m.project, &m.id, m.after_sequence).await?;
        let events = events.map(|event| event.map(|event| WatchRunJobResponse { event: Some(event) }));
        Ok(Response::new(events.boxed()))
    }

    async fn cancel_run_job(
        &self,
        request: Request<CancelRunJobRequest>,
    ) -> Result<Response<CancelRunJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.verbs.cancel(&caller, &m.project, &m.id).await?;
        Ok(Response::new(CancelRunJobResponse { job: Some(self.answer(entry).await?) }))
    }

    /// A run that has failed or was cancelled stays what it is; its successor does the same request,
    /// and the steps that succeeded are answered from their jobs.
    async fn resume_run(&self, request: Request<ResumeRunRequest>) -> Result<Response<ResumeRunResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let mut job = self.verbs.find(&caller, &m.project, &m.id).await?;
        for _ in 0..RESUMES {
            if !matches!(job.state, JobState::Failed | JobState::Cancelled) {
                break;
            }
            let payload = CreateRunJobRequest::decode(job.payload.as_slice())
                .map_err(|error| Status::from(Problem::internal(&error)))?;
            let request_id = RequestId::new(format!("resume.{}", job.id)).map_err(Status::internal)?;
            job = self.submit(&caller, job.project.clone(), Some(request_id), payload).await?.job;
        }
        Ok(Response::new(ResumeRunResponse { job: Some(self.answer_job(&job, false).await?) }))
    }

    async fn check_pipeline(
        &self,
        request: Request<CheckPipelineRequest>,
    ) -> Result<Response<CheckPipelineResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        caller.project(&m.project)?;
        let given = Given { parameters: m.parameters, interval: Interval::default() };
        let pipeline = Pipeline::parse(&m.pipeline, &given).map_err(PipelineError::from).map_err(Problem::from)?;
        Ok(Response::new(CheckPipelineResponse { canonical: pipeline.canonical() }))
    }
}
