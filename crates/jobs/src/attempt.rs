//! What work holds while it does a job.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use gristmill_runtime::slots::SlotLease;
use gristmill_types::{Digest, ErrorCode, Fence, JobId, Project};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{CrashPlan, CrashPoint, Job, JobError, Lease, Leased, Leases, LedgerError, Observed, Progress};

/// One attempt at a job, under a lease that is kept alive for it. Clones are the same attempt.
#[derive(Clone)]
pub struct Attempt(Arc<Inner>);

struct Inner {
    leased: Leased,
    leases: Arc<dyn Leases>,
    cancel: Cancel,
    slots: Arc<SlotLease>,
    progress: watch::Sender<Option<Progress>>,
    cpu_nanos: AtomicU64,
    peak_bytes: AtomicU64,
    crash: CrashPlan,
}

/// Says whether an attempt should stop. Work looks at it between pieces.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    token: CancellationToken,
    why: Arc<AtomicU8>,
}

/// Why an attempt is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody asked for the end of the job.
    Asked,
    /// The lease is lost.
    Lost,
    /// The process drains.
    Drained,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("lease", &self.0.leased.lease).finish_non_exhaustive()
    }
}

impl Cancel {
    /// Nobody has asked for anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the work here when it is to stop: `cancel.check()?`.
    ///
    /// # Errors
    /// [`JobError::interrupted`].
    pub fn check(&self) -> Result<(), JobError> {
        if self.token.is_cancelled() { Err(JobError::interrupted()) } else { Ok(()) }
    }

    /// Whether to stop.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Whether the process drains: the job goes on elsewhere, or here after a restart.
    pub fn is_drained(&self) -> bool {
        self.why() == Some(Why::Drained)
    }

    /// Whether somebody asked for the end of the job, and not only of this attempt (a drain, a lost
    /// lease): then what was started elsewhere for it should end too.
    pub fn is_asked(&self) -> bool {
        self.why() == Some(Why::Asked)
    }

    /// Waits until the work is to stop.
    pub async fn cancelled(&self) -> JobError {
        self.token.cancelled().await;
        JobError::interrupted()
    }

    /// The same as a token, for parts that take one.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Tells the work to stop; the first reason counts.
    pub(crate) fn stop(&self, why: Why) {
        let code = match why {
            Why::Asked => 1,
            Why::Lost => 2,
            Why::Drained => 3,
        };
        let _ = self.why.compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst);
        self.token.cancel();
    }

    pub(crate) fn why(&self) -> Option<Why> {
        match self.why.load(Ordering::SeqCst) {
            1 => Some(Why::Asked),
            2 => Some(Why::Lost),
            3 => Some(Why::Drained),
            _ => None,
        }
    }
}

impl Attempt {
    pub(crate) fn new(leased: Leased, leases: Arc<dyn Leases>, slots: SlotLease, crash: CrashPlan) -> Self {
        Self(Arc::new(Inner {
            leased,
            leases,
            cancel: Cancel::new(),
            slots: Arc::new(slots),
            progress: watch::Sender::new(None),
            cpu_nanos: AtomicU64::new(0),
            peak_bytes: AtomicU64::new(0),
            crash,
        }))
    }

    /// The job: state running. From a remote lease only id, project, kind, parent, payload and its
    /// version are filled.
    pub fn job(&self) -> &Job {
        &self.0.leased.job
    }

    /// The job's name.
    pub fn id(&self) -> JobId {
        self.0.leased.lease.job
    }

    /// The job's project.
    pub fn project(&self) -> &Project {
        &self.0.leased.lease.project
    }

    /// The stage's spec message.
    pub fn payload(&self) -> &[u8] {
        &self.0.leased.job.payload
    }

    /// Digest of the spec message, for the producer record of artifacts.
    pub fn spec_digest(&self) -> Digest {
        Digest::of(self.payload())
    }

