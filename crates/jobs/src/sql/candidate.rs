//! Which job is next: the one statement that differs by database.

use gristmill_runtime::database::Value;
use gristmill_runtime::values;
use gristmill_types::Micros;

use crate::Claim;

/// Greatest priority, then the project with the fewest running jobs, then the oldest. The transaction
/// holds SQLite's only write lock, so the candidate cannot be taken by another.
pub(super) const SQLITE: &str = "select j.id from {s}job j \
    left join (select project, count(*) as n from {s}job where state = 'running' group by project) r \
    on r.project = j.project \
    where j.state = 'queued' and j.run_at <= $1 and j.spec_version <= $2 \
    and j.kind in (select value from json_each($3)) \
    order by j.priority desc, coalesce(r.n, 0), j.run_at, j.id limit 1";

/// The values of the statement.
pub(super) fn values(claim: &Claim, now: Micros) -> Vec<Value> {
    values![now, claim.spec_version, kinds(claim)]
}

/// The kinds as a JSON array.
pub(super) fn kinds(claim: &Claim) -> String {
    // A list of strings always serializes.
    serde_json::to_string(&claim.kinds).unwrap_or_default()
}
