//! Jobs and events as contract messages, and back (I3: nothing else here knows them).

use std::time::Duration;

use gristmill_proto::{ConvertError, artifact_ref, job as message, job_id, project};
use gristmill_types::{Digest, ErrorCode, JobState};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{Event, Job, JobError, Lease, LedgerError, Observed, Outcome, Progress, WatchItem};

/// Where the reasons of this crate's errors are listed.
const DOMAIN: &str = "gristmill";

/// A job for any stage's answer. `cached`: an earlier job's result was answered ([`crate::Submitted`]).
pub fn job_message(job: &Job, cached: bool) -> message::Job {
    message::Job {
        id: job.id.to_string(),
        project: job.project.to_string(),
        kind: job.kind.clone(),
        state: message::JobState::from(job.state).into(),
        cache_key: job.cache_key.map(|key| key.to_string()).unwrap_or_default(),
        cached,
        attempts: job.fence,
        outputs: job.outputs.iter().copied().map(Into::into).collect(),
        error: job.error.as_ref().map(error_message),
        progress: job.progress.as_ref().map(progress_message),
        created_at: job.created_at,
        started_at: job.started_at.unwrap_or(0),
        finished_at: job.ended_at.unwrap_or(0),
        cpu_seconds: job.observed.cpu.as_secs_f64(),
        peak_memory_bytes: job.observed.peak_bytes,
        parent_id: job.parent.map(|id| id.to_string()).unwrap_or_default(),
    }
}

/// An event for a watching caller.
pub fn event_message(event: &Event) -> message::JobEvent {
    message::JobEvent {
        sequence: event.sequence,
        at: event.at,
        kind: event.kind.as_str().into(),
        state: message::JobState::from(event.state).into(),
        progress: None,
        message: event.message.clone(),
    }
}

/// An item of a watch; progress carries the number of the event before it, to resume after.
pub fn watch_message(item: &WatchItem) -> message::JobEvent {
    match item {
        WatchItem::Event(event) => event_message(event),
        WatchItem::Progress { sequence, at, progress } => message::JobEvent {
            sequence: *sequence,
            at: *at,
            kind: "progress".into(),
            state: message::JobState::Running.into(),
            progress: Some(progress_message(progress)),
            message: String::new(),
        },
    }
}

pub(crate) fn progress_message(progress: &Progress) -> message::Progress {
    message::Progress { phase: progress.phase.clone(), fraction: progress.fraction, message: progress.message.clone() }
}

pub(crate) fn read_progress(progress: message::Progress) -> Progress {
    Progress { phase: progress.phase, fraction: progress.fraction, message: progress.message }
}

pub(crate) fn error_message(error: &JobError) -> message::JobError {
    message::JobError { reason: error.reason.clone(), message: error.message.clone(), transient: error.transient }
}

pub(crate) fn read_error(error: message::JobError) -> JobError {
    if error.transient {
        JobError::transient(error.reason, error.message)
    } else {
        JobError::permanent(error.reason, error.message)
    }
}

pub(crate) fn lease_message(lease: &Lease) -> message::Lease {
    message::Lease { project: lease.project.to_string(), job_id: lease.job.to_string(), fence: lease.fence }
}

pub(crate) fn read_lease(lease: Option<message::Lease>) -> Result<Lease, ConvertError> {
    let lease = lease.ok_or_else(|| ConvertError::new("lease", "name the lease that a claim gave"))?;
    Ok(Lease {
        project: project(&lease.project).map_err(|error| error.within("lease"))?,
        job: job_id(&lease.job_id).map_err(|error| error.within("lease"))?,
        fence: lease.fence,
    })
}

pub(crate) fn digest(field: &str, text: &str) -> Result<Digest, ConvertError> {
    text.parse().map_err(|error: gristmill_types::DigestError| ConvertError::new(field, error.to_string()))
}

