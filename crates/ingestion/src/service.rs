//! The gRPC face of the stage: checks, records, answers (I5).

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_proto::ingestion::ingestion_service_server::IngestionService;
use gristmill_proto::ingestion::{
    CancelIngestionJobRequest, CancelIngestionJobResponse, CreateIngestionJobRequest, CreateIngestionJobResponse,
    GetIngestionJobRequest, GetIngestionJobResponse, IngestionJob, IngestionResult, IngestionSpec,
    ListIngestionJobsRequest, ListIngestionJobsResponse, WatchIngestionJobRequest, WatchIngestionJobResponse, source,
};
use gristmill_rpc::Caller;
use gristmill_rpc::error::Problem;
use gristmill_stage::{Entry, JobStage, JobVerbs};
use tonic::{Request, Response, Status};

use crate::stage::LOGIC_VERSION;
use crate::{IngestionError, Settings, convert};

/// What ingestion jobs are.
#[derive(Debug, Clone)]
pub(crate) struct Ingestion(pub Settings);

impl JobStage for Ingestion {
    const STAGE: &'static str = "ingestion";
    const KIND: &'static str = "ingestion";
    const LOGIC_VERSION: u32 = LOGIC_VERSION;
    type Spec = IngestionSpec;
    type Result = IngestionResult;

    fn check(&self, spec: &IngestionSpec) -> Result<(), Problem> {
        convert::check(spec, &self.0).map(|_| ()).map_err(|error| {
            let problem = Problem::new(error.code(), error.reason(), error.to_string());
            match error {
                IngestionError::Spec(violation) => problem.violation(violation.field, violation.description),
                IngestionError::Frame(
                    gristmill_frame::Error::Spec { field, problem: what }
                    | gristmill_frame::Error::Sql { field, problem: what },
                ) => problem.violation(field, what),
                _ => problem,
            }
        })
    }
}

/// Whether a source is a file that may change while its address stays: such a job is never answered
/// from an earlier one.
fn reads_files(spec: Option<&IngestionSpec>) -> bool {
    spec.is_some_and(|spec| spec.sources.iter().any(|s| matches!(s.location, Some(source::Location::Uri(_)))))
}

/// The service over the stage's ledger.
#[derive(Debug)]
pub(crate) struct Service(pub JobVerbs<Ingestion>);

fn job(entry: Entry<IngestionSpec, IngestionResult>) -> IngestionJob {
    IngestionJob { job: Some(entry.job), spec: Some(entry.spec), result: entry.result }
}

#[tonic::async_trait]
impl IngestionService for Service {
    async fn create_ingestion_job(
        &self,
        request: Request<CreateIngestionJobRequest>,
    ) -> Result<Response<CreateIngestionJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let fresh = m.fresh || reads_files(m.spec.as_ref());
        let entry = self.0.create(&caller, &m.project, &m.request_id, m.spec, fresh).await?;
        Ok(Response::new(CreateIngestionJobResponse { job: Some(job(entry)) }))
    }

    async fn get_ingestion_job(
        &self,
        request: Request<GetIngestionJobRequest>,
    ) -> Result<Response<GetIngestionJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.get(&caller, &m.project, &m.id).await?;
        Ok(Response::new(GetIngestionJobResponse { job: Some(job(entry)) }))
    }

    async fn list_ingestion_jobs(
        &self,
        request: Request<ListIngestionJobsRequest>,
    ) -> Result<Response<ListIngestionJobsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let (entries, next_page_token) = self.0.list(&caller, &m.project, m.page_size, &m.page_token).await?;
        let jobs = entries.into_iter().map(job).collect();
        Ok(Response::new(ListIngestionJobsResponse { jobs, next_page_token }))
    }

    type WatchIngestionJobStream = BoxStream<'static, Result<WatchIngestionJobResponse, Status>>;

    async fn watch_ingestion_job(
        &self,
        request: Request<WatchIngestionJobRequest>,
    ) -> Result<Response<Self::WatchIngestionJobStream>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let events = self.0.watch(&caller, &m.project, &m.id, m.after_sequence).await?;
        let events = events.map(|event| event.map(|event| WatchIngestionJobResponse { event: Some(event) }));
        Ok(Response::new(events.boxed()))
    }

    async fn cancel_ingestion_job(
        &self,
        request: Request<CancelIngestionJobRequest>,
    ) -> Result<Response<CancelIngestionJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.cancel(&caller, &m.project, &m.id).await?;
        Ok(Response::new(CancelIngestionJobResponse { job: Some(job(entry)) }))
    }
}
