//! One change of the ledger: a transaction, its events and audit rows, and who hears of it afterwards.

use gristmill_runtime::database::{Tx, Value};
use gristmill_runtime::values;
use gristmill_types::{JobId, JobState, Project};

use super::candidate::{self, Offer};
use super::live::{Change, Held, What};
use super::rows::{self, Stored, job_columns};
use super::{Inner, news};
use crate::{Claim, CrashPoint, EventKind, JobError, Lease, LedgerError, Observed};

const LOAD: &str = concat!("select ", job_columns!(), " from {s}job where id = $1{lock}");
const LOAD_FREE: &str = concat!("select ", job_columns!(), " from {s}job where id = $1{free}");
const PEEK: &str = concat!("select ", job_columns!(), " from {s}job where id = $1 and project = $2");
const EVENT: &str =
    "insert into {s}event (job, sequence, fence, kind, state, message, at) values ($1, $2, $3, $4, $5, $6, $7)";
const AUDIT: &str = "insert into {s}audit (job, sequence, project, actor, action, at) values ($1, $2, $3, $4, $5, $6)";
const END_ATTEMPT: &str = "update {s}attempt set ended_at = $3, outcome = $4, message = $5, cpu_micros = $6, \
    peak_bytes = $7 where job = $1 and fence = $2";
const UNPIN: &str = "delete from {s}pin where job = $1";
const CHILDREN: &str = "select id from {s}job where parent = $1 and state in ('queued', 'running') order by id";

/// A transaction over jobs. Nothing is heard of it before it is durable.
#[derive(Debug)]
pub(super) struct Unit<'a> {
    ledger: &'a Inner,
    pub(super) tx: Tx,
    changes: Vec<Change>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending<'a> {
    pub(super) outcome: &'static str,
    pub(super) message: Option<&'a str>,
    pub(super) observed: Observed,
}

impl<'a> Unit<'a> {
    pub(super) async fn begin(ledger: &'a Inner) -> Result<Self, LedgerError> {
        Ok(Self { ledger, tx: ledger.db.begin().await?, changes: Vec::new() })
    }

    /// Loads a job of any project, for this transaction alone to change.
    pub(super) async fn load(&mut self, id: JobId) -> Result<Option<Stored>, LedgerError> {
        self.read(LOAD, values![id]).await
    }

    /// As [`Unit::load`]; none if another transaction has it.
    pub(super) async fn load_free(&mut self, id: JobId) -> Result<Option<Stored>, LedgerError> {
        self.read(LOAD_FREE, values![id]).await
    }

    /// Loads the first job of a line that no other transaction has.
    pub(super) async fn take(&mut self, offer: &Offer, claim: &Claim) -> Result<Option<Stored>, LedgerError> {
        self.read(candidate::TAKE, offer.values(claim, self.ledger.now())).await
    }

    /// Loads a job that is only looked at.
    pub(super) async fn peek(&mut self, project: &Project, id: JobId) -> Result<Stored, LedgerError> {
        self.read(PEEK, values![id, project]).await?.ok_or(LedgerError::NotFound { id })
    }

    async fn read(&mut self, text: &'static str, values: Vec<Value>) -> Result<Option<Stored>, LedgerError> {
        let row = self.tx.fetch_optional(&self.ledger.sql(text), values).await?;
        Ok(row.as_ref().map(Stored::read).transpose()?)
    }

    /// Waits until no other transaction holds `name`: for decisions about rows that are not there yet.
    pub(super) async fn lock(&mut self, name: &str) -> Result<(), LedgerError> {
        Ok(self.tx.lock(&self.ledger.schema, name).await?)
    }

    /// Loads a job of one project.
    pub(super) async fn load_of(&mut self, project: &Project, id: JobId) -> Result<Stored, LedgerError> {
        let stored = self.load(id).await?.filter(|stored| stored.job.project == *project);
        stored.ok_or(LedgerError::NotFound { id })
    }

    /// Loads the job of a lease, whoever holds it now.
    pub(super) async fn load_leased(&mut self, lease: &Lease) -> Result<Stored, LedgerError> {
        let stored = self.load_of(&lease.project, lease.job).await?;
        if stored.job.fence == lease.fence {
            Ok(stored)
        } else {
            Err(LedgerError::LeaseLost { id: lease.job, fence: lease.fence })
        }
    }

    /// Loads the job of a lease that must still be held.
    pub(super) async fn load_held(&mut self, lease: &Lease) -> Result<Stored, LedgerError> {
        let stored = self.load_leased(lease).await?;
        if stored.job.state == JobState::Running {
            Ok(stored)
        } else {
            Err(LedgerError::LeaseLost { id: lease.job, fence: lease.fence })
        }
    }

    pub(super) async fn insert(&mut self, stored: &Stored) -> Result<(), LedgerError> {
        self.tx.execute(&self.ledger.sql(rows::INSERT), stored.values()).await?;
        Ok(())
    }

    pub(super) async fn save(&mut self, stored: &Stored) -> Result<(), LedgerError> {
        self.tx.execute(&self.ledger.sql(rows::UPDATE), stored.changing()).await?;
        Ok(())
    }

    /// Writes the next event of a job and its audit row. The job must be saved afterwards.
    pub(super) async fn record(
        &mut self,
        stored: &mut Stored,
        kind: EventKind,
        actor: Option<&str>,
        message: &str,
    ) -> Result<(), LedgerError> {
        let now = self.ledger.now();
        let job = &mut stored.job;
        job.sequence += 1;
        let event = values![job.id, job.sequence, job.fence, kind.as_str(), job.state.as_str(), message, now];
        self.tx.execute(&self.ledger.sql(EVENT), event).await?;
        let audit = values![job.id, job.sequence, &job.project, actor.map(str::to_owned), kind.as_str(), now];
        self.tx.execute(&self.ledger.sql(AUDIT), audit).await?;
        Ok(())
    }