    /// Number of this attempt; greater than that of every earlier one.
    pub fn fence(&self) -> Fence {
        self.0.leased.lease.fence
    }

    /// The right to the job.
    pub fn lease(&self) -> &Lease {
        &self.0.leased.lease
    }

    /// Says whether to stop.
    pub fn cancel(&self) -> &Cancel {
        &self.0.cancel
    }

    /// Waits until the attempt is to stop.
    pub async fn cancelled(&self) -> JobError {
        self.0.cancel.cancelled().await
    }

    /// How many threads the work may keep busy.
    pub fn threads(&self) -> usize {
        self.0.slots.threads()
    }

    /// Says how far the work is: `fraction` from 0 to 1, or negative when unknown. Cheap; call it as
    /// often as it is true.
    pub fn progress(&self, phase: impl Into<String>, fraction: f64, message: impl Into<String>) {
        let progress = Progress { phase: phase.into(), fraction, message: message.into() };
        self.0.progress.send_replace(Some(progress));
    }

    /// Protects digests from collection while the attempt lives; durable on return. Before the bytes are
    /// put.
    ///
    /// # Errors
    /// [`LedgerError::LeaseLost`], or what the ledger says.
    pub async fn pin(&self, digests: &[Digest]) -> Result<(), LedgerError> {
        self.0.leases.pin(&self.0.leased.lease, digests).await
    }

    /// The artifact from which an earlier attempt says that the work may go on.
    pub fn checkpoint(&self) -> Option<Digest> {
        self.0.leased.checkpoint
    }

    /// Names the artifact from which the next attempt may go on, in the place of an earlier one; durable
    /// on return. It is kept from collection until the job ends.
    ///
    /// # Errors
    /// [`LedgerError::LeaseLost`], or what the ledger says.
    pub async fn keep(&self, checkpoint: Digest) -> Result<(), LedgerError> {
        self.0.leases.checkpoint(&self.0.leased.lease, checkpoint).await
    }

    /// Runs `work` on a blocking thread, inside the pool of the leased slots, and records its CPU time.
    /// The slots stay taken until it returns, even if nobody waits for it any longer.
    ///
    /// # Errors
    /// What `work` returns; [`JobError::internal`] when it panics.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cancel) -> Result<T, JobError> + Send + 'static,
    ) -> Result<T, JobError> {
        let own = self.clone();
        let span = tracing::Span::current();
        let done = tokio::task::spawn_blocking(move || {
            let (answer, cpu) = own.0.slots.run(|| span.in_scope(|| work(&own.0.cancel)));
            own.add_cpu(cpu);
            answer
        });
        done.await.unwrap_or_else(|error| Err(panicked().caused_by(error)))
    }

    /// Adds CPU time that was spent elsewhere for this attempt, such as in a child process.
    pub fn add_cpu(&self, spent: Duration) {
        self.0.cpu_nanos.fetch_add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Says that a crash point is reached.
    pub fn reach(&self, point: CrashPoint) {
        self.0.crash.reach(point);
    }

    pub(crate) fn lasts(&self) -> Duration {
        self.0.leased.lasts
    }

    pub(crate) fn progress_bell(&self) -> watch::Receiver<Option<Progress>> {
        self.0.progress.subscribe()
    }

    pub(crate) fn sample_memory(&self) {
        let now = gristmill_runtime::metrics::usage().resident_bytes;
        self.0.peak_bytes.fetch_max(now, Ordering::Relaxed);
    }

    pub(crate) fn observed(&self) -> Observed {
        self.sample_memory();
        Observed {
            cpu: Duration::from_nanos(self.0.cpu_nanos.load(Ordering::Relaxed)),
            peak_bytes: self.0.peak_bytes.load(Ordering::Relaxed),
        }
    }
}

/// What a job says of itself when its code panicked; the panic itself is in the log.
pub(crate) fn panicked() -> JobError {
    JobError::internal("the work stopped at a defect of the program: its log says where").code(ErrorCode::Internal)
}
