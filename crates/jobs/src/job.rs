//! A job as the ledger knows it.

use std::time::Duration;

use gristmill_types::{ArtifactRef, Digest, Fence, JobId, JobState, Micros, Project};

use crate::JobError;

/// One job. Everything but `progress` is durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// Whose it is.
    pub project: Project,
    /// What kind of work, such as `ingestion`, `study`, `trial`.
    pub kind: String,
    /// The job it belongs to.
    pub parent: Option<JobId>,
    /// Where it stands.
    pub state: JobState,
    /// Version of the payload's format.
    pub spec_version: u32,
    /// The stage's spec message.
    pub payload: Vec<u8>,
    /// Digest of stage, logic version and spec.
    pub cache_key: Option<Digest>,
    /// Greater is claimed first.
    pub priority: i32,
    /// Number of the latest attempt; 0 before the first.
    pub fence: Fence,
    /// Attempts that count: those that failed or were lost, and the running one.
    pub tries: u32,
    /// After so many the job fails.
    pub max_attempts: u32,
    /// Who asked for it.
    pub actor: Option<String>,
    /// Somebody asked for its end.
    pub cancel_requested: bool,
    /// When it was submitted.
    pub created_at: Micros,
    /// When the latest attempt began.
    pub started_at: Option<Micros>,
    /// When it reached a final state.
    pub ended_at: Option<Micros>,
    /// Not before this moment (backoff).
    pub run_at: Micros,
    /// The latest progress of the running attempt; kept in memory.
    pub progress: Option<Progress>,
    /// The stage's result message, once succeeded.
    pub result: Option<Vec<u8>>,
    /// What was committed, in the stage's order.
    pub outputs: Vec<ArtifactRef>,
    /// Why the latest attempt ended without a result.
    pub error: Option<JobError>,
    /// What the committed attempt used.
    pub observed: Observed,
    /// Number of its latest event.
    pub sequence: i64,
    /// It is computed although an equal job may have succeeded; so are the jobs that belong to it.
    pub fresh: bool,
}

/// How far a running attempt is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// What is being done, such as `reading weather`.
    pub phase: String,
    /// 0 to 1, or negative when unknown.
    pub fraction: f64,
    /// One line for people.
    pub message: String,
}

/// What an attempt used. Observations never enter artifact bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Observed {
    /// CPU time on leased slots.
    pub cpu: Duration,
    /// Highest resident memory of the process while the attempt ran, bytes (sampled every second).
    pub peak_bytes: u64,
}

/// One attempt at a job.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    /// The job.
    pub job: JobId,
    /// Its number.
    pub fence: Fence,
    /// Who did it.
    pub worker: String,
    /// When it was claimed.
    pub started_at: Micros,
    /// When it ended, if it has.
    pub ended_at: Option<Micros>,
    /// `succeeded`, `failed`, `lost`, `released` or `cancelled`.
    pub outcome: Option<String>,
    /// Why it failed.
    pub message: Option<String>,
    /// What it used, as far as it reported.
    pub observed: Observed,
}