    /// The job waits for its next attempt.
    pub(super) async fn requeue(
        &mut self,
        stored: &mut Stored,
        run_at: i64,
        kind: EventKind,
        ending: Ending<'_>,
    ) -> Result<(), LedgerError> {
        self.end_attempt(stored, ending).await?;
        stored.job.state = JobState::Queued;
        stored.job.run_at = run_at;
        stored.lease_until = None;
        self.record(stored, kind, None, ending.message.unwrap_or("")).await?;
        self.save(stored).await?;
        self.changed(stored, What::Queued);
        Ok(())
    }

    /// The job has reached a final state; its unfinished children are cancelled.
    pub(super) async fn end(
        &mut self,
        stored: &mut Stored,
        state: JobState,
        actor: Option<&str>,
        ending: Ending<'_>,
    ) -> Result<(), LedgerError> {
        if stored.lease_until.is_some() {
            self.end_attempt(stored, ending).await?;
        }
        stored.job.state = state;
        stored.job.ended_at = Some(self.ledger.now());
        stored.lease_until = None;
        stored.checkpoint = None;
        let kind = match state {
            JobState::Succeeded => EventKind::Succeeded,
            JobState::Cancelled => EventKind::Cancelled,
            _ => EventKind::Failed,
        };
        self.record(stored, kind, actor, ending.message.unwrap_or("")).await?;
        self.save(stored).await?;
        self.changed(stored, What::Ended);
        self.cancel_children(stored.job.id, actor).await
    }

    /// Asks for the end of every unfinished descendant of `parent`. A running child hears of it and ends
    /// by itself; its own children end with it.
    pub(super) async fn cancel_children(&mut self, parent: JobId, actor: Option<&str>) -> Result<(), LedgerError> {
        let mut parents = vec![parent];
        while let Some(parent) = parents.pop() {
            let children = self.tx.fetch(&self.ledger.sql(CHILDREN), values![parent]).await?;
            for row in children {
                let id: JobId = row.get("id")?;
                if let Some(mut child) = self.load(id).await? {
                    self.cancel_one(&mut child, actor).await?;
                    parents.push(id);
                }
            }
        }
        Ok(())
    }

    /// Asks for the end of one job, not of its children.
    pub(super) async fn cancel_one(&mut self, stored: &mut Stored, actor: Option<&str>) -> Result<(), LedgerError> {
        match stored.job.state {
            JobState::Queued => {
                stored.job.cancel_requested = true;
                stored.job.state = JobState::Cancelled;
                stored.job.ended_at = Some(self.ledger.now());
                stored.checkpoint = None;
                stored.job.error = Some(cancelled());
                self.record(stored, EventKind::Cancelled, actor, "").await?;
                self.save(stored).await?;
                self.changed(stored, What::Ended);
            }
            JobState::Running if !stored.job.cancel_requested => {
                stored.job.cancel_requested = true;
                self.record(stored, EventKind::CancelRequested, actor, "").await?;
                self.save(stored).await?;
                self.changed(stored, What::CancelRequested);
            }
            _ => {}
        }
        Ok(())
    }

    /// Says after the commit that a job waits.
    pub(super) fn queued(&mut self, stored: &Stored) {
        self.changed(stored, What::Queued);
    }

    /// Says after the commit that an attempt holds a job.
    pub(super) fn claimed(&mut self, stored: &Stored) {
        let held = Held {
            fence: stored.job.fence,
            cancel: stored.job.cancel_requested,
            progress: None,
            written_at: self.ledger.now(),
        };
        self.changed(stored, What::Claimed(held));
    }

    fn changed(&mut self, stored: &Stored, what: What) {
        self.changes.push(Change { job: stored.job.id, fence: stored.job.fence, what });
    }

    /// Makes it durable, then lets it be heard.
    pub(super) async fn commit(mut self) -> Result<(), LedgerError> {
        self.tell().await?;
        self.tx.commit().await?;
        self.ledger.live.apply(self.changes);
        Ok(())
    }

    /// As [`Unit::commit`], for the transaction that finishes a job.
    pub(super) async fn commit_result(mut self) -> Result<(), LedgerError> {
        self.tell().await?;
        let crash = &self.ledger.options.crash;
        crash.reach(CrashPoint::InCommit);
        self.tx.commit().await?;
        crash.reach(CrashPoint::AfterCommit);
        self.ledger.live.apply(self.changes);
        Ok(())
    }

    /// Lets other processes hear of it, too, with the commit.
    async fn tell(&mut self) -> Result<(), LedgerError> {
        if self.changes.is_empty() || !self.ledger.db.is_shared() {
            return Ok(());
        }
        let message = news::write(self.ledger.origin, &self.changes);
        Ok(self.tx.notify(&self.ledger.schema, &message).await?)
    }

    async fn end_attempt(&mut self, stored: &Stored, ending: Ending<'_>) -> Result<(), LedgerError> {
        let job = &stored.job;
        let values = values![
            job.id,
            job.fence,
            self.ledger.now(),
            ending.outcome,
            ending.message.map(str::to_owned),
            rows::micros(ending.observed.cpu),
            ending.observed.peak_bytes,
        ];
        self.tx.execute(&self.ledger.sql(END_ATTEMPT), values).await?;
        self.tx.execute(&self.ledger.sql(UNPIN), values![job.id]).await?;
        Ok(())
    }
}

/// What a cancelled job says of itself.
pub(super) fn cancelled() -> JobError {
    JobError::permanent("CANCELLED", "the job was cancelled on request").code(gristmill_types::ErrorCode::Cancelled)
}
