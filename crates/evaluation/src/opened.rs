//! How often test splits were opened for a model name: the more often, the less a test says.

use gristmill_jobs::JobError;
use gristmill_runtime::database::{Database, DatabaseError, Migration, Schema, Sql, Tx};
use gristmill_runtime::values;
use gristmill_types::{ArtifactRef, JobId, Name, Project};

/// Applied in order; an applied one never changes.
const MIGRATIONS: &[Migration] = &[Migration { version: 1, name: "opened tests", sql: FIRST }];

const FIRST: &str = "
create table {s}test_open (
    project text not null,
    model_name text not null,
    number bigint not null,
    test text not null,
    job text not null,
    primary key (project, model_name, number)
);
create unique index {s}test_open_job on {s}test_open (project, job);
";
const COUNT: &str =
    "select coalesce(max(number), 0) as opened from {s}test_open where project = $1 and model_name = $2";
const INSERT: &str = "insert into {s}test_open (project, model_name, number, test, job) values ($1, $2, $3, $4, $5)";

/// The stage's own table, written in the transaction that commits the job.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    database: Database,
    schema: Schema,
    count: Sql,
    insert: Sql,
}

/// An opened test to be written down.
pub(crate) struct Opening<'a> {
    pub project: &'a Project,
    pub model_name: &'a str,
    /// What the artifact says: this time included.
    pub number: u32,
    pub test: ArtifactRef,
    pub job: JobId,
}

impl Opened {
    pub(crate) async fn open(database: Database, stage: &Name) -> Result<Self, DatabaseError> {
        let schema = Schema::new(stage);
        database.migrate(&schema, MIGRATIONS).await?;
        Ok(Self { count: Sql::new(&schema, COUNT), insert: Sql::new(&schema, INSERT), database, schema })
    }

    /// Tests opened so far under `model_name`.
    pub(crate) async fn count(&self, project: &Project, model_name: &str) -> Result<u32, DatabaseError> {
        let row = self.database.fetch_optional(&self.count, values![project.clone(), model_name]).await?;
        number(row.map(|row| row.get("opened")).transpose()?)
    }

    /// Writes one opening. If another evaluation of the same name was committed since the number was read, the attempt
    /// is repeated, so that every report shows the true number.
    pub(crate) async fn write(&self, tx: &mut Tx, opening: &Opening<'_>) -> Result<(), JobError> {
        // Where others write at the same time, the count must still be true at the insert.
        tx.lock(&self.schema, &format!("opened {} {}", opening.project, opening.model_name)).await?;
        let row = tx.fetch_optional(&self.count, values![opening.project.clone(), opening.model_name]).await?;
        let before = number(row.map(|row| row.get("opened")).transpose()?)?;
        if before.saturating_add(1) != opening.number {
            let message = "another evaluation of this model name was committed meanwhile: the count is read again";
            return Err(JobError::transient("TEST_COUNT_MOVED", message));
        }
        let values = values![
            opening.project.clone(),
            opening.model_name,
            i64::from(opening.number),
            opening.test.to_string(),
            opening.job,
        ];
        tx.execute(&self.insert, values).await?;
        Ok(())
    }
}

fn number(value: Option<i64>) -> Result<u32, DatabaseError> {
    let wrong = || DatabaseError::Value { column: "opened".into(), expected: "a count" };
    u32::try_from(value.unwrap_or(0)).map_err(|_| wrong())
}
