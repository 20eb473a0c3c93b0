//! The worker's side of a ledger: in this process, or over the lease service.

mod remote;
mod server;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gristmill_types::Digest;

use crate::{Beat, Claim, JobError, Lease, Leased, Ledger, LedgerError, Observed, Outcome, Progress, StageRows};

pub use remote::RemoteLeases;
pub use server::LeaseServer;

/// How a worker gets, keeps and ends leases; the methods are those of [`Ledger`].
#[async_trait]
pub trait Leases: Send + Sync + fmt::Debug {
    /// Leases at most one job. A remote one waits a while for work, a local one does not.
    async fn claim(&self, claim: &Claim) -> Result<Option<Leased>, LedgerError>;

    /// Waits until there may be work, or for `at_most`. A remote one, whose claim waits, returns at once.
    async fn work_available(&self, claim: &Claim, at_most: Duration) -> Result<(), LedgerError>;

    /// Extends a lease and carries progress.
    async fn heartbeat(&self, lease: &Lease, progress: Option<Progress>) -> Result<Beat, LedgerError>;

    /// Waits until the attempt is to stop; a remote one never says, its heartbeats do.
    async fn interrupted(&self, lease: &Lease);

    /// How often to send a heartbeat under a lease of this length.
    fn beat_every(&self, lasts: Duration) -> Duration;

    /// Protects digests from collection while the attempt lives.
    async fn pin(&self, lease: &Lease, digests: &[Digest]) -> Result<(), LedgerError>;

    /// Names the artifact from which the next attempt may go on.
    async fn checkpoint(&self, lease: &Lease, state: Digest) -> Result<(), LedgerError>;

    /// Ends the job with a result; may be repeated. `rows` are written where the ledger is: a remote
    /// one leaves them to the server's own.
    async fn commit(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        observed: Observed,
        rows: &dyn StageRows,
    ) -> Result<(), LedgerError>;

    /// Ends the attempt without a result.
    async fn fail(&self, lease: &Lease, error: &JobError, observed: Observed) -> Result<(), LedgerError>;

    /// Gives the job back; the attempt does not count.
    async fn release(&self, lease: &Lease) -> Result<(), LedgerError>;
}

/// Leases of a ledger in this process.
#[derive(Debug, Clone)]
pub struct LocalLeases(Arc<dyn Ledger>);

impl LocalLeases {
    /// Leases jobs of `ledger`.
    pub fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self(ledger)
    }
}

#[async_trait]
impl Leases for LocalLeases {
    async fn claim(&self, claim: &Claim) -> Result<Option<Leased>, LedgerError> {
        self.0.claim(claim).await
    }

    async fn work_available(&self, claim: &Claim, at_most: Duration) -> Result<(), LedgerError> {
        self.0.work_available(claim, at_most).await
    }

    async fn heartbeat(&self, lease: &Lease, progress: Option<Progress>) -> Result<Beat, LedgerError> {
        self.0.heartbeat(lease, progress).await
    }

    async fn interrupted(&self, lease: &Lease) {
        self.0.interrupted(lease).await;
    }

    fn beat_every(&self, lasts: Duration) -> Duration {
        lasts / 3
    }

    async fn pin(&self, lease: &Lease, digests: &[Digest]) -> Result<(), LedgerError> {
        self.0.pin(lease, digests).await
    }

    async fn checkpoint(&self, lease: &Lease, state: Digest) -> Result<(), LedgerError> {
        self.0.checkpoint(lease, state).await
    }

    async fn commit(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        observed: Observed,
        rows: &dyn StageRows,
    ) -> Result<(), LedgerError> {
        self.0.commit(lease, outcome, observed, rows).await.map(drop)
    }

    async fn fail(&self, lease: &Lease, error: &JobError, observed: Observed) -> Result<(), LedgerError> {
        self.0.fail(lease, error, observed).await.map(drop)
    }

    async fn release(&self, lease: &Lease) -> Result<(), LedgerError> {
        self.0.release(lease).await.map(drop)
    }
}
