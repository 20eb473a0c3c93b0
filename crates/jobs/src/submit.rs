//! What a stage hands in to have something done.

use gristmill_types::{Digest, JobId, Project, RequestId};

use crate::Job;

/// A request for a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Submit {
    pub(crate) project: Project,
    pub(crate) kind: String,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) payload: Vec<u8>,
    pub(crate) spec_version: u32,
    pub(crate) cache_key: Option<Digest>,
    pub(crate) fresh: bool,
    pub(crate) unfinished_only: bool,
    pub(crate) parent: Option<JobId>,
    pub(crate) priority: i32,
    pub(crate) max_attempts: u32,
    pub(crate) actor: Option<String>,
}

/// The answer to a submission; the job is durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    /// The job that answers the request.
    pub job: Job,
    /// A job that had succeeded before answers: nothing is computed.
    pub cached: bool,
    /// This call created the job (not a repetition, not joined, not cached).
    pub created: bool,
}

impl Submit {
    /// Default bound on attempts: enough for a few transient failures and a few killed processes,
    /// small enough that a job which kills its worker stops soon.
    pub const MAX_ATTEMPTS: u32 = 8;

    /// Asks for a job of `kind`. `payload` is the stage's spec message; `request_id` names the request:
    /// the same one again answers the same job. Without one a repeated request is a new one.
    pub fn new(project: Project, kind: &str, request_id: impl Into<Option<RequestId>>, payload: Vec<u8>) -> Self {
        Self {
            project,
            kind: kind.to_owned(),
            request_id: request_id.into(),
            payload,
            spec_version: 1,
            cache_key: None,
            fresh: false,
            unfinished_only: false,
            parent: None,
            priority: 0,
            max_attempts: Self::MAX_ATTEMPTS,
            actor: None,
        }
    }

    /// Digest of stage, logic version and spec. A succeeded job of this project and kind with the same
    /// key answers; one that waits or runs (under the same parent) is joined.
    #[must_use]
    pub fn cache_key(self, key: Digest) -> Self {
        Self { cache_key: Some(key), ..self }
    }

    /// Compute even if an equal job has succeeded.
    #[must_use]
    pub fn fresh(self, fresh: bool) -> Self {
        Self { fresh, ..self }
    }

    /// Join an equal job that waits or runs, but let none that has succeeded answer: for work that also
    /// depends on what is not in its spec.
    #[must_use]
    pub fn unfinished_only(self) -> Self {
        Self { unfinished_only: true, ..self }
    }

    /// The job it belongs to; it must be running and not being cancelled.
    #[must_use]
    pub fn parent(self, parent: JobId) -> Self {
        Self { parent: Some(parent), ..self }
    }

    /// Greater is claimed first; 0 unless told.
    #[must_use]
    pub fn priority(self, priority: i32) -> Self {
        Self { priority, ..self }
    }

    /// Version of the payload's format; 1 unless told.
    #[must_use]
    pub fn spec_version(self, spec_version: u32) -> Self {
        Self { spec_version, ..self }
    }

    /// Attempts that may fail or be lost before the job fails; at least 1.
    #[must_use]
    pub fn max_attempts(self, max_attempts: u32) -> Self {
        Self { max_attempts: max_attempts.max(1), ..self }
    }

    /// Who asks, for the audit rows.
    #[must_use]
    pub fn actor(self, actor: impl Into<String>) -> Self {
        Self { actor: Some(actor.into()), ..self }
    }

    /// Names the request's content: a repeated request id must come with the same.
    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = gristmill_types::Hasher::new();
        for part in [self.kind.as_bytes(), &self.spec_version.to_be_bytes(), &self.payload] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finish()
    }
}
