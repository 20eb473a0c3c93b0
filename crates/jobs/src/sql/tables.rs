//! The ledger's tables, inside the stage's schema.

use gristmill_runtime::database::Migration;

/// Applied in order, never changed.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "jobs", sql: JOBS },
    Migration { version: 2, name: "fresh jobs", sql: FRESH },
    Migration { version: 3, name: "checkpoints", sql: CHECKPOINT },
    Migration { version: 4, name: "lines of waiting jobs", sql: LINES },
];

/// `request` maps every request id to the job that answers it: a repeated, joined or cached request
/// has no job of its own. `output` and `pin` are what collection must keep.
const JOBS: &str = "
create table {s}job (
    id text primary key,
    project text not null,
    kind text not null,
    parent text references {s}job (id),
    state text not null check (state in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    spec_version bigint not null,
    payload bytea not null,
    cache_key text,
    priority bigint not null,
    fence bigint not null,
    tries bigint not null,
    max_attempts bigint not null,
    actor text,
    cancel_requested bigint not null,
    created_at bigint not null,
    started_at bigint,
    ended_at bigint,
    run_at bigint not null,
    lease_until bigint,
    worker text,
    result bytea,
    outputs text not null,
    error text,
    cpu_micros bigint not null,
    peak_bytes bigint not null,
    sequence bigint not null,
    check ((state = 'running') = (lease_until is not null)),
    check (fence >= tries)
);
create index {s}job_queue on {s}job (run_at) where state = 'queued';
create index {s}job_running on {s}job (project) where state = 'running';
create index {s}job_list on {s}job (project, id);
create index {s}job_children on {s}job (parent, id) where parent is not null;
create index {s}job_cache on {s}job (project, kind, cache_key) where cache_key is not null;
create table {s}request (
    project text not null,
    request_id text not null,
    digest text not null,
    job text not null references {s}job (id),
    cached bigint not null,
    primary key (project, request_id)
);
create table {s}attempt (
    job text not null references {s}job (id),
    fence bigint not null,
    worker text not null,
    started_at bigint not null,
    ended_at bigint,
    outcome text,
    message text,
    cpu_micros bigint not null,
    peak_bytes bigint not null,
    primary key (job, fence)
);
create table {s}event (
    job text not null references {s}job (id),
    sequence bigint not null,
    fence bigint not null,
    kind text not null,
    state text not null,
    message text not null,
    at bigint not null,
    primary key (job, sequence)
);
create table {s}audit (
    job text not null references {s}job (id),
    sequence bigint not null,
    project text not null,
    actor text,
    action text not null,
    at bigint not null,
    primary key (job, sequence)
);
create index {s}audit_time on {s}audit (project, at);
create table {s}output (
    job text not null references {s}job (id),
    ordinal bigint not null,
    kind text not null,
    digest text not null,
    primary key (job, ordinal)
);
create index {s}output_digest on {s}output (digest);
create table {s}pin (
    job text not null references {s}job (id),
    fence bigint not null,
    digest text not null,
    primary key (job, fence, digest)
);
";

/// Whether a job was asked for although an equal one may have succeeded: its children are computed anew, too.
const FRESH: &str = "
alter table {s}job add column fresh bigint not null default 0;
";

/// Digest of the artifact from which the next attempt may go on.
const CHECKPOINT: &str = "
alter table {s}job add column checkpoint text;
";

/// The lines of waiting jobs in the order in which they are claimed, and the times at which they may be:
/// neither a claim nor a look for work depends on how many wait.
const LINES: &str = "
create index {s}job_line on {s}job (kind, project, priority desc, run_at, id, spec_version) where state = 'queued';
create index {s}job_due on {s}job (kind, run_at, spec_version) where state = 'queued';
drop index {s}job_queue;
";
