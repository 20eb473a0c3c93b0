//! The ledger on an SQL database.
//!
//! Rows are read, changed and written back under the lock of one transaction (SQLite: the file's writer;
//! PostgreSQL: the job's row), so every change of state is plain Rust over a loaded job. A transaction
//! locks a parent before its children, so that two of them do not wait for each other; where they do all
//! the same, one is undone and run again. Progress and the memory of living attempts are kept beside the
//! tables and are lost with the process; processes that share the tables tell each other of changes
//! (`news`).

mod cancel;
mod candidate;
mod claim;
mod finish;
mod ids;
mod lease;
mod live;
mod news;
mod read;
mod reap;
mod rows;
mod submit;
mod tables;
mod unit;
mod watch;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use gristmill_runtime::database::{Database, DatabaseError, Schema, Sql};
use gristmill_types::{Clock, Digest, JobId, Micros, Name, Project};

use crate::{
    AttemptRecord, Beat, Claim, CrashPlan, Depth, Event, Job, JobError, Lease, Leased, Ledger, LedgerError, ListJobs,
    Observed, Outcome, Page, Progress, Reaped, StageRows, Submit, Submitted, WatchItem,
};

/// Runs of a transaction that others are in the way of.
const TRIES: u32 = 8;
/// Longest pause between them.
const CONTENDED: Duration = Duration::from_millis(50);

/// How a ledger behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// How long a lease lasts without a heartbeat.
    pub lease: Duration,
    /// Jobs that may wait; more are refused.
    pub max_queued: u32,
    /// Watches that may be open.
    pub max_watches: usize,
    /// Upper bound of the first backoff; doubles with every try.
    pub backoff: Duration,
    /// Upper bound of any backoff.
    pub max_backoff: Duration,
    /// Seed of ids and backoff; from the system unless told.
    pub seed: Option<u64>,
    /// Whether to reap every third of a lease in the background; a test calls [`Ledger::reap`] itself.
    pub reaper: bool,
    /// Whether to correct the clock to that of a database that processes share, so that they agree on
    /// leases whatever their own clocks say; a test with a clock of its own does not.
    pub database_clock: bool,
    /// Where a test kills the process.
    pub crash: CrashPlan,
}

/// The durable ledger of one stage. Open one per schema and process.
#[derive(Debug)]
pub struct SqlLedger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Database,
    schema: Schema,
    options: Options,
    ids: ids::Ids,
    live: live::Live,
    reap: reap::Watchman,
    watches: Arc<tokio::sync::Semaphore>,
    /// Tells this ledger's news from those of others.
    origin: u64,
    /// What the database's clock is ahead of ours, microseconds.
    offset: AtomicI64,
}

impl Options {
    /// The defaults: a lease of 60 s, at most 10,000 jobs waiting, backoff from 1 s to 60 s.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            lease: Duration::from_secs(60),
            max_queued: 10_000,
            max_watches: 1_024,
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            seed: None,
            reaper: true,
            database_clock: true,
            crash: CrashPlan::none(),
        }
    }

    fn lease_micros(&self) -> Micros {
        Micros::try_from(self.lease.as_micros()).unwrap_or(Micros::MAX / 4)
    }
}

impl SqlLedger {
    /// Opens the ledger of `stage` and brings its tables up to date. In a data directory it takes every
    /// lease left by a process that died: the directory's lock proves that none of them lives. On a
    /// database that processes share it takes none: they run out.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open(db: Database, stage: &Name, options: Options) -> Result<Arc<Self>, LedgerError> {
        let schema = Schema::new(stage);
        db.migrate_part(&schema, "jobs", tables::MIGRATIONS).await?;
        let inner = Arc::new(Inner {
            ids: ids::Ids::new(options.seed),
            live: live::Live::new(),
            reap: reap::Watchman::default(),
            watches: Arc::new(tokio::sync::Semaphore::new(options.max_watches)),
            origin: news::origin(),
            offset: AtomicI64::new(0),
            db,
            schema,
            options,
        });
        if inner.db.is_shared() {
            news::start(&inner).await;
        } else {
            let found = inner.reap_dead().await?;
            if found != Reaped::default() {
                let (requeued, ended) = (found.requeued, found.ended);
                tracing::info!(stage = stage.as_str(), requeued, ended, "dead leases taken");
            }
        }
        if inner.options.reaper {
            tokio::spawn(reap_forever(Arc::downgrade(&inner), inner.options.lease / 3));
        }
        Ok(Arc::new(Self(inner)))
    }
}

