//! The steps of runs, as rows of this stage.

use std::sync::Arc;

use gristmill_proto::pipeline::Step;
use gristmill_runtime::database::{Database, DatabaseError, Migration, Schema, Sql};
use gristmill_runtime::values;
use gristmill_types::{Clock, Fence, JobId, Micros};
use prost::Message;

/// The stage's own tables. A step belongs to the attempt that wrote it last; an earlier attempt that
/// still lives changes nothing any more.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "steps",
    sql: "
create table {s}step (
    run text not null,
    ordinal bigint not null,
    fence bigint not null,
    started_at bigint not null,
    ended_at bigint,
    step bytea not null,
    primary key (run, ordinal)
);",
}];

const WRITE: &str = "insert into {s}step (run, ordinal, fence, started_at, ended_at, step) \
    values ($1, $2, $3, $4, $5, $6) on conflict (run, ordinal) do update set fence = excluded.fence, \
    started_at = excluded.started_at, ended_at = excluded.ended_at, step = excluded.step \
    where {s}step.fence <= excluded.fence";
const READ: &str = "select started_at, ended_at, step from {s}step where run = $1 order by ordinal";

/// Reads and writes steps.
#[derive(Debug, Clone)]
pub(crate) struct Steps {
    db: Database,
    clock: Arc<dyn Clock>,
    write: Sql,
    read: Sql,
}

/// A step that an attempt is about.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) run: JobId,
    pub(crate) fence: Fence,
    pub(crate) ordinal: i64,
    pub(crate) started_at: Micros,
}

impl Steps {
    /// Brings the tables up to date.
    pub(crate) async fn open(db: Database, schema: &Schema, clock: Arc<dyn Clock>) -> Result<Self, DatabaseError> {
        db.migrate(schema, MIGRATIONS).await?;
        Ok(Self { db, clock, write: Sql::new(schema, WRITE), read: Sql::new(schema, READ) })
    }

    pub(crate) fn now(&self) -> Micros {
        self.clock.now()
    }

    /// Records where a step stands; `ended` when it stands so for good.
    pub(crate) async fn put(&self, open: &Open, step: &Step, ended: bool) -> Result<(), DatabaseError> {
        let ended_at = ended.then(|| self.now());
        let mut tx = self.db.begin().await?;
        let values = values![open.run, open.ordinal, open.fence, open.started_at, ended_at, step.encode_to_vec()];
        tx.execute(&self.write, values).await?;
        tx.commit().await
    }

    /// The steps of a run, in order.
    pub(crate) async fn of(&self, run: JobId) -> Result<Vec<Step>, DatabaseError> {
        let rows = self.db.fetch(&self.read, values![run]).await?;
        rows.iter()
            .map(|row| {
                let bytes: Vec<u8> = row.get("step")?;
                let expected = || DatabaseError::Value { column: "step".into(), expected: "a step" };
                let step = Step::decode(bytes.as_slice()).map_err(|_| expected())?;
                let ended: Option<Micros> = row.get("ended_at")?;
                let spent = ended.unwrap_or_else(|| self.now()) - row.get::<Micros>("started_at")?;
                #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
                let seconds = spent as f64 / 1e6;
                Ok(Step { seconds, ..step })
            })
            .collect()
    }
}
