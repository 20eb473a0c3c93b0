//! Prepared data and a stage to study it.

use std::sync::Arc;

use gristmill_jobs::{Job, Ledger, ListJobs};
use gristmill_learn::{FittedTransform, Folds, Recipe, RecipeOptions, Task};
use gristmill_proto::training::training_service_client::TrainingServiceClient;
use gristmill_proto::training::{CreateStudyJobRequest, GetStudyJobRequest, StudyJob, StudySpec};
use gristmill_rpc::Channel;
use gristmill_rpc::channel::LocalRoutes;
use gristmill_testkit::{Sandbox, Started, put};
use gristmill_training::{Settings, open_with};
use gristmill_types::{ArtifactKind, ArtifactRef, Column, Columns, JobId, Project, Values};
use prost::Message;
use serde_json::json;

/// Rows whose target depends on numbers and on a category, with noise.
pub fn rows(count: usize) -> Columns {
    let mut state = 3_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1_u64 << 31) as f64
    };
    let (mut a, mut b, mut c, mut late) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in 0..count {
        let (x, y, group) = (draw() * 4.0 - 2.0, draw() * 10.0, (draw() * 4.0) as usize);
        let score = x + (y - 5.0) * 0.2 + group as f64 * 0.5 - 0.8;
        late.push(draw() < 1.0 / (1.0 + (-score).exp()));
        a.push((row % 11 != 0).then_some(x));
        b.push(Some(y));
        c.push(["north", "south", "east", "west"][group]);
    }
    Columns::new(vec![
        Column::float("wind", a),
        Column::float("load", b),
        Column::text("gate", c.iter().map(|g| Some(*g))),
        Column::new("late", Values::Bool(late)),
        Column::int("_row_key", (0..count as i64).map(|row| Some(row * 31 + 5))),
    ])
    .unwrap()
}

/// A stage on data of its own.
pub struct Bench {
    pub sandbox: Sandbox,
    pub started: Option<Started>,
    pub ledger: Arc<dyn Ledger>,
    pub transform: ArtifactRef,
    pub train: ArtifactRef,
    pub validation: ArtifactRef,
}

impl Bench {
    pub async fn new(count: usize, settings: Settings) -> Self {
        Self::on(Sandbox::new().await, &rows(count), "time", settings).await
    }

    pub async fn on(sandbox: Sandbox, rows: &Columns, split: &str, settings: Settings) -> Self {
        let (transform, train, validation) = prepare(&sandbox, rows, split).await;
        let (started, ledger) = start(&sandbox, settings).await;
        Self { sandbox, started: Some(started), ledger, transform, train, validation }
    }

    /// Starts the stage once more, as after a crash or a restart.
    pub async fn restart(&mut self, settings: Settings) {
        let (started, ledger) = start(&self.sandbox, settings).await;
        self.started = Some(started);
        self.ledger = ledger;
    }

    pub fn channel(&self) -> Channel {
        self.started.as_ref().unwrap().channel.clone()
    }

    pub fn client(&self) -> TrainingServiceClient<Channel> {
        TrainingServiceClient::new(self.channel())
    }

    pub fn spec(&self, trials: u32) -> StudySpec {
        StudySpec {
            transform: Some(self.transform.into()),
            train: Some(self.train.into()),
            validation: Some(self.validation.into()),
            trials,
            max_rounds: 30,
            seed: 7,
            ..StudySpec::default()
        }
    }

    /// Submits a study and answers its name.
    pub async fn submit(&self, spec: StudySpec) -> JobId {
        let request = CreateStudyJobRequest { spec: Some(spec), ..Default::default() };
        let job = self.client().create_study_job(request).await.unwrap().into_inner().job.unwrap();
        job.job.unwrap().id.parse().unwrap()
    }

    /// Waits for a study and answers it.
    pub async fn finished(&self, id: JobId) -> StudyJob {
        self.ledger.finished(&Project::default(), id).await.unwrap();
        let request = GetStudyJobRequest { id: id.to_string(), ..Default::default() };
        self.client().get_study_job(request).await.unwrap().into_inner().job.unwrap()
    }

    /// The trials of a study, oldest first.
    pub async fn trials(&self, study: JobId) -> Vec<Job> {
        let query = ListJobs::of(&Project::default()).parent(study).page(1_000, "").unwrap();
        let mut jobs = self.ledger.list(&query).await.unwrap().jobs;
        jobs.reverse();
        jobs
    }

    pub async fn part(&self, artifact: Option<&gristmill_proto::artifact::ArtifactRef>, name: &str) -> Vec<u8> {
        let artifact = ArtifactRef::try_from(artifact.unwrap()).unwrap();
        let artifact = self.sandbox.store().open(&artifact).await.unwrap();
        artifact.part(name).unwrap().bytes().await.unwrap().to_vec()
    }
}

async fn start(sandbox: &Sandbox, settings: Settings) -> (Started, Arc<dyn Ledger>) {
    let routes = LocalRoutes::new();
    let stage = open_with(&sandbox.deps, settings).await.unwrap();
    let ledger = Arc::clone(&stage.ledger);
    (sandbox.start(&routes, [stage]).await, ledger)
}

/// Splits, fits and stores `rows` as preparation does.
async fn prepare(sandbox: &Sandbox, rows: &Columns, split: &str) -> (ArtifactRef, ArtifactRef, ArtifactRef) {
    let validation: Vec<usize> = (0..rows.rows()).filter(|row| row % 4 == 0).collect();
    let train: Vec<usize> = (0..rows.rows()).filter(|row| row % 4 != 0).collect();
    let (train, validation) = (rows.take(&train), rows.take(&validation));
    let recipe = Recipe::automatic(&train, &RecipeOptions::for_target("late")).unwrap();
    let fitted = FittedTransform::fit(&recipe, &train, &Folds::Rows { seed: 1 }).unwrap();
    let unseen = fitted.unseen(&recipe.target, &validation).unwrap();
    let store = sandbox.store();
    let dataset = put(&store, ArtifactKind::Dataset, [], [("dataset.json", b"{}".to_vec())]).await;
    let transform = fitted.to_model().encode_to_vec();
    let parts = [("recipe.json", recipe.to_json().unwrap()), ("transform.pb", transform)];
    let transform = put(&store, ArtifactKind::Transform, [dataset], parts).await;
    let task = Task::as_str(recipe.target.task);
    let mut splits = Vec::new();
    for (table, matrix) in [(&train, &fitted.matrix), (&validation, &unseen)] {
        let mut parquet = Vec::new();
        gristmill_frame::write_parquet(table, &mut parquet).unwrap();
        let facts = json!({"rows": table.rows(), "task": task, "plan": {"method": split}});
        let parts = [
            ("matrix.bin", matrix.to_bytes().unwrap()),
            ("rows.parquet", parquet),
            ("split.json", serde_json::to_vec(&facts).unwrap()),
        ];
        splits.push(put(&store, ArtifactKind::Prepared, [dataset], parts).await);
    }
    (transform, splits[0], splits[1])
}
