//! Rows of the tables to values of the crate, and back.

use std::time::Duration;

use gristmill_runtime::database::{DatabaseError, Row, Value};
use gristmill_runtime::values;
use gristmill_types::{ArtifactRef, Digest, ErrorCode, Micros};
use serde::{Deserialize, Serialize};

use crate::{AttemptRecord, Event, Job, JobError, Observed};

/// The columns that are read of a job, named: a program of an earlier version goes on reading while a
/// later one adds some.
macro_rules! job_columns {
    () => {
        "id, project, kind, parent, state, spec_version, payload, cache_key, priority, fence, tries, max_attempts, \
        actor, cancel_requested, created_at, started_at, ended_at, run_at, lease_until, worker, result, outputs, error, \
        cpu_micros, peak_bytes, sequence, fresh, checkpoint"
    };
}
pub(super) use job_columns;

/// Every column of a job, in the order of [`Stored::values`].
pub(super) const INSERT: &str = "insert into {s}job (id, project, kind, parent, state, spec_version, payload, cache_key, \
    priority, fence, tries, max_attempts, actor, cancel_requested, created_at, started_at, ended_at, run_at, lease_until, \
    worker, result, outputs, error, cpu_micros, peak_bytes, sequence, fresh, \
    checkpoint) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)";

/// The columns that change, in the order of [`Stored::changing`].
pub(super) const UPDATE: &str = "update {s}job set state = $2, fence = $3, tries = $4, cancel_requested = $5, \
    started_at = $6, ended_at = $7, run_at = $8, lease_until = $9, worker = $10, result = $11, outputs = $12, \
    error = $13, cpu_micros = $14, peak_bytes = $15, sequence = $16, checkpoint = $17 where id = $1";

/// A job with what only the ledger needs.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) job: Job,
    pub(super) lease_until: Option<Micros>,
    pub(super) worker: Option<String>,
    /// Where the next attempt may go on from; none once the job has ended.
    pub(super) checkpoint: Option<Digest>,
}

/// A [`JobError`] as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct StoredError {
    code: ErrorCode,
    reason: String,
    message: String,
    transient: bool,
}

impl Stored {
    pub(super) fn read(row: &Row) -> Result<Self, DatabaseError> {
        let job = Job {
            id: row.get("id")?,
            project: row.get("project")?,
            kind: row.get("kind")?,
            parent: row.get("parent")?,
            state: parse(row, "state", "a job state")?,
            spec_version: row.get("spec_version")?,
            payload: row.get("payload")?,
            cache_key: row.get("cache_key")?,
            priority: i32::try_from(row.get::<i64>("priority")?).unwrap_or(0),
            fence: row.get("fence")?,
            tries: row.get("tries")?,
            max_attempts: row.get("max_attempts")?,
            actor: row.get("actor")?,
            cancel_requested: row.get("cancel_requested")?,
            created_at: row.get("created_at")?,
            started_at: row.get("started_at")?,
            ended_at: row.get("ended_at")?,
            run_at: row.get("run_at")?,
            progress: None,
            result: row.get("result")?,
            outputs: read_outputs(&row.get::<String>("outputs")?)?,
            error: row.get::<Option<String>>("error")?.map(|text| read_error(&text)).transpose()?,
            observed: read_observed(row)?,
            sequence: row.get("sequence")?,
            fresh: row.get("fresh")?,
        };
        Ok(Self {
            job,
            lease_until: row.get("lease_until")?,
            worker: row.get("worker")?,
            checkpoint: row.get("checkpoint")?,
        })
    }

    pub(super) fn values(&self) -> Vec<Value> {
        let job = &self.job;
        values![
            job.id,
            &job.project,
            job.kind.as_str(),
            job.parent,
            job.state.as_str(),
            job.spec_version,
            job.payload.clone(),
            job.cache_key,
            job.priority,
            job.fence,
            job.tries,
            job.max_attempts,
            job.actor.clone(),
            job.cancel_requested,
            job.created_at,
            job.started_at,
            job.ended_at,
            job.run_at,
            self.lease_until,
            self.worker.clone(),
            job.result.clone(),
            write_outputs(&job.outputs),
            job.error.as_ref().map(write_error),
            micros(job.observed.cpu),
            job.observed.peak_bytes,
            job.sequence,
            job.fresh,
            self.checkpoint,
        ]
    }

    pub(super) fn changing(&self) -> Vec<Value> {
        let job = &self.job;
        values![
            job.id,
            job.state.as_str(),
            job.fence,
            job.tries,
            job.cancel_requested,
            job.started_at,
            job.ended_at,
            job.run_at,
            self.lease_until,
            self.worker.clone(),
            job.result.clone(),
            write_outputs(&job.outputs),
            job.error.as_ref().map(write_error),
            micros(job.observed.cpu),
            job.observed.peak_bytes,
            job.sequence,
            self.checkpoint,
        ]
    }
}

pub(super) fn event(row: &Row) -> Result<Event, DatabaseError> {
    Ok(Event {
        job: row.get("job")?,
        sequence: row.get("sequence")?,
        fence: row.get("fence")?,
        kind: parse(row, "kind", "an event kind")?,
        state: parse(row, "state", "a job state")?,
        message: row.get("message")?,
        at: row.get("at")?,
    })
}

pub(super) fn attempt(row: &Row) -> Result<AttemptRecord, DatabaseError> {
    Ok(AttemptRecord {
        job: row.get("job")?,
        fence: row.get("fence")?,
        worker: row.get("worker")?,
        started_at: row.get("started_at")?,
        ended_at: row.get("ended_at")?,
        outcome: row.get("outcome")?,
        message: row.get("message")?,
        observed: read_observed(row)?,
    })
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn read_observed(row: &Row) -> Result<Observed, DatabaseError> {
    Ok(Observed { cpu: Duration::from_micros(row.get("cpu_micros")?), peak_bytes: row.get("peak_bytes")? })
}

fn parse<T: std::str::FromStr>(row: &Row, column: &str, expected: &'static str) -> Result<T, DatabaseError> {
    row.get::<String>(column)?.parse().map_err(|_| DatabaseError::Value { column: column.to_owned(), expected })
}

fn write_outputs(outputs: &[ArtifactRef]) -> String {
    outputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn read_outputs(text: &str) -> Result<Vec<ArtifactRef>, DatabaseError> {
    let refused = || DatabaseError::Value { column: "outputs".into(), expected: "artifact references" };
    text.split_ascii_whitespace()
        .map(|item| {
            let (kind, digest) = item.split_once('/').ok_or_else(refused)?;
            Ok(ArtifactRef {
                kind: kind.parse().map_err(|_| refused())?,
                digest: digest.parse().map_err(|_| refused())?,
            })
        })
        .collect()
}

fn write_error(error: &JobError) -> String {
    let stored = StoredError {
        code: error.code,
        reason: error.reason.clone(),
        message: error.message.clone(),
        transient: error.transient,
    };
    // Four plain fields always serialize.
    serde_json::to_string(&stored).unwrap_or_default()
}

fn read_error(text: &str) -> Result<JobError, DatabaseError> {
    let stored: StoredError = serde_json::from_str(text)
        .map_err(|_| DatabaseError::Value { column: "error".into(), expected: "a job error" })?;
    let error = if stored.transient {
        JobError::transient(stored.reason, stored.message)
    } else {
        JobError::permanent(stored.reason, stored.message)
    };
    Ok(error.code(stored.code))
}
