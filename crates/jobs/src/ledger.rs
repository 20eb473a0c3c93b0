//! What every ledger promises, whatever database is under it.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_types::{Digest, Fence, JobId, Micros, Project};

use crate::{
    AttemptRecord, Event, Job, JobError, LedgerError, ListJobs, Observed, Outcome, Page, Progress, StageRows, Submit,
    Submitted, WatchItem,
};

/// An attempt's right to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose job.
    pub project: Project,
    /// The job.
    pub job: JobId,
    /// Number of the attempt; greater than that of every earlier one.
    pub fence: Fence,
}

/// What a worker can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Name of the worker, for people; no decision rests on it.
    pub worker: String,
    /// Kinds of jobs it can do.
    pub kinds: Vec<String>,
    /// Newest payload version it understands; jobs with a newer one are not offered.
    pub spec_version: u32,
}

/// A claimed job.
#[derive(Debug, Clone, PartialEq)]
pub struct Leased {
    /// The right to it.
    pub lease: Lease,
    /// What to do: state running, this attempt.
    pub job: Job,
    /// How long the lease lasts without a heartbeat.
    pub lasts: Duration,
    /// The artifact that an earlier attempt handed to [`Ledger::checkpoint`] last.
    pub checkpoint: Option<Digest>,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Somebody asked for the end of the job: stop and say so with [`Ledger::fail`].
    pub cancel: bool,
}

/// What a reaper found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reaped {
    /// Jobs that wait for their next attempt.
    pub requeued: u32,
    /// Jobs that ended: out of attempts, or cancelled.
    pub ended: u32,
    /// The reaper was away longer than a lease lasts: it took nothing, workers get one lease of time to
    /// be heard.
    pub held_off: bool,
}

/// How much work there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Jobs that wait.
    pub queued: u64,
    /// Jobs under a lease.
    pub running: u64,
    /// When the job that waits longest was submitted.
    pub oldest: Option<Micros>,
}

/// The durable record of jobs. Only a ledger writes job state (I4).
///
/// Every method that changes something is one transaction with its event and audit row; it is durable
/// when the method returns. Methods of a lease answer [`LedgerError::LeaseLost`] unless the attempt is
/// the job's latest and the job is running: safety rests on the fence alone, clocks only decide when a
/// silent worker's job is given to another.
#[async_trait]
pub trait Ledger: Send + Sync + Debug {
    /// Records a job, or answers the one that this request, or an equal one, has led to.
    async fn submit(&self, submit: Submit) -> Result<Submitted, LedgerError>;

    /// Leases at most one job: greatest priority, then the project with the fewest running jobs, then
    /// the oldest. Does not wait.
    async fn claim(&self, claim: &Claim) -> Result<Option<Leased>, LedgerError>;

    /// Waits until there may be work for `claim`, or for `at_most`.
    async fn work_available(&self, claim: &Claim, at_most: Duration) -> Result<(), LedgerError>;

    /// Extends a lease and carries progress. Progress is kept in memory; the lease is written at most
    /// every third of its length. An expired lease that nobody has reaped can be extended.
    async fn heartbeat(&self, lease: &Lease, progress: Option<Progress>) -> Result<Beat, LedgerError>;

    /// Waits until the end of the leased job is asked for, or the lease is lost.
    async fn interrupted(&self, lease: &Lease);

    /// Protects digests from collection while the attempt lives.
    async fn pin(&self, lease: &Lease, digests: &[Digest]) -> Result<(), LedgerError>;

    /// Names the artifact from which the next attempt may go on, in the place of an earlier one, and
    /// protects it from collection until the job ends. Like a heartbeat it has no event.
    async fn checkpoint(&self, lease: &Lease, state: Digest) -> Result<(), LedgerError>;

    /// Ends the job with a result: checks the fence, writes the stage's rows, the result, outputs,
    /// event and audit row in one transaction. The same fence again answers the stored job and writes
    /// nothing. After [`LedgerError::Cancelled`] the job is cancelled.
    async fn commit(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        observed: Observed,
        rows: &dyn StageRows,
    ) -> Result<Job, LedgerError>;

    /// Ends the attempt without a result: a transient error queues the job again with backoff until
    /// `max_attempts`, another one ends it, a requested cancellation makes it cancelled.
    async fn fail(&self, lease: &Lease, error: &JobError, observed: Observed) -> Result<Job, LedgerError>;

    /// Gives the job back; the attempt does not count.
    async fn release(&self, lease: &Lease) -> Result<Job, LedgerError>;

    /// Asks for the end of a job and its children: a waiting one is cancelled at once, a running one
    /// when its attempt hears of it. Repeating it is fine.
    async fn cancel(&self, project: &Project, id: JobId, actor: Option<&str>) -> Result<Job, LedgerError>;

    /// Takes expired leases from silent workers.
    async fn reap(&self) -> Result<Reaped, LedgerError>;

    /// One job.
    async fn get(&self, project: &Project, id: JobId) -> Result<Job, LedgerError>;

    /// Jobs, newest first.
    async fn list(&self, query: &ListJobs) -> Result<Page, LedgerError>;

    /// At most `limit` events of a job with numbers above `after`.
    async fn events(&self, project: &Project, id: JobId, after: i64, limit: u32) -> Result<Vec<Event>, LedgerError>;

    /// Follows a job from event number `after` on; ends after the terminal event. Nothing is buffered
    /// for a slow reader: it reads on from the tables at its own pace and misses no event.
    async fn watch(
        &self,
        project: &Project,
        id: JobId,
        after: i64,
    ) -> Result<BoxStream<'static, Result<WatchItem, LedgerError>>, LedgerError>;

    /// Every attempt at a job, in order.
    async fn attempts(&self, project: &Project, id: JobId) -> Result<Vec<AttemptRecord>, LedgerError>;

    /// The attempts that committed an artifact: what it cost.
    async fn observations(&self, project: &Project, digest: Digest) -> Result<Vec<AttemptRecord>, LedgerError>;

    /// Every digest that a job names or a living attempt has pinned: not to be collected.
    async fn roots(&self) -> Result<Vec<Digest>, LedgerError>;

    /// How much work there is, of one kind or of all.
    async fn depth(&self, kind: Option<&str>) -> Result<Depth, LedgerError>;

    /// Waits for the end of a job and answers it.
    async fn finished(&self, project: &Project, id: JobId) -> Result<Job, LedgerError> {
        let job = self.get(project, id).await?;
        if job.state.is_terminal() {
            return Ok(job);
        }
        let mut items = self.watch(project, id, job.sequence).await?;
        while let Some(item) = items.next().await {
            item?;
        }
        self.get(project, id).await
    }
}
