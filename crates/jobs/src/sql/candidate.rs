//! Which job is next, and when.

use gristmill_runtime::database::{DatabaseError, Row, Value};
use gristmill_runtime::values;
use gristmill_types::Micros;

use super::rows::job_columns;
use crate::Claim;

/// The heads of the waiting lines, best first: greatest priority, then the project with the fewest
/// running jobs, then the oldest. A line is a kind and a project; within it the order does not depend on
/// other lines, so only its head is looked at. The lines are found by jumping from one to the next, and
/// every step is one look into `job_line` (whose order the sorting asks for, so that no other index will do): the
/// length of the lines does not matter.
pub(super) const OFFERS: &str = "with recursive line(kind, project) as (\
    select e.value, (select j.project from {s}job j where j.state = 'queued' and j.kind = e.value \
        order by j.project, j.priority desc limit 1) from {each:$1} \
    union all \
    select l.kind, (select j.project from {s}job j where j.state = 'queued' and j.kind = l.kind \
        and j.project > l.project order by j.project, j.priority desc limit 1) from line l where l.project is not null) \
    select h.kind, h.project, h.priority from (\
    select l.kind, l.project, \
    (select j.priority from {s}job j where j.state = 'queued' and j.kind = l.kind and j.project = l.project \
        and j.run_at <= $2 and j.spec_version <= $3 order by j.priority desc, j.run_at, j.id limit 1) as priority, \
    (select j.run_at from {s}job j where j.state = 'queued' and j.kind = l.kind and j.project = l.project \
        and j.run_at <= $2 and j.spec_version <= $3 order by j.priority desc, j.run_at, j.id limit 1) as run_at, \
    (select j.id from {s}job j where j.state = 'queued' and j.kind = l.kind and j.project = l.project \
        and j.run_at <= $2 and j.spec_version <= $3 order by j.priority desc, j.run_at, j.id limit 1) as id, \
    (select count(*) from {s}job r where r.state = 'running' and r.project = l.project) as running \
    from line l where l.project is not null) h \
    where h.priority is not null order by h.priority desc, h.running, h.run_at, h.id limit 16";

/// The first job of a line that nobody else is just taking.
pub(super) const TAKE: &str = concat!(
    "select ",
    job_columns!(),
    " from {s}job where state = 'queued' and kind = $1 and project = $2 and priority = $3 and run_at <= $4 \
    and spec_version <= $5 order by run_at, id limit 1{free}"
);

/// When the next job of these kinds that a worker understands may start.
pub(super) const SOONEST: &str = "select min(k.soonest) as soonest from (\
    select (select min(j.run_at) from {s}job j where j.state = 'queued' and j.kind = e.value and j.spec_version <= $2) \
    as soonest from {each:$1}) k";

/// The payload version of a job of these kinds that waits for a newer worker.
pub(super) const NEWER: &str = "select spec_version as newest from {s}job where state = 'queued' \
    and kind in (select e.value from {each:$1}) and spec_version > $2 limit 1";

/// The head of a line.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    kind: String,
    project: String,
    priority: i64,
}

impl Offer {
    pub(super) fn read(row: &Row) -> Result<Self, DatabaseError> {
        Ok(Self { kind: row.get("kind")?, project: row.get("project")?, priority: row.get("priority")? })
    }

    /// The values of [`TAKE`].
    pub(super) fn values(&self, claim: &Claim, now: Micros) -> Vec<Value> {
        values![self.kind.as_str(), self.project.as_str(), self.priority, now, claim.spec_version]
    }
}

/// The values of [`OFFERS`].
pub(super) fn values(claim: &Claim, now: Micros) -> Vec<Value> {
    values![kinds(claim), now, claim.spec_version]
}

/// The kinds as a JSON array.
pub(super) fn kinds(claim: &Claim) -> String {
    // A list of strings always serializes.
    serde_json::to_string(&claim.kinds).unwrap_or_default()
}
