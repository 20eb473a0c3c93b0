//! What happened, as the ledger's own tables and the clients tell it.

use std::collections::BTreeMap;

use serde_json::Value;

/// Everything of one ledger, and what its clients were told.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Request ids that were acknowledged, with the job that was named.
    pub acknowledged: Vec<(String, String)>,
    /// Jobs that a client was told had ended, with the state.
    pub told: Vec<(String, String)>,
    /// By id.
    pub jobs: BTreeMap<String, Job>,
    /// In the order of job and sequence.
    pub events: Vec<Event>,
    /// In the order of job and fence.
    pub attempts: Vec<Attempt>,
    /// Job and sequence of every audit row.
    pub audit: Vec<(String, i64, String)>,
    /// Job, ordinal, kind and digest of every output row.
    pub outputs: Vec<(String, i64, String, String)>,
    /// Jobs that pins belong to.
    pub pins: Vec<String>,
}

/// A row of the ledger.
#[derive(Debug, Clone, Default)]
pub struct Job {
    pub kind: String,
    pub state: String,
    pub fence: i64,
    pub sequence: i64,
    /// What the row itself names as its outputs: `kind/digest`.
    pub outputs: Vec<String>,
}

/// A durable event.
#[derive(Debug, Clone, Default)]
pub struct Event {
    pub job: String,
    pub sequence: i64,
    pub fence: i64,
    pub kind: String,
    pub state: String,
}

/// An attempt.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    pub job: String,
    pub fence: i64,
    pub worker: String,
    pub outcome: String,
}

/// The states that nothing follows.
pub const TERMINAL: [&str; 3] = ["succeeded", "failed", "cancelled"];

/// All tables of the ledger in the schema `{s}` as one JSON object.
const TABLES: &str = "
select json_build_object(
  'job', (select coalesce(json_agg(t), '[]') from (select id, kind, state, fence,
      sequence, outputs from {s}.job order by id) t),
  'event', (select coalesce(json_agg(t), '[]') from (select job, sequence, fence, kind, state from {s}.event
      order by job, sequence) t),
  'attempt', (select coalesce(json_agg(t), '[]') from (select job, fence, worker, coalesce(outcome, '') as outcome
      from {s}.attempt order by job, fence) t),
  'audit', (select coalesce(json_agg(t), '[]') from (select job, sequence, action from {s}.audit
      order by job, sequence) t),
  'output', (select coalesce(json_agg(t), '[]') from (select job, ordinal, kind, digest from {s}.output
      order by job, ordinal) t),
  'pin', (select coalesce(json_agg(t), '[]') from (select distinct job from {s}.pin order by job) t))";

/// The statement that [`History::read`] reads the answer of.
pub fn statement(schema: &str) -> String {
    TABLES.replace("{s}", schema)
}

impl History {
    /// Reads what the server answered to [`statement`].
    pub fn read(answer: &str) -> Self {
        let tables: Value = serde_json::from_str(answer).unwrap();
        let rows = |table: &str| tables[table].as_array().unwrap().clone();
        let text = |row: &Value, column: &str| row[column].as_str().unwrap().to_owned();
        let number = |row: &Value, column: &str| row[column].as_i64().unwrap();
        let jobs = rows("job");
        let jobs = jobs.iter().map(|row| {
            let job = Job {
                kind: text(row, "kind"),
                state: text(row, "state"),
                fence: number(row, "fence"),
                sequence: number(row, "sequence"),
                outputs: text(row, "outputs").split_whitespace().map(str::to_owned).collect(),
            };
            (text(row, "id"), job)
        });
        let events = rows("event").into_iter().map(|row| Event {
            job: text(&row, "job"),
            sequence: number(&row, "sequence"),
            fence: number(&row, "fence"),
            kind: text(&row, "kind"),
            state: text(&row, "state"),
        });
        let attempts = rows("attempt").into_iter().map(|row| Attempt {
            job: text(&row, "job"),
            fence: number(&row, "fence"),
            worker: text(&row, "worker"),
            outcome: text(&row, "outcome"),
        });
        let audit = rows("audit").into_iter().map(|r| (text(&r, "job"), number(&r, "sequence"), text(&r, "action")));
        let outputs = rows("output").into_iter();
        let outputs = outputs.map(|r| (text(&r, "job"), number(&r, "ordinal"), text(&r, "kind"), text(&r, "digest")));
        Self {
            jobs: jobs.collect(),
            events: events.collect(),
            attempts: attempts.collect(),
            audit: audit.collect(),
            outputs: outputs.collect(),
            pins: rows("pin").iter().map(|row| text(row, "job")).collect(),
            ..Self::default()
        }
    }

    /// Events of one kind.
    pub fn count(&self, kind: &str) -> usize {
        self.events.iter().filter(|event| event.kind == kind).count()
    }

    /// The digests of what the jobs of a kind have made, sorted.
    pub fn made(&self, kind: &str) -> Vec<String> {
        let of_kind = |job: &String| self.jobs.get(job).is_some_and(|job| job.kind == kind);
        let mut made: Vec<String> =
            self.outputs.iter().filter(|output| of_kind(&output.0)).map(|output| output.3.clone()).collect();
        made.sort();
        made
    }
}
