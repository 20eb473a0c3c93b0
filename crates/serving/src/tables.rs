//! The stage's own tables: what is to be served, and which logs were written.

use gristmill_runtime::database::{Database, DatabaseError, Migration, Schema, Sql, Value};
use gristmill_runtime::values;
use gristmill_store::Roots;
use gristmill_types::{ArtifactKind, ArtifactRef, Micros, Name, Project};

/// What a deployment follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Follows {
    /// One version for good.
    Version(u32),
    /// Whatever version the alias stands on.
    Alias(String),
}

/// One deployment that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub project: Project,
    pub name: String,
    pub follows: Follows,
}

/// One artifact of the prediction log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogRow {
    pub project: Project,
    pub name: String,
    pub version: u32,
    pub artifact: ArtifactRef,
    pub rows: u64,
    pub first_at: Micros,
    pub last_at: Micros,
}

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "deployments and logs",
    sql: "
        create table {s}deployment (
            project text not null, name text not null, version bigint not null, alias text not null,
            primary key (project, name));
        create table {s}inference_log (
            project text not null, digest text not null, name text not null, version bigint not null,
            rows bigint not null, first_at bigint not null, last_at bigint not null,
            primary key (project, digest));
        create index {s}inference_log_name on {s}inference_log (project, name, first_at);",
}];

/// Statements on the stage's tables.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    database: Database,
    want: Sql,
    unwant: Sql,
    wanted: Sql,
    add_log: Sql,
    logs: Sql,
    log_digests: Sql,
}

impl Tables {
    pub(crate) async fn open(database: Database, stage: &Name) -> Result<Self, DatabaseError> {
        let schema = Schema::new(stage);
        database.migrate(&schema, MIGRATIONS).await?;
        let sql = |text| Sql::new(&schema, text);
        Ok(Self {
            want: sql("insert into {s}deployment (project, name, version, alias) values ($1, $2, $3, $4)
                on conflict (project, name) do update set version = excluded.version, alias = excluded.alias"),
            unwant: sql("delete from {s}deployment where project = $1 and name = $2"),
            wanted: sql("select project, name, version, alias from {s}deployment order by project, name"),
            add_log: sql("insert into {s}inference_log (project, digest, name, version, rows, first_at, last_at)
                values ($1, $2, $3, $4, $5, $6, $7) on conflict (project, digest) do nothing"),
            logs: sql("select digest from {s}inference_log where project = $1 and name = $2 order by first_at, digest"),
            log_digests: sql("select digest from {s}inference_log where project = $1 order by digest"),
            database,
        })
    }

    pub(crate) async fn want(&self, wanted: &Wanted) -> Result<(), DatabaseError> {
        let (version, alias) = match &wanted.follows {
            Follows::Version(version) => (*version, ""),
            Follows::Alias(alias) => (0, alias.as_str()),
        };
        let values = values![&wanted.project, wanted.name.as_str(), version, alias];
        self.write(&self.want, values).await.map(drop)
    }

    /// Forgets a deployment; whether there was one.
    pub(crate) async fn unwant(&self, project: &Project, name: &str) -> Result<bool, DatabaseError> {
        Ok(self.write(&self.unwant, values![project, name]).await? > 0)
    }

    pub(crate) async fn wanted(&self) -> Result<Vec<Wanted>, DatabaseError> {
        let rows = self.database.fetch(&self.wanted, vec![]).await?;
        let read = |row: &gristmill_runtime::database::Row| {
            let alias: String = row.get("alias")?;
            let version: u32 = row.get("version")?;
            let follows = if alias.is_empty() { Follows::Version(version) } else { Follows::Alias(alias) };
            Ok(Wanted { project: row.get("project")?, name: row.get("name")?, follows })
        };
        rows.iter().map(read).collect()
    }

    pub(crate) async fn add_log(&self, log: &LogRow) -> Result<(), DatabaseError> {
        let values = values![
            &log.project,
            log.artifact.digest,
            log.name.as_str(),
            log.version,
            log.rows,
            log.first_at,
            log.last_at
        ];
        self.write(&self.add_log, values).await.map(drop)
    }

    /// Every log of a model, oldest first.
    pub(crate) async fn logs(&self, project: &Project, name: &str) -> Result<Vec<ArtifactRef>, DatabaseError> {
        let rows = self.database.fetch(&self.logs, values![project, name]).await?;
        let log = |digest| ArtifactRef { kind: ArtifactKind::InferenceLog, digest };
        rows.iter().map(|row| Ok(log(row.get("digest")?))).collect()
    }

    /// What a sweep must keep: every log.
    pub(crate) async fn roots(&self, project: &Project) -> Result<Roots, DatabaseError> {
        let rows = self.database.fetch(&self.log_digests, values![project]).await?;
        let artifacts = rows.iter().map(|row| row.get("digest")).collect::<Result<_, _>>()?;
        Ok(Roots { artifacts, ..Roots::default() })
    }

    async fn write(&self, sql: &Sql, values: Vec<Value>) -> Result<u64, DatabaseError> {
        let mut tx = self.database.begin().await?;
        let changed = tx.execute(sql, values).await?;
        tx.commit().await?;
        Ok(changed)
    }
}
