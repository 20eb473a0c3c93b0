//! The gRPC face of the stage: checks, records, answers (I5).

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_proto::training::training_service_server::TrainingService;
use gristmill_proto::training::{
    CancelStudyJobRequest, CancelStudyJobResponse, CreateStudyJobRequest, CreateStudyJobResponse, GetStudyJobRequest,
    GetStudyJobResponse, ListStudyJobsRequest, ListStudyJobsResponse, StudyJob, StudyResult, StudySpec, TrialResult,
    TrialSpec, WatchStudyJobRequest, WatchStudyJobResponse,
};
use gristmill_rpc::Caller;
use gristmill_rpc::error::Problem;
use gristmill_stage::{Entry, JobStage, JobVerbs};
use tonic::{Request, Response, Status};

use crate::stage::LOGIC_VERSION;
use crate::{TrainingError, convert};

/// What study jobs are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Studies;

/// What trial jobs are; only studies submit them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trials;

impl JobStage for Studies {
    const STAGE: &'static str = "training";
    const KIND: &'static str = "study";
    const LOGIC_VERSION: u32 = LOGIC_VERSION;
    type Spec = StudySpec;
    type Result = StudyResult;

    fn check(&self, spec: &StudySpec) -> Result<(), Problem> {
        convert::check(spec).map(drop).map_err(problem)
    }
}

impl JobStage for Trials {
    const STAGE: &'static str = "training";
    const KIND: &'static str = "trial";
    const LOGIC_VERSION: u32 = LOGIC_VERSION;
    type Spec = TrialSpec;
    type Result = TrialResult;

    fn check(&self, spec: &TrialSpec) -> Result<(), Problem> {
        convert::check_trial(spec).map(drop).map_err(problem)
    }
}

fn problem(error: TrainingError) -> Problem {
    let problem = Problem::invalid(error.reason(), error.to_string());
    match error {
        TrainingError::Spec { field, message } => problem.violation(field, message),
        _ => problem,
    }
}

/// The service over the stage's ledger.
#[derive(Debug)]
pub(crate) struct Service(pub JobVerbs<Studies>);

fn job(entry: Entry<StudySpec, StudyResult>) -> StudyJob {
    StudyJob { job: Some(entry.job), spec: Some(entry.spec), result: entry.result }
}

#[tonic::async_trait]
impl TrainingService for Service {
    async fn create_study_job(
        &self,
        request: Request<CreateStudyJobRequest>,
    ) -> Result<Response<CreateStudyJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.create(&caller, &m.project, &m.request_id, m.spec, m.fresh).await?;
        Ok(Response::new(CreateStudyJobResponse { job: Some(job(entry)) }))
    }

    async fn get_study_job(
        &self,
        request: Request<GetStudyJobRequest>,
    ) -> Result<Response<GetStudyJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.get(&caller, &m.project, &m.id).await?;
        Ok(Response::new(GetStudyJobResponse { job: Some(job(entry)) }))
    }

    async fn list_study_jobs(
        &self,
        request: Request<ListStudyJobsRequest>,
    ) -> Result<Response<ListStudyJobsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let (entries, next_page_token) = self.0.list(&caller, &m.project, m.page_size, &m.page_token).await?;
        let jobs = entries.into_iter().map(job).collect();
        Ok(Response::new(ListStudyJobsResponse { jobs, next_page_token }))
    }

    type WatchStudyJobStream = BoxStream<'static, Result<WatchStudyJobResponse, Status>>;

    async fn watch_study_job(
        &self,
        request: Request<WatchStudyJobRequest>,
    ) -> Result<Response<Self::WatchStudyJobStream>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let events = self.0.watch(&caller, &m.project, &m.id, m.after_sequence).await?;
        let events = events.map(|event| event.map(|event| WatchStudyJobResponse { event: Some(event) }));
        Ok(Response::new(events.boxed()))
    }

    async fn cancel_study_job(
        &self,
        request: Request<CancelStudyJobRequest>,
    ) -> Result<Response<CancelStudyJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.cancel(&caller, &m.project, &m.id).await?;
        Ok(Response::new(CancelStudyJobResponse { job: Some(job(entry)) }))
    }
}
