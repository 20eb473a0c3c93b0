//! The stage's tables.

use gristmill_runtime::database::Migration;

/// Applied in order; an applied one never changes.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration { version: 1, name: "versions, aliases, moves", sql: FIRST }];

const FIRST: &str = "
create table {s}model (
    project text not null,
    name text not null,
    latest bigint not null,
    primary key (project, name)
);
create table {s}version (
    project text not null,
    name text not null,
    version bigint not null,
    model text not null,
    evaluation text,
    verdict text,
    metrics text not null,
    status text not null,
    description text not null,
    tags text not null,
    seen text not null,
    run_id text not null,
    request_id text,
    request_digest text,
    created_at bigint not null,
    created_by text not null,
    primary key (project, name, version)
);
create unique index {s}version_request on {s}version (project, request_id) where request_id is not null;
create table {s}ancestor (
    project text not null,
    digest text not null,
    name text not null,
    version bigint not null,
    primary key (project, digest, name, version)
);
create table {s}alias (
    project text not null,
    name text not null,
    alias text not null,
    version bigint not null,
    sequence bigint not null,
    primary key (project, name, alias)
);
create table {s}move (
    project text not null,
    sequence bigint not null,
    name text not null,
    alias text not null,
    from_version bigint,
    to_version bigint,
    at bigint not null,
    moved_by text not null,
    reason text not null,
    verdict text,
    primary key (project, sequence)
);
create index {s}move_alias on {s}move (project, name, alias, sequence);
create table {s}change (
    project text not null,
    last bigint not null,
    primary key (project)
);
create table {s}audit (
    project text not null,
    sequence bigint not null,
    at bigint not null,
    actor text not null,
    action text not null,
    subject text not null,
    detail text not null,
    primary key (project, sequence)
);
";
