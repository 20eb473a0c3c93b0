//! Recording a job, or finding the one that answers the request.

use gristmill_runtime::values;
use gristmill_types::{JobId, JobState, Limits};

use super::Inner;
use super::rows::Stored;
use super::unit::Unit;
use crate::{EventKind, Job, LedgerError, Observed, Submit, Submitted};

/// Bytes of a spec; control messages are bounded by the same order.
const PAYLOAD_BYTES: usize = 1 << 20;

const REQUEST: &str = "select digest, job, cached from {s}request where project = $1 and request_id = $2";
const REMEMBER: &str = "insert into {s}request (project, request_id, digest, job, cached) values ($1, $2, $3, $4, $5)";
/// The latest success, else the one that waits or runs.
const EQUAL: &str = "select id from {s}job where project = $1 and kind = $2 and cache_key = $3 \
    and ((state = 'succeeded' and $5 = 0) or (state in ('queued', 'running') and cancel_requested = 0 \
    and coalesce(parent, '') = $4)) order by state = 'succeeded' desc, id desc limit 1";
const WAITING: &str = "select count(*) as n from (select 1 from {s}job where state = 'queued' limit $1) w";

impl Inner {
    pub(super) async fn submit(&self, submit: &Submit) -> Result<Submitted, LedgerError> {
        check_size(submit)?;
        let mut unit = Unit::begin(self).await?;
        // The same request, and equal work, is decided on by one process at a time.
        if let Some(request_id) = &submit.request_id {
            unit.lock(&format!("request {} {}", submit.project, request_id.as_str())).await?;
        }
        if let Some(key) = submit.cache_key {
            unit.lock(&format!("work {} {} {key}", submit.project, submit.kind)).await?;
        }
        if let Some(answer) = self.repeated(&mut unit, submit).await? {
            return Ok(answer);
        }
        if let Some(answer) = self.equal(&mut unit, submit).await? {
            self.remember(&mut unit, submit, answer.job.id, answer.cached).await?;
            unit.commit().await?;
            return Ok(answer);
        }
        self.admit(&mut unit, submit).await?;
        let mut stored = self.new_job(submit);
        unit.insert(&stored).await?;
        unit.record(&mut stored, EventKind::Submitted, submit.actor.as_deref(), "").await?;
        unit.save(&stored).await?;
        self.remember(&mut unit, submit, stored.job.id, false).await?;
        unit.queued(&stored);
        unit.commit().await?;
        Ok(Submitted { job: stored.job, cached: false, created: true })
    }

    /// The answer to a request id that was seen before.
    async fn repeated(&self, unit: &mut Unit<'_>, submit: &Submit) -> Result<Option<Submitted>, LedgerError> {
        let Some(request_id) = &submit.request_id else { return Ok(None) };
        let values = values![&submit.project, request_id.as_str()];
        let Some(row) = unit.tx.fetch_optional(&self.sql(REQUEST), values).await? else { return Ok(None) };
        if row.get::<gristmill_types::Digest>("digest")? != submit.digest() {
            return Err(LedgerError::RequestReused { request_id: request_id.as_str().to_owned() });
        }
        let job = unit.peek(&submit.project, row.get("job")?).await?.job;
        Ok(Some(Submitted { job: self.with_progress(job), cached: row.get("cached")?, created: false }))
    }

    /// A job that does, or has done, the same.
    async fn equal(&self, unit: &mut Unit<'_>, submit: &Submit) -> Result<Option<Submitted>, LedgerError> {
        let Some(key) = submit.cache_key.filter(|_| !submit.fresh) else { return Ok(None) };
        let parent = submit.parent.map(|id| id.to_string()).unwrap_or_default();
        let values = values![&submit.project, submit.kind.as_str(), key, parent, submit.unfinished_only];
        let Some(row) = unit.tx.fetch_optional(&self.sql(EQUAL), values).await? else { return Ok(None) };
        let id: JobId = row.get("id")?;
        let job = unit.peek(&submit.project, id).await?.job;
        let cached = job.state == JobState::Succeeded;
        Ok(Some(Submitted { job: self.with_progress(job), cached, created: false }))
    }

    /// Refuses a job that has no place: the queue is full, or its parent has ended.
    async fn admit(&self, unit: &mut Unit<'_>, submit: &Submit) -> Result<(), LedgerError> {
        if let Some(parent) = submit.parent {
            let job = unit.load_of(&submit.project, parent).await?.job;
            if job.state != JobState::Running || job.cancel_requested {
                return Err(LedgerError::ParentEnded { parent });
            }
        }
        let limit = self.options.max_queued;
        let row = unit.tx.fetch_optional(&self.sql(WAITING), values![limit]).await?;
        let waiting: u32 = row.map(|row| row.get("n")).transpose()?.unwrap_or(0);
        if waiting >= limit { Err(LedgerError::QueueFull { limit }) } else { Ok(()) }
    }

    async fn remember(
        &self,
        unit: &mut Unit<'_>,
        submit: &Submit,
        job: JobId,
        cached: bool,
    ) -> Result<(), LedgerError> {
        let Some(request_id) = &submit.request_id else { return Ok(()) };
        let values = values![&submit.project, request_id.as_str(), submit.digest(), job, cached];
        unit.tx.execute(&self.sql(REMEMBER), values).await?;
        Ok(())
    }

    fn new_job(&self, submit: &Submit) -> Stored {
        let now = self.now();
        let job = Job {
            id: self.ids.job(now),
            project: submit.project.clone(),
            kind: submit.kind.clone(),
            parent: submit.parent,
            state: JobState::Queued,
            spec_version: submit.spec_version,
            payload: submit.payload.clone(),
            cache_key: submit.cache_key,
            priority: submit.priority,
            fence: 0,
            tries: 0,
            max_attempts: submit.max_attempts,
            actor: submit.actor.clone(),
            cancel_requested: false,
            created_at: now,
            started_at: None,
            ended_at: None,
            run_at: now,
            progress: None,
            result: None,
            outputs: Vec::new(),
            error: None,
            observed: Observed::default(),
            sequence: 0,
            fresh: submit.fresh,
        };
        Stored { job, lease_until: None, worker: None, checkpoint: None }
    }
}

fn check_size(submit: &Submit) -> Result<(), LedgerError> {
    let found = submit.payload.len();
    if found > PAYLOAD_BYTES.min(Limits::DEFAULT.control_bytes) {
        return Err(LedgerError::TooLarge { what: "a job's spec", limit: PAYLOAD_BYTES, found });
    }
    Ok(())
}
