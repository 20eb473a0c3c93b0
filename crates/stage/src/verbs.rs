//! Create, get, list, watch, cancel: the verbs of every job stage.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_jobs::{Job, Ledger, ListJobs, Submit, job_message, watch_message};
use gristmill_proto::job as message;
use gristmill_rpc::Caller;
use gristmill_rpc::error::Problem;
use gristmill_types::{Digest, RequestId};
use prost::Message;
use rand::RngCore;
use tonic::Status;

use crate::ledger_problem;

/// The events of a watched job.
pub type EventStream = BoxStream<'static, Result<message::JobEvent, Status>>;

/// What tells one job stage from another.
pub trait JobStage: Send + Sync + 'static {
    /// The stage, as manifests name it.
    const STAGE: &'static str;
    /// Kind of its jobs in the ledger.
    const KIND: &'static str;
    /// Raised by hand when the same spec would give other bytes: part of every cache key.
    const LOGIC_VERSION: u32;
    /// Version of the spec's format; a worker that understands an older one is not offered the job.
    const SPEC_VERSION: u32 = 1;
    /// The spec message.
    type Spec: Message + Default + Clone + 'static;
    /// The result message.
    type Result: Message + Default + 'static;

    /// Checks a spec as far as it can be without reading anything, so that a caller hears at once.
    ///
    /// # Errors
    /// The problem, with the fields that are wrong.
    fn check(&self, spec: &Self::Spec) -> Result<(), Problem>;
}

/// The digest of stage, kind, logic version and spec: equal keys give equal artifacts.
pub fn cache_key<S: JobStage>(spec: &[u8]) -> Digest {
    let head = format!("{}/{}/{}/{}\n", S::STAGE, S::KIND, S::LOGIC_VERSION, S::SPEC_VERSION);
    Digest::of(&[head.as_bytes(), spec].concat())
}

/// One job as a service answers it.
#[derive(Debug, Clone)]
pub struct Entry<Spec, Result> {
    /// Where it stands.
    pub job: message::Job,
    /// What was asked for.
    pub spec: Spec,
    /// What came of it, once it has succeeded.
    pub result: Option<Result>,
}

/// The entry of stage `S`.
type EntryOf<S> = Entry<<S as JobStage>::Spec, <S as JobStage>::Result>;

/// The five verbs of stage `S` over its ledger.
pub struct JobVerbs<S> {
    ledger: Arc<dyn Ledger>,
    stage: S,
}

impl<S> std::fmt::Debug for JobVerbs<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobVerbs").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

impl<S: JobStage> JobVerbs<S> {
    /// Serves `stage` from `ledger`.
    pub fn new(ledger: Arc<dyn Ledger>, stage: S) -> Self {
        Self { ledger, stage }
    }

