//! The lease service of a stage: its ledger for workers elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gristmill_proto::job as message;
use gristmill_proto::job::lease_service_server::{LeaseService, LeaseServiceServer};
use tonic::{Request, Response, Status};

use crate::work::Rows;
use crate::{Claim, Ledger, LedgerError, StageRows, Work, convert};

/// The longest wait of a claim.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Digests of one pin request.
const MAX_PINS: usize = 10_000;

/// Serves a ledger to remote workers. Stage rows are written here, by the [`Work`] that was accepted for
/// the kind.
#[derive(Clone)]
pub struct LeaseServer {
    ledger: Arc<dyn Ledger>,
    rows: BTreeMap<&'static str, Arc<dyn StageRows>>,
}

impl fmt::Debug for LeaseServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseServer").field("kinds", &self.rows.keys()).finish_non_exhaustive()
    }
}

impl LeaseServer {
    /// Serves `ledger`; no kind is accepted yet.
    pub fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self { ledger, rows: BTreeMap::new() }
    }

    /// Lets remote workers do jobs of this kind; `work` writes the stage's rows.
    #[must_use]
    pub fn accept<W: Work>(mut self, work: Arc<W>) -> Self {
        self.rows.insert(W::KIND, Arc::new(Rows(work)));
        self
    }

    /// The service to mount.
    pub fn into_service(self) -> LeaseServiceServer<Self> {
        LeaseServiceServer::new(self)
    }

    /// Claims, and waits and claims again until there is a job or the time is over.
    async fn claim_within(&self, claim: &Claim, wait: Duration) -> Result<Option<crate::Leased>, LedgerError> {
        let until = tokio::time::Instant::now() + wait;
        loop {
            if let Some(leased) = self.ledger.claim(claim).await? {
                return Ok(Some(leased));
            }
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // Looks again every second: a backoff may end without a ring.
            self.ledger.work_available(claim, left.min(Duration::from_secs(1))).await?;
        }
    }

    /// The kinds among `asked` that this server accepts.
    fn accepted(&self, asked: Vec<String>) -> Result<Vec<String>, Status> {
        let (known, unknown): (Vec<_>, Vec<_>) =
            asked.into_iter().partition(|kind| self.rows.contains_key(kind.as_str()));
        match (known.is_empty(), unknown.first()) {
            (false, _) => Ok(known),
            (true, _) => Err(convert::invalid(&gristmill_proto::ConvertError::new(
                "kinds",
                format!("name at least one of {}", self.rows.keys().copied().collect::<Vec<_>>().join(", ")),
            ))),
        }
    }
}

#[tonic::async_trait]
impl LeaseService for LeaseServer {
    async fn claim_job(
        &self,
        request: Request<message::ClaimJobRequest>,
    ) -> Result<Response<message::ClaimJobResponse>, Status> {
        let request = request.into_inner();
        let claim = Claim {
            worker: request.worker.chars().take(128).collect(),
            kinds: self.accepted(request.kinds)?,
            spec_version: request.spec_version,
        };
        let wait = Duration::from_millis(request.wait_millis.into()).min(MAX_WAIT);
        let leased = self.claim_within(&claim, wait).await.map_err(|error| convert::status(&error))?;
        let Some(leased) = leased else { return Ok(Response::new(message::ClaimJobResponse::default())) };
        Ok(Response::new(message::ClaimJobResponse {
            lease: Some(convert::lease_message(&leased.lease)),
            spec_digest: gristmill_types::Digest::of(&leased.job.payload).to_string(),
            kind: leased.job.kind,
            spec: leased.job.payload,
            spec_version: leased.job.spec_version,
            lease_micros: i64::try_from(leased.lasts.as_micros()).unwrap_or(i64::MAX),
            parent_id: leased.job.parent.map(|id| id.to_string()).unwrap_or_default(),
            checkpoint: leased.checkpoint.map(|state| state.to_string()).unwrap_or_default(),
        }))
    }

