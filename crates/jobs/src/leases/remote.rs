//! Leases of a ledger behind the lease service.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gristmill_proto::job as message;
use gristmill_proto::job::lease_service_client::LeaseServiceClient;
use gristmill_types::{Digest, JobState};
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{Body as HttpBody, StdError};

use super::Leases;
use crate::{Beat, Claim, Job, JobError, Lease, Leased, LedgerError, Observed, Outcome, Progress, StageRows, convert};

/// How long a claim waits at the server.
const WAIT: Duration = Duration::from_secs(20);
/// Heartbeats are also how a remote worker hears of a cancellation.
const BEAT: Duration = Duration::from_secs(1);

/// Leases jobs over a channel: no database, no credentials but the channel's own.
#[derive(Clone)]
pub struct RemoteLeases<T>(LeaseServiceClient<T>);

impl<T> fmt::Debug for RemoteLeases<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteLeases")
    }
}

impl<T> RemoteLeases<T> {
    /// Leases jobs through `client`.
    pub const fn new(client: LeaseServiceClient<T>) -> Self {
        Self(client)
    }
}

#[async_trait]
impl<T> Leases for RemoteLeases<T>
where
    T: GrpcService<Body> + Clone + Send + Sync + 'static,
    T::Error: Into<StdError>,
    T::Future: Send,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    async fn claim(&self, claim: &Claim) -> Result<Option<Leased>, LedgerError> {
        let request = message::ClaimJobRequest {
            worker: claim.worker.clone(),
            kinds: claim.kinds.clone(),
            spec_version: claim.spec_version,
            wait_millis: u32::try_from(WAIT.as_millis()).unwrap_or(u32::MAX),
        };
        let answer = self.0.clone().claim_job(request).await.map_err(|status| convert::failure(&status))?;
        let answer = answer.into_inner();
        if answer.lease.is_none() { Ok(None) } else { read_leased(answer).map(Some) }
    }

    async fn work_available(&self, _: &Claim, _: Duration) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn heartbeat(&self, lease: &Lease, progress: Option<Progress>) -> Result<Beat, LedgerError> {
        let request = message::HeartbeatJobRequest {
            lease: Some(convert::lease_message(lease)),
            progress: progress.as_ref().map(convert::progress_message),
        };
        let answer = self.0.clone().heartbeat_job(request).await;
        let answer = answer.map_err(|status| convert::refusal(lease, &status))?.into_inner();
        Ok(Beat { cancel: answer.cancel })
    }

    async fn interrupted(&self, _: &Lease) {
        std::future::pending().await
    }

    fn beat_every(&self, lasts: Duration) -> Duration {
        BEAT.min(lasts / 3)
    }

    async fn pin(&self, lease: &Lease, digests: &[Digest]) -> Result<(), LedgerError> {
        let request = message::PinArtifactsRequest {
            lease: Some(convert::lease_message(lease)),
            digests: digests.iter().map(ToString::to_string).collect(),
        };
        self.0.clone().pin_artifacts(request).await.map_err(|status| convert::refusal(lease, &status))?;
        Ok(())
    }

    async fn checkpoint(&self, lease: &Lease, state: Digest) -> Result<(), LedgerError> {
        let request =
            message::CheckpointJobRequest { lease: Some(convert::lease_message(lease)), digest: state.to_string() };
        self.0.clone().checkpoint_job(request).await.map_err(|status| convert::refusal(lease, &status))?;
        Ok(())
    }

    async fn commit(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        observed: Observed,
        _: &dyn StageRows,
    ) -> Result<(), LedgerError> {
        let request = message::CommitJobRequest {
            lease: Some(convert::lease_message(lease)),
            outputs: outcome.outputs.iter().copied().map(Into::into).collect(),
            result: outcome.result.clone(),
            cpu_seconds: observed.cpu.as_secs_f64(),
            peak_memory_bytes: observed.peak_bytes,
        };
        self.0.clone().commit_job(request).await.map_err(|status| convert::refusal(lease, &status))?;
        Ok(())
    }

    async fn fail(&self, lease: &Lease, error: &JobError, _: Observed) -> Result<(), LedgerError> {
        let request = message::FailJobRequest {
            lease: Some(convert::lease_message(lease)),
            error: Some(convert::error_message(error)),
        };
        self.0.clone().fail_job(request).await.map_err(|status| convert::refusal(lease, &status))?;
        Ok(())
    }

    async fn release(&self, lease: &Lease) -> Result<(), LedgerError> {
        let request = message::ReleaseJobRequest { lease: Some(convert::lease_message(lease)) };
        self.0.clone().release_job(request).await.map_err(|status| convert::refusal(lease, &status))?;
        Ok(())
    }
}

fn read_leased(answer: message::ClaimJobResponse) -> Result<Leased, LedgerError> {
    let malformed = |error: gristmill_proto::ConvertError| LedgerError::Remote {
        code: gristmill_types::ErrorCode::Internal,
        message: error.to_string(),
    };
    let lease = convert::read_lease(answer.lease).map_err(malformed)?;
    let parent = match answer.parent_id.as_str() {
        "" => None,
        text => Some(gristmill_proto::job_id(text).map_err(malformed)?),
    };
    let checkpoint = match answer.checkpoint.as_str() {
        "" => None,
        text => Some(convert::digest("checkpoint", text).map_err(malformed)?),
    };
    let job = Job {
        id: lease.job,
        project: lease.project.clone(),
        kind: answer.kind,
        parent,
        state: JobState::Running,
        spec_version: answer.spec_version,
        payload: answer.spec,
        cache_key: None,
        priority: 0,
        fence: lease.fence,
        tries: 1,
        max_attempts: 1,
        actor: None,
        cancel_requested: false,
        created_at: 0,
        started_at: None,
        ended_at: None,
        run_at: 0,
        progress: None,
        result: None,
        outputs: Vec::new(),
        error: None,
        observed: Observed::default(),
        sequence: 0,
        // Only who submits children asks; a remote worker has no ledger to do so.
        fresh: false,
    };
    let lasts = Duration::from_micros(u64::try_from(answer.lease_micros).unwrap_or(0)).max(BEAT);
    Ok(Leased { lease, job, lasts, checkpoint })
}