    /// The ledger, for verbs of a stage's own.
    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.ledger
    }

    /// Checks and records a job; durable once this returns.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a bad project, request id or spec, ALREADY_EXISTS for a request id that was
    /// used for another spec, RESOURCE_EXHAUSTED for a full queue.
    pub async fn create(
        &self,
        caller: &Caller,
        project: &str,
        request_id: &str,
        spec: Option<S::Spec>,
        fresh: bool,
    ) -> Result<EntryOf<S>, Status> {
        let project = caller.project(project)?;
        let spec = spec.ok_or_else(|| missing("spec"))?;
        self.stage.check(&spec)?;
        let request_id = match gristmill_proto::request_id(request_id) {
            Ok(Some(request_id)) => request_id,
            Ok(None) => unique_request_id()?,
            Err(error) => return Err(invalid(&error).into()),
        };
        let payload = spec.encode_to_vec();
        let key = cache_key::<S>(&payload);
        let submit = Submit::new(project, S::KIND, request_id, payload)
            .spec_version(S::SPEC_VERSION)
            .cache_key(key)
            .fresh(fresh)
            .actor(caller.principal().audit_name());
        let submitted = self.ledger.submit(submit).await.map_err(ledger_problem)?;
        Self::entry(&submitted.job, submitted.cached)
    }

    /// Answers one job.
    ///
    /// # Errors
    /// NOT_FOUND if the project has no such job of this kind.
    pub async fn get(&self, caller: &Caller, project: &str, id: &str) -> Result<EntryOf<S>, Status> {
        let job = self.find(caller, project, id).await?;
        Self::entry(&job, false)
    }

    /// Lists jobs, newest first, and the token of the next page (empty on the last).
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a token that no page gave.
    pub async fn list(
        &self,
        caller: &Caller,
        project: &str,
        page_size: u32,
        page_token: &str,
    ) -> Result<(Vec<EntryOf<S>>, String), Status> {
        let project = caller.project(project)?;
        let query = ListJobs::of(&project).kind(S::KIND).page(page_size, page_token).map_err(ledger_problem)?;
        let page = self.ledger.list(&query).await.map_err(ledger_problem)?;
        let entries = page.jobs.iter().map(|job| Self::entry(job, false)).collect::<Result<_, _>>()?;
        Ok((entries, page.next.map(|token| token.as_str().to_owned()).unwrap_or_default()))
    }

    /// Streams a job's events after number `after` until it ends.
    ///
    /// # Errors
    /// NOT_FOUND if the project has no such job, RESOURCE_EXHAUSTED if too many watch.
    pub async fn watch(&self, caller: &Caller, project: &str, id: &str, after: i64) -> Result<EventStream, Status> {
        let job = self.find(caller, project, id).await?;
        let items = self.ledger.watch(&job.project, job.id, after.max(0)).await.map_err(ledger_problem)?;
        Ok(items.map(|item| item.map(|item| watch_message(&item)).map_err(|e| ledger_problem(e).into())).boxed())
    }

    /// Asks a job to end; the wish is durable once this returns.
    ///
    /// # Errors
    /// NOT_FOUND, or FAILED_PRECONDITION if the job has ended.
    pub async fn cancel(&self, caller: &Caller, project: &str, id: &str) -> Result<EntryOf<S>, Status> {
        let job = self.find(caller, project, id).await?;
        let name = caller.principal().audit_name();
        let job = self.ledger.cancel(&job.project, job.id, Some(&name)).await.map_err(ledger_problem)?;
        Self::entry(&job, false)
    }

    /// Finds a job of this stage's kind.
    ///
    /// # Errors
    /// NOT_FOUND if the project has no such job of this kind.
    pub async fn find(&self, caller: &Caller, project: &str, id: &str) -> Result<Job, Status> {
        let project = caller.project(project)?;
        let id = gristmill_proto::job_id(id).map_err(|error| invalid(&error))?;
        let job = self.ledger.get(&project, id).await.map_err(ledger_problem)?;
        if job.kind != S::KIND {
            return Err(ledger_problem(gristmill_jobs::LedgerError::NotFound { id }).into());
        }
        Ok(job)
    }

    fn entry(job: &Job, cached: bool) -> Result<EntryOf<S>, Status> {
        let unreadable = |error: prost::DecodeError| Status::from(Problem::internal(&error));
        let spec = S::Spec::decode(job.payload.as_slice()).map_err(unreadable)?;
        let result = job.result.as_deref().map(S::Result::decode).transpose().map_err(unreadable)?;
        Ok(Entry { job: job_message(job, cached), spec, result })
    }
}

fn missing(field: &'static str) -> Problem {
    Problem::invalid("MISSING_FIELD", format!("`{field}` is required")).violation(field, "required")
}

fn invalid(error: &gristmill_proto::ConvertError) -> Problem {
    Problem::invalid("INVALID_FIELD", error.to_string()).violation(error.field.clone(), error.message.clone())
}

/// A name for a request that the caller did not name: no other request will ever have it.
fn unique_request_id() -> Result<RequestId, Problem> {
    let mut bytes = [0; 16];
    rand::rngs::OsRng.fill_bytes(&mut bytes);
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    RequestId::new(format!("auto-{text}")).map_err(|error| Problem::invalid("INVALID_FIELD", error))
}
