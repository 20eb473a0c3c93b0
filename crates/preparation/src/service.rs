//! The gRPC face of the stage: checks, records, answers (I5).

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_proto::preparation::preparation_service_server::PreparationService;
use gristmill_proto::preparation::{
    CancelPreparationJobRequest, CancelPreparationJobResponse, CreatePreparationJobRequest,
    CreatePreparationJobResponse, GetPreparationJobRequest, GetPreparationJobResponse, ListPreparationJobsRequest,
    ListPreparationJobsResponse, PreparationJob, PreparationResult, PreparationSpec, WatchPreparationJobRequest,
    WatchPreparationJobResponse,
};
use gristmill_rpc::Caller;
use gristmill_rpc::error::Problem;
use gristmill_stage::{Entry, JobStage, JobVerbs};
use tonic::{Request, Response, Status};

use crate::convert;
use crate::stage::LOGIC_VERSION;

/// What preparation jobs are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Preparation;

impl JobStage for Preparation {
    const STAGE: &'static str = "preparation";
    const KIND: &'static str = "preparation";
    const LOGIC_VERSION: u32 = LOGIC_VERSION;
    type Spec = PreparationSpec;
    type Result = PreparationResult;

    fn check(&self, spec: &PreparationSpec) -> Result<(), Problem> {
        match convert::check(spec) {
            Ok(_) => Ok(()),
            Err(error) => {
                let problem = Problem::invalid(error.reason(), error.to_string());
                Err(match error {
                    crate::PreparationError::Spec { field, message } => problem.violation(field, message),
                    _ => problem,
                })
            }
        }
    }
}

/// The service over the stage's ledger.
#[derive(Debug)]
pub(crate) struct Service(pub JobVerbs<Preparation>);

fn job(entry: Entry<PreparationSpec, PreparationResult>) -> PreparationJob {
    PreparationJob { job: Some(entry.job), spec: Some(entry.spec), result: entry.result }
}

#[tonic::async_trait]
impl PreparationService for Service {
    async fn create_preparation_job(
        &self,
        request: Request<CreatePreparationJobRequest>,
    ) -> Result<Response<CreatePreparationJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.create(&caller, &m.project, &m.request_id, m.spec, m.fresh).await?;
        Ok(Response::new(CreatePreparationJobResponse { job: Some(job(entry)) }))
    }

    async fn get_preparation_job(
        &self,
        request: Request<GetPreparationJobRequest>,
    ) -> Result<Response<GetPreparationJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.get(&caller, &m.project, &m.id).await?;
        Ok(Response::new(GetPreparationJobResponse { job: Some(job(entry)) }))
    }

    async fn list_preparation_jobs(
        &self,
        request: Request<ListPreparationJobsRequest>,
    ) -> Result<Response<ListPreparationJobsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let (entries, next_page_token) = self.0.list(&caller, &m.project, m.page_size, &m.page_token).await?;
        let jobs = entries.into_iter().map(job).collect();
        Ok(Response::new(ListPreparationJobsResponse { jobs, next_page_token }))
    }

    type WatchPreparationJobStream = BoxStream<'static, Result<WatchPreparationJobResponse, Status>>;

    async fn watch_preparation_job(
        &self,
        request: Request<WatchPreparationJobRequest>,
    ) -> Result<Response<Self::WatchPreparationJobStream>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let events = self.0.watch(&caller, &m.project, &m.id, m.after_sequence).await?;
        let events = events.map(|event| event.map(|event| WatchPreparationJobResponse { event: Some(event) }));
        Ok(Response::new(events.boxed()))
    }

    async fn cancel_preparation_job(
        &self,
        request: Request<CancelPreparationJobRequest>,
    ) -> Result<Response<CancelPreparationJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.cancel(&caller, &m.project, &m.id).await?;
        Ok(Response::new(CancelPreparationJobResponse { job: Some(job(entry)) }))
    }
}
