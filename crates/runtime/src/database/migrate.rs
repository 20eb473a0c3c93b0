//! Embedded migrations, one list and one table per stage.

use std::time::{Duration, Instant};

use gristmill_types::{Digest, Name};

use super::{Database, DatabaseError, Dialect, Migrations, Schema, Sql, Tx};
use crate::values;

/// One step of a stage's tables. Applied ones never change; later ones only add, until no running
/// version reads what they remove (expand, then contract).
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Counts up from 1 without gaps.
    pub version: i64,
    /// What it does, in a few words.
    pub name: &'static str,
    /// Statements, with `{s}` before every table and index name.
    pub sql: &'static str,
}

/// How far the tables of one part of a stage are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableVersion {
    /// The stage.
    pub stage: String,
    /// `stage` for its own tables, else whose they are, such as `jobs`.
    pub part: String,
    /// Newest applied migration.
    pub version: i64,
}

const TABLE: &str = "create table {s}migration (
    part text not null, version bigint not null, name text not null, digest text not null, primary key (part, version))";
const KNOWN: &str = "select version, digest from {s}migration where part = $1 order by version";
/// Tables of applied migrations, by the prefix or the schema of their stage.
const PREFIXES: &str = "select substr(name, 1, length(name) - length('_migration')) as stage from sqlite_master \
    where type = 'table' and substr(name, -length('_migration')) = '_migration' order by name";
const SCHEMAS: &str = "select schemaname::text as stage from pg_tables where tablename = 'migration' order by 1";
const NEWEST: &str = "select part, max(version) as version from {s}migration group by part order by part";
const APPLIED: &str = "insert into {s}migration (part, version, name, digest) values ($1, $2, $3, $4)";

/// How often to look whether somebody has applied a migration.
const LOOK: Duration = Duration::from_millis(250);

pub(super) async fn run(
    db: &Database,
    schema: &Schema,
    part: &'static str,
    migrations: &[Migration],
) -> Result<(), DatabaseError> {
    let waits = match db.migrations() {
        Migrations::Apply => None,
        Migrations::Await(patience) => Some(Instant::now() + patience),
    };
    loop {
        let mut tx = db.begin().await?;
        tx.unbound().await?;
        // Of several processes that start together one applies, the others wait and find it done.
        tx.lock(schema, "migrations").await?;
        let begun = tx.has_table(schema, "migration").await?;
        if !begun && waits.is_none() {
            tx.create_schema(schema).await?;
            tx.execute(&Sql::new(schema, TABLE), vec![]).await?;
        }
        let applied = match (begun, waits) {
            (false, Some(_)) => 0,
            _ => check(&mut tx, schema, part, migrations).await?,
        };
        let Some(migration) = migrations.iter().find(|migration| migration.version > applied) else {
            return tx.commit().await;
        };
        let Some(until) = waits else {
            apply(tx, schema, part, migration).await?;
            continue;
        };
        tx.rollback().await?;
        if Instant::now() >= until {
            let known = migrations.last().map_or(0, |migration| migration.version);
            return Err(DatabaseError::OlderSchema { stage: schema.stage().to_owned(), found: applied, known });
        }
        tracing::info!(stage = schema.stage(), version = migration.version, "waiting for a migration");
        tokio::time::sleep(LOOK.min(until.saturating_duration_since(Instant::now()))).await;
    }
}

async fn apply(mut tx: Tx, schema: &Schema, part: &'static str, migration: &Migration) -> Result<(), DatabaseError> {
    tx.execute_script(&Sql::new(schema, migration.sql)).await?;
    let digest = Digest::of(migration.sql.as_bytes());
    tx.execute(&Sql::new(schema, APPLIED), values![part, migration.version, migration.name, digest]).await?;
    tx.commit().await?;
    tracing::info!(stage = schema.stage(), version = migration.version, name = migration.name, "migration applied");
    Ok(())
}

pub(super) async fn versions(db: &Database) -> Result<Vec<TableVersion>, DatabaseError> {
    let mut versions = Vec::new();
    let all = match db.dialect() {
        Dialect::Sqlite => PREFIXES,
        Dialect::Postgres => SCHEMAS,
    };
    for row in db.fetch(&Sql::from(all), vec![]).await? {
        let stage: String = row.get("stage")?;
        let expected = || DatabaseError::Value { column: "stage".into(), expected: "the name of a stage" };
        let schema = Schema::new(&Name::new(stage.as_str()).map_err(|_| expected())?);
        for row in db.fetch(&Sql::new(&schema, NEWEST), vec![]).await? {
            versions.push(TableVersion { stage: stage.clone(), part: row.get("part")?, version: row.get("version")? });
        }
    }
    Ok(versions)
}

/// Compares what was applied with what this binary holds; answers the newest applied version.
async fn check(
    tx: &mut Tx,
    schema: &Schema,
    part: &'static str,
    migrations: &[Migration],
) -> Result<i64, DatabaseError> {
    let known = migrations.last().map_or(0, |migration| migration.version);
    let mut newest = 0;
    for row in tx.fetch(&Sql::new(schema, KNOWN), values![part]).await? {
        let version: i64 = row.get("version")?;
        let digest: Digest = row.get("digest")?;
        let stage = || schema.stage().to_owned();
        match migrations.iter().find(|migration| migration.version == version) {
            None => return Err(DatabaseError::NewerSchema { stage: stage(), found: version, known }),
            Some(own) if Digest::of(own.sql.as_bytes()) != digest => {
                return Err(DatabaseError::ChangedMigration { stage: stage(), version });
            }
            Some(_) => newest = version,
        }
    }
    Ok(newest)
}
