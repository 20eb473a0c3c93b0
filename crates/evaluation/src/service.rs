//! The gRPC face of the stage: checks, records, answers (I5).

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_proto::evaluation::evaluation_service_server::EvaluationService;
use gristmill_proto::evaluation::{
    CancelEvaluationJobRequest, CancelEvaluationJobResponse, CreateEvaluationJobRequest, CreateEvaluationJobResponse,
    EvaluationJob, EvaluationResult, EvaluationSpec, GetEvaluationJobRequest, GetEvaluationJobResponse,
    ListEvaluationJobsRequest, ListEvaluationJobsResponse, WatchEvaluationJobRequest, WatchEvaluationJobResponse,
};
use gristmill_rpc::Caller;
use gristmill_rpc::error::Problem;
use gristmill_stage::{Entry, JobStage, JobVerbs};
use tonic::{Request, Response, Status};

use crate::stage::LOGIC_VERSION;
use crate::{EvaluationError, convert};

/// What evaluation jobs are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evaluations;

impl JobStage for Evaluations {
    const STAGE: &'static str = "evaluation";
    const KIND: &'static str = "evaluation";
    const LOGIC_VERSION: u32 = LOGIC_VERSION;
    type Spec = EvaluationSpec;
    type Result = EvaluationResult;

    fn check(&self, spec: &EvaluationSpec) -> Result<(), Problem> {
        convert::check(spec).map(|_| ()).map_err(|error| {
            let problem = Problem::invalid(error.reason(), error.to_string());
            match error {
                EvaluationError::Spec { field, message } => problem.violation(field, message),
                EvaluationError::Gate(gate) => gate
                    .problems
                    .into_iter()
                    .fold(problem, |problem, (field, message)| problem.violation(field, message)),
                _ => problem,
            }
        })
    }
}

/// The service over the stage's ledger.
#[derive(Debug)]
pub(crate) struct Service(pub JobVerbs<Evaluations>);

fn job(entry: Entry<EvaluationSpec, EvaluationResult>) -> EvaluationJob {
    EvaluationJob { job: Some(entry.job), spec: Some(entry.spec), result: entry.result }
}

#[tonic::async_trait]
impl EvaluationService for Service {
    async fn create_evaluation_job(
        &self,
        request: Request<CreateEvaluationJobRequest>,
    ) -> Result<Response<CreateEvaluationJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.create(&caller, &m.project, &m.request_id, m.spec, m.fresh).await?;
        Ok(Response::new(CreateEvaluationJobResponse { job: Some(job(entry)) }))
    }

    async fn get_evaluation_job(
        &self,
        request: Request<GetEvaluationJobRequest>,
    ) -> Result<Response<GetEvaluationJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.get(&caller, &m.project, &m.id).await?;
        Ok(Response::new(GetEvaluationJobResponse { job: Some(job(entry)) }))
    }

    async fn list_evaluation_jobs(
        &self,
        request: Request<ListEvaluationJobsRequest>,
    ) -> Result<Response<ListEvaluationJobsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let (entries, next_page_token) = self.0.list(&caller, &m.project, m.page_size, &m.page_token).await?;
        let jobs = entries.into_iter().map(job).collect();
        Ok(Response::new(ListEvaluationJobsResponse { jobs, next_page_token }))
    }

    type WatchEvaluationJobStream = BoxStream<'static, Result<WatchEvaluationJobResponse, Status>>;

    async fn watch_evaluation_job(
        &self,
        request: Request<WatchEvaluationJobRequest>,
    ) -> Result<Response<Self::WatchEvaluationJobStream>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let events = self.0.watch(&caller, &m.project, &m.id, m.after_sequence).await?;
        let events = events.map(|event| event.map(|event| WatchEvaluationJobResponse { event: Some(event) }));
        Ok(Response::new(events.boxed()))
    }

    async fn cancel_evaluation_job(
        &self,
        request: Request<CancelEvaluationJobRequest>,
    ) -> Result<Response<CancelEvaluationJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.cancel(&caller, &m.project, &m.id).await?;
        Ok(Response::new(CancelEvaluationJobResponse { job: Some(job(entry)) }))
    }
}