impl Inner {
    fn sql(&self, text: &'static str) -> Sql {
        Sql::new(&self.schema, text)
    }

    fn now(&self) -> Micros {
        self.options.clock.now().saturating_add(self.offset.load(Ordering::SeqCst))
    }

    /// Runs a transaction, and runs it again when others were in its way: it did nothing then.
    async fn again<T, F>(&self, transaction: impl Fn() -> F + Send + Sync) -> Result<T, LedgerError>
    where
        F: Future<Output = Result<T, LedgerError>> + Send,
    {
        for _ in 1..TRIES {
            match transaction().await {
                Err(error) if matches!(error.database(), Some(DatabaseError::Contended(_))) => {
                    let wait = self.ids.backoff(1, CONTENDED, CONTENDED);
                    tokio::time::sleep(wait).await;
                }
                answer => return answer,
            }
        }
        transaction().await
    }
}

/// Reaps until the ledger is gone.
async fn reap_forever(ledger: Weak<Inner>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(ledger) = ledger.upgrade() else { return };
        match ledger.reap().await {
            Ok(found) if found == Reaped::default() => {}
            Ok(found) => tracing::warn!(?found, "expired leases"),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "expired leases cannot be read"),
        }
    }
}

#[async_trait]
impl Ledger for SqlLedger {
    async fn submit(&self, submit: Submit) -> Result<Submitted, LedgerError> {
        self.0.again(|| self.0.submit(&submit)).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Option<Leased>, LedgerError> {
        self.0.again(|| self.0.claim(claim)).await
    }

    async fn work_available(&self, claim: &Claim, at_most: Duration) -> Result<(), LedgerError> {
        self.0.work_available(claim, at_most).await
    }

    async fn heartbeat(&self, lease: &Lease, progress: Option<Progress>) -> Result<Beat, LedgerError> {
        self.0.again(|| self.0.heartbeat(lease, progress.clone())).await
    }

    async fn interrupted(&self, lease: &Lease) {
        self.0.live.interrupted(lease).await;
    }

    async fn pin(&self, lease: &Lease, digests: &[Digest]) -> Result<(), LedgerError> {
        self.0.again(|| self.0.pin(lease, digests)).await
    }

    async fn checkpoint(&self, lease: &Lease, state: Digest) -> Result<(), LedgerError> {
        self.0.again(|| self.0.checkpoint(lease, state)).await
    }

    async fn commit(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        observed: Observed,
        rows: &dyn StageRows,
    ) -> Result<Job, LedgerError> {
        self.0.again(|| self.0.commit(lease, outcome, observed, rows)).await
    }

    async fn fail(&self, lease: &Lease, error: &JobError, observed: Observed) -> Result<Job, LedgerError> {
        self.0.again(|| self.0.fail(lease, error, observed)).await
    }

    async fn release(&self, lease: &Lease) -> Result<Job, LedgerError> {
        self.0.again(|| self.0.release(lease)).await
    }

    async fn cancel(&self, project: &Project, id: JobId, actor: Option<&str>) -> Result<Job, LedgerError> {
        self.0.again(|| self.0.cancel(project, id, actor)).await
    }

    async fn reap(&self) -> Result<Reaped, LedgerError> {
        self.0.reap().await
    }

    async fn get(&self, project: &Project, id: JobId) -> Result<Job, LedgerError> {
        self.0.get(project, id).await
    }

    async fn list(&self, query: &ListJobs) -> Result<Page, LedgerError> {
        self.0.list(query).await
    }

    async fn events(&self, project: &Project, id: JobId, after: i64, limit: u32) -> Result<Vec<Event>, LedgerError> {
        self.0.events(project, id, after, limit).await
    }

    async fn watch(
        &self,
        project: &Project,
        id: JobId,
        after: i64,
    ) -> Result<BoxStream<'static, Result<WatchItem, LedgerError>>, LedgerError> {
        watch::start(&self.0, project, id, after).await
    }

    async fn attempts(&self, project: &Project, id: JobId) -> Result<Vec<AttemptRecord>, LedgerError> {
        self.0.attempts(project, id).await
    }

    async fn observations(&self, project: &Project, digest: Digest) -> Result<Vec<AttemptRecord>, LedgerError> {
        self.0.observations(project, digest).await
    }

    async fn roots(&self) -> Result<Vec<Digest>, LedgerError> {
        self.0.roots().await
    }

    async fn depth(&self, kind: Option<&str>) -> Result<Depth, LedgerError> {
        self.0.depth(kind).await
    }
}