pub(crate) fn read_commit(request: &message::CommitJobRequest) -> Result<(Outcome, Observed), ConvertError> {
    let outputs = request.outputs.iter().enumerate();
    let outputs = outputs.map(|(at, output)| artifact_ref(&format!("outputs[{at}]"), Some(output)));
    let outcome = Outcome { result: request.result.clone(), outputs: outputs.collect::<Result<_, _>>()? };
    let cpu = Duration::try_from_secs_f64(request.cpu_seconds)
        .map_err(|_| ConvertError::new("cpu_seconds", "write seconds, 0 or more"))?;
    Ok((outcome, Observed { cpu, peak_bytes: request.peak_memory_bytes }))
}

pub(crate) fn state(state: JobState) -> i32 {
    message::JobState::from(state).into()
}

impl From<LedgerError> for Status {
    fn from(error: LedgerError) -> Self {
        status(&error)
    }
}

/// A refusal of the ledger for a caller; its cause goes to the log.
pub(crate) fn status(error: &LedgerError) -> Status {
    if error.code() == ErrorCode::Internal {
        tracing::error!(error = error as &dyn std::error::Error, "the ledger failed");
    }
    let details = ErrorDetails::with_error_info(error.reason(), DOMAIN, []);
    Status::with_error_details(code(error.code()), error.to_string(), details)
}

pub(crate) fn invalid(error: &ConvertError) -> Status {
    let mut details = ErrorDetails::with_bad_request_violation(error.field.clone(), error.message.clone());
    details.set_error_info("INVALID_FIELD", DOMAIN, []);
    Status::with_error_details(Code::InvalidArgument, error.to_string(), details)
}

/// A refusal of the lease service for a remote worker.
pub(crate) fn refusal(lease: &Lease, status: &Status) -> LedgerError {
    let details = status.get_error_details();
    match details.error_info().map(|info| info.reason.as_str()) {
        Some("LEASE_LOST") => LedgerError::LeaseLost { id: lease.job, fence: lease.fence },
        Some("JOB_CANCELLED") => LedgerError::Cancelled { id: lease.job },
        Some("JOB_NOT_FOUND") => LedgerError::NotFound { id: lease.job },
        _ => failure(status),
    }
}

pub(crate) fn failure(status: &Status) -> LedgerError {
    LedgerError::Remote { code: error_code(status.code()), message: status.message().to_owned() }
}

const fn code(code: ErrorCode) -> Code {
    match code {
        ErrorCode::InvalidArgument => Code::InvalidArgument,
        ErrorCode::NotFound => Code::NotFound,
        ErrorCode::AlreadyExists => Code::AlreadyExists,
        ErrorCode::FailedPrecondition => Code::FailedPrecondition,
        ErrorCode::Aborted => Code::Aborted,
        ErrorCode::ResourceExhausted => Code::ResourceExhausted,
        ErrorCode::PermissionDenied => Code::PermissionDenied,
        ErrorCode::Unauthenticated => Code::Unauthenticated,
        ErrorCode::Cancelled => Code::Cancelled,
        ErrorCode::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorCode::Unavailable => Code::Unavailable,
        ErrorCode::DataLoss => Code::DataLoss,
        ErrorCode::Internal => Code::Internal,
    }
}

const fn error_code(code: Code) -> ErrorCode {
    match code {
        Code::InvalidArgument | Code::OutOfRange => ErrorCode::InvalidArgument,
        Code::NotFound => ErrorCode::NotFound,
        Code::AlreadyExists => ErrorCode::AlreadyExists,
        Code::FailedPrecondition => ErrorCode::FailedPrecondition,
        Code::Aborted => ErrorCode::Aborted,
        Code::ResourceExhausted => ErrorCode::ResourceExhausted,
        Code::PermissionDenied => ErrorCode::PermissionDenied,
        Code::Unauthenticated => ErrorCode::Unauthenticated,
        Code::Cancelled => ErrorCode::Cancelled,
        Code::DeadlineExceeded => ErrorCode::DeadlineExceeded,
        // A broken connection shows as unknown: the call may be repeated.
        Code::Unavailable | Code::Unknown => ErrorCode::Unavailable,
        Code::DataLoss => ErrorCode::DataLoss,
        Code::Ok | Code::Internal | Code::Unimplemented => ErrorCode::Internal,
    }
}
