//! The gRPC face of the stage: checks, records, answers (I5).

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_proto::monitoring::monitoring_service_server::MonitoringService;
use gristmill_proto::monitoring::{
    CancelMonitoringJobRequest, CancelMonitoringJobResponse, CreateMonitoringJobRequest, CreateMonitoringJobResponse,
    GetMonitoringJobRequest, GetMonitoringJobResponse, ListMonitoringJobsRequest, ListMonitoringJobsResponse,
    MonitoringJob, MonitoringResult, MonitoringSpec, WatchMonitoringJobRequest, WatchMonitoringJobResponse,
};
use gristmill_rpc::Caller;
use gristmill_rpc::error::Problem;
use gristmill_stage::{Entry, JobStage, JobVerbs};
use tonic::{Request, Response, Status};

use crate::convert;
use crate::stage::LOGIC_VERSION;

/// What monitoring jobs are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Monitoring;

impl JobStage for Monitoring {
    const STAGE: &'static str = "monitoring";
    const KIND: &'static str = "monitoring";
    const LOGIC_VERSION: u32 = LOGIC_VERSION;
    type Spec = MonitoringSpec;
    type Result = MonitoringResult;

    fn check(&self, spec: &MonitoringSpec) -> Result<(), Problem> {
        match convert::check(spec) {
            Ok(_) => Ok(()),
            Err(error) => {
                let problem = Problem::invalid(error.reason(), error.to_string());
                Err(match error {
                    crate::MonitoringError::Spec { field, message } => problem.violation(field, message),
                    _ => problem,
                })
            }
        }
    }
}

/// The service over the stage's ledger.
#[derive(Debug)]
pub(crate) struct Service(pub JobVerbs<Monitoring>);

fn job(entry: Entry<MonitoringSpec, MonitoringResult>) -> MonitoringJob {
    MonitoringJob { job: Some(entry.job), spec: Some(entry.spec), result: entry.result }
}

#[tonic::async_trait]
impl MonitoringService for Service {
    async fn create_monitoring_job(
        &self,
        request: Request<CreateMonitoringJobRequest>,
    ) -> Result<Response<CreateMonitoringJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.create(&caller, &m.project, &m.request_id, m.spec, m.fresh).await?;
        Ok(Response::new(CreateMonitoringJobResponse { job: Some(job(entry)) }))
    }

    async fn get_monitoring_job(
        &self,
        request: Request<GetMonitoringJobRequest>,
    ) -> Result<Response<GetMonitoringJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.get(&caller, &m.project, &m.id).await?;
        Ok(Response::new(GetMonitoringJobResponse { job: Some(job(entry)) }))
    }

    async fn list_monitoring_jobs(
        &self,
        request: Request<ListMonitoringJobsRequest>,
    ) -> Result<Response<ListMonitoringJobsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let (entries, next_page_token) = self.0.list(&caller, &m.project, m.page_size, &m.page_token).await?;
        let jobs = entries.into_iter().map(job).collect();
        Ok(Response::new(ListMonitoringJobsResponse { jobs, next_page_token }))
    }

    type WatchMonitoringJobStream = BoxStream<'static, Result<WatchMonitoringJobResponse, Status>>;

    async fn watch_monitoring_job(
        &self,
        request: Request<WatchMonitoringJobRequest>,
    ) -> Result<Response<Self::WatchMonitoringJobStream>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let events = self.0.watch(&caller, &m.project, &m.id, m.after_sequence).await?;
        let events = events.map(|event| event.map(|event| WatchMonitoringJobResponse { event: Some(event) }));
        Ok(Response::new(events.boxed()))
    }

    async fn cancel_monitoring_job(
        &self,
        request: Request<CancelMonitoringJobRequest>,
    ) -> Result<Response<CancelMonitoringJobResponse>, Status> {
        let caller = Caller::of(&request)?;
        let m = request.into_inner();
        let entry = self.0.cancel(&caller, &m.project, &m.id).await?;
        Ok(Response::new(CancelMonitoringJobResponse { job: Some(job(entry)) }))
    }
}
