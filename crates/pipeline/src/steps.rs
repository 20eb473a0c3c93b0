//! The steps of runs, as rows of this stage.

use std::sync::Arc;

use gristmill_proto::job::JobState;
use gristmill_proto::pipeline::Step;
use gristmill_runtime::database::{Database, DatabaseError, Migration, Row, Schema, Sql};
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

const EARLIER: &str = "select started_at, ended_at, step from {s}step where run = $1 and ordinal = $2";

/// Reads and writes steps.
#[derive(Debug, Clone)]
pub(crate) struct Steps {
    db: Database,
    clock: Arc<dyn Clock>,
    write: Sql,
    read: Sql,
    earlier: Sql,
}

/// A step as an earlier attempt of the run finished it.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    job_id: String,
    span: Span,
}

/// When a step began and ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) started_at: Micros,
    pub(crate) ended_at: Micros,
}

/// A step that an attempt is about.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) run: JobId,
    pub(crate) fence: Fence,
    pub(crate) ordinal: i64,
    pub(crate) started_at: Micros,
    /// What an earlier attempt of the run made of this step, if it finished it.
    pub(crate) finished: Option<Finished>,
}

impl Steps {
    /// Brings the tables up to date.
    pub(crate) async fn open(db: Database, schema: &Schema, clock: Arc<dyn Clock>) -> Result<Self, DatabaseError> {
        db.migrate(schema, MIGRATIONS).await?;
        Ok(Self {
            db,
            clock,
            write: Sql::new(schema, WRITE),
            read: Sql::new(schema, READ),
            earlier: Sql::new(schema, EARLIER),
        })
    }

    pub(crate) fn now(&self) -> Micros {
        self.clock.now()
    }

    /// Opens a step for an attempt.
    pub(crate) async fn begin(&self, run: JobId, fence: Fence, ordinal: i64) -> Result<Open, DatabaseError> {
        let rows = self.db.fetch(&self.earlier, values![run, ordinal]).await?;
        let finished = rows.first().map(finished).transpose()?.flatten();
        Ok(Open { run, fence, ordinal, started_at: self.now(), finished })
    }

    /// Records where a step stands while it is under way.
    pub(crate) async fn put(&self, open: &Open, step: &Step) -> Result<(), DatabaseError> {
        self.write(open, step, open.started_at, None).await
    }

    /// Records how a step ended, now or, if an earlier attempt had finished the same, then.
    pub(crate) async fn end(&self, open: &Open, step: &Step) -> Result<(), DatabaseError> {
        let now = Span { started_at: open.started_at, ended_at: self.now() };
        self.end_as(open, step, now).await
    }

    /// Like [`Steps::end`], for a step that took `span` unless an earlier attempt recorded otherwise.
    pub(crate) async fn end_as(&self, open: &Open, step: &Step, span: Span) -> Result<(), DatabaseError> {
        let same = open.finished.as_ref().filter(|finished| step.cached && finished.job_id == step.job_id);
        let span = same.map_or(span, |finished| finished.span);
        self.write(open, step, span.started_at, Some(span.ended_at)).await
    }

    async fn write(
        &self,
        open: &Open,
        step: &Step,
        started_at: Micros,
        ended_at: Option<Micros>,
    ) -> Result<(), DatabaseError> {
        let mut tx = self.db.begin().await?;
        let values = values![open.run, open.ordinal, open.fence, started_at, ended_at, step.encode_to_vec()];
        tx.execute(&self.write, values).await?;
        tx.commit().await
    }

    /// The steps of a run, in order.
    pub(crate) async fn of(&self, run: JobId) -> Result<Vec<Step>, DatabaseError> {
        let rows = self.db.fetch(&self.read, values![run]).await?;
        rows.iter()
            .map(|row| {
                let step = decoded(row)?;
                let ended: Option<Micros> = row.get("ended_at")?;
                let spent = ended.unwrap_or_else(|| self.now()) - row.get::<Micros>("started_at")?;
                #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
                let seconds = spent as f64 / 1e6;
                Ok(Step { seconds, ..step })
            })
            .collect()
    }
}

fn decoded(row: &Row) -> Result<Step, DatabaseError> {
    let bytes: Vec<u8> = row.get("step")?;
    let expected = || DatabaseError::Value { column: "step".into(), expected: "a step" };
    Step::decode(bytes.as_slice()).map_err(|_| expected())
}

fn finished(row: &Row) -> Result<Option<Finished>, DatabaseError> {
    let step = decoded(row)?;
    let Some(ended_at) = row.get::<Option<Micros>>("ended_at")? else { return Ok(None) };
    let span = Span { started_at: row.get("started_at")?, ended_at };
    Ok((step.state() == JobState::Succeeded).then_some(Finished { job_id: step.job_id, span }))
}
