//! Reading jobs, events, attempts and roots.

use gristmill_runtime::database::Row;
use gristmill_runtime::values;
use gristmill_types::{Digest, JobId, Project};

use super::Inner;
use super::rows::{self, Stored, job_columns};
use crate::{AttemptRecord, Depth, Event, Job, LedgerError, ListJobs, Page, PageToken};

const GET: &str = concat!("select ", job_columns!(), " from {s}job where id = $1 and project = $2");
const LIST: &str = concat!(
    "select ",
    job_columns!(),
    " from {s}job where project = $1 and ($2 is null or kind = $2) \
    and ($3 is null or state = $3) and ($4 is null or parent = $4) and ($5 is null or id < $5) \
    order by id desc limit $6"
);
const CHILDREN: &str = concat!(
    "select ",
    job_columns!(),
    " from {s}job where parent = $4 and project = $1 and ($2 is null or kind = $2) \
    and ($3 is null or state = $3) and ($5 is null or id < $5) order by id desc limit $6"
);
const EVENTS: &str = "select job, sequence, fence, kind, state, message, at from {s}event \
    where job = $1 and sequence > $2 order by sequence limit $3";
const ATTEMPTS: &str = "select job, fence, worker, started_at, ended_at, outcome, message, cpu_micros, peak_bytes \
    from {s}attempt where job = $1 order by fence";
const OBSERVATIONS: &str = "select a.job, a.fence, a.worker, a.started_at, a.ended_at, a.outcome, a.message, \
    a.cpu_micros, a.peak_bytes from {s}output o join {s}job j on j.id = o.job \
    join {s}attempt a on a.job = j.id and a.fence = j.fence where o.digest = $1 and j.project = $2 order by a.job";
const ROOTS: &str = "select digest from {s}output union select digest from {s}pin \
    union select checkpoint as digest from {s}job where checkpoint is not null order by digest";
/// One look per state, each into the index of that state: what has ended is not read.
const DEPTH: &str = "select \
    (select count(*) from {s}job where state = 'queued' and (cast($1 as text) is null or kind = $1)) as queued, \
    (select count(*) from {s}job where state = 'running' and (cast($1 as text) is null or kind = $1)) as running, \
    (select min(created_at) from {s}job where state = 'queued' and (cast($1 as text) is null or kind = $1)) as oldest";

impl Inner {
    pub(super) async fn get(&self, project: &Project, id: JobId) -> Result<Job, LedgerError> {
        let row = self.db.fetch_optional(&self.sql(GET), values![id, project]).await?;
        let row = row.ok_or(LedgerError::NotFound { id })?;
        Ok(self.with_progress(Stored::read(&row)?.job))
    }

    pub(super) async fn list(&self, query: &ListJobs) -> Result<Page, LedgerError> {
        let text = if query.parent.is_some() { CHILDREN } else { LIST };
        let values = values![
            &query.project,
            query.kind.clone(),
            query.state.map(|state| state.as_str()),
            query.parent,
            query.before,
            query.size + 1,
        ];
        let rows = self.db.fetch(&self.sql(text), values).await?;
        let jobs = rows.iter().map(|row| Ok(self.with_progress(Stored::read(row)?.job)));
        let mut jobs = jobs.collect::<Result<Vec<_>, LedgerError>>()?;
        // One more than asked for was read, to know whether there is a next page.
        let size = usize::try_from(query.size).unwrap_or(usize::MAX);
        let more = jobs.len() > size;
        jobs.truncate(size);
        let next = if more { jobs.last().map(PageToken::after) } else { None };
        Ok(Page { jobs, next })
    }

    pub(super) async fn events(
        &self,
        project: &Project,
        id: JobId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Event>, LedgerError> {
        self.get(project, id).await?;
        self.events_of(id, after, limit).await
    }

    /// As `events`, for a job that is known to be the caller's.
    pub(super) async fn events_of(&self, id: JobId, after: i64, limit: u32) -> Result<Vec<Event>, LedgerError> {
        let rows = self.db.fetch(&self.sql(EVENTS), values![id, after, limit]).await?;
        rows.iter().map(|row| Ok(rows::event(row)?)).collect()
    }

    pub(super) async fn attempts(&self, project: &Project, id: JobId) -> Result<Vec<AttemptRecord>, LedgerError> {
        self.get(project, id).await?;
        read_attempts(&self.db.fetch(&self.sql(ATTEMPTS), values![id]).await?)
    }

    pub(super) async fn observations(
        &self,
        project: &Project,
        digest: Digest,
    ) -> Result<Vec<AttemptRecord>, LedgerError> {
        read_attempts(&self.db.fetch(&self.sql(OBSERVATIONS), values![digest, project]).await?)
    }

    pub(super) async fn roots(&self) -> Result<Vec<Digest>, LedgerError> {
        let rows = self.db.fetch(&self.sql(ROOTS), vec![]).await?;
        rows.iter().map(|row| Ok(row.get("digest")?)).collect()
    }

    pub(super) async fn depth(&self, kind: Option<&str>) -> Result<Depth, LedgerError> {
        let values = values![kind.map(str::to_owned)];
        let Some(row) = self.db.fetch_optional(&self.sql(DEPTH), values).await? else {
            return Ok(Depth::default());
        };
        Ok(Depth { queued: row.get("queued")?, running: row.get("running")?, oldest: row.get("oldest")? })
    }

    /// Adds what only memory knows.
    pub(super) fn with_progress(&self, job: Job) -> Job {
        let held = self.live.get(job.id).filter(|held| held.fence == job.fence);
        Job { progress: held.and_then(|held| held.progress), ..job }
    }
}

fn read_attempts(rows: &[Row]) -> Result<Vec<AttemptRecord>, LedgerError> {
    rows.iter().map(|row| Ok(rows::attempt(row)?)).collect()
}