    async fn heartbeat_job(
        &self,
        request: Request<message::HeartbeatJobRequest>,
    ) -> Result<Response<message::HeartbeatJobResponse>, Status> {
        let request = request.into_inner();
        let lease = convert::read_lease(request.lease).map_err(|error| convert::invalid(&error))?;
        let progress = request.progress.map(convert::read_progress);
        let beat = self.ledger.heartbeat(&lease, progress).await.map_err(|error| convert::status(&error))?;
        Ok(Response::new(message::HeartbeatJobResponse { cancel: beat.cancel }))
    }

    async fn pin_artifacts(
        &self,
        request: Request<message::PinArtifactsRequest>,
    ) -> Result<Response<message::PinArtifactsResponse>, Status> {
        let request = request.into_inner();
        let lease = convert::read_lease(request.lease).map_err(|error| convert::invalid(&error))?;
        if request.digests.len() > MAX_PINS {
            return Err(Status::invalid_argument(format!("pin at most {MAX_PINS} digests at once")));
        }
        let digests = request.digests.iter().map(|text| convert::digest("digests", text));
        let digests = digests.collect::<Result<Vec<_>, _>>().map_err(|error| convert::invalid(&error))?;
        self.ledger.pin(&lease, &digests).await.map_err(|error| convert::status(&error))?;
        Ok(Response::new(message::PinArtifactsResponse {}))
    }

    async fn checkpoint_job(
        &self,
        request: Request<message::CheckpointJobRequest>,
    ) -> Result<Response<message::CheckpointJobResponse>, Status> {
        let request = request.into_inner();
        let lease = convert::read_lease(request.lease).map_err(|error| convert::invalid(&error))?;
        let state = convert::digest("digest", &request.digest).map_err(|error| convert::invalid(&error))?;
        self.ledger.checkpoint(&lease, state).await.map_err(|error| convert::status(&error))?;
        Ok(Response::new(message::CheckpointJobResponse {}))
    }

    async fn commit_job(
        &self,
        request: Request<message::CommitJobRequest>,
    ) -> Result<Response<message::CommitJobResponse>, Status> {
        let mut request = request.into_inner();
        let lease = convert::read_lease(request.lease.take()).map_err(|error| convert::invalid(&error))?;
        let (outcome, observed) = convert::read_commit(&request).map_err(|error| convert::invalid(&error))?;
        let job = self.ledger.get(&lease.project, lease.job).await.map_err(|error| convert::status(&error))?;
        let rows = self
            .rows
            .get(job.kind.as_str())
            .ok_or_else(|| convert::status(&LedgerError::NotFound { id: lease.job }))?;
        let done = self.ledger.commit(&lease, &outcome, observed, rows.as_ref()).await;
        let job = done.map_err(|error| convert::status(&error))?;
        Ok(Response::new(message::CommitJobResponse { state: convert::state(job.state) }))
    }

    async fn fail_job(
        &self,
        request: Request<message::FailJobRequest>,
    ) -> Result<Response<message::FailJobResponse>, Status> {
        let request = request.into_inner();
        let lease = convert::read_lease(request.lease).map_err(|error| convert::invalid(&error))?;
        let error = convert::read_error(request.error.unwrap_or_default());
        let job = self.ledger.fail(&lease, &error, crate::Observed::default()).await;
        let job = job.map_err(|error| convert::status(&error))?;
        Ok(Response::new(message::FailJobResponse { state: convert::state(job.state) }))
    }

    async fn release_job(
        &self,
        request: Request<message::ReleaseJobRequest>,
    ) -> Result<Response<message::ReleaseJobResponse>, Status> {
        let lease = convert::read_lease(request.into_inner().lease).map_err(|error| convert::invalid(&error))?;
        self.ledger.release(&lease).await.map_err(|error| convert::status(&error))?;
        Ok(Response::new(message::ReleaseJobResponse {}))
    }
}
