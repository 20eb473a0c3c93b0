//! A job from request to artifacts, over the contract.

use std::sync::Arc;

use gristmill_jobs::Ledger;
use gristmill_learn::Matrix;
use gristmill_preparation::{SplitReport, open};
use gristmill_proto::job::JobState;
use gristmill_proto::preparation::preparation_service_client::PreparationServiceClient;
use gristmill_proto::preparation::{
    CreatePreparationJobRequest, GetPreparationJobRequest, PreparationJob, PreparationSpec,
};
use gristmill_rpc::Channel;
use gristmill_rpc::channel::LocalRoutes;
use gristmill_testkit::{Sandbox, Started};
use gristmill_types::{ArtifactRef, Column, Columns, Project, Values};
use serde_json::json;

const HOUR: i64 = 3_600_000_000;

/// 1,200 hourly rows; `delay` is the outcome in minutes and `late` the target made from it.
fn rows() -> Columns {
    let rows = 1_200_i64;
    let noise = |row: i64| (row * 7_919) % 101;
    Columns::new(vec![
        Column::new(
            "at",
            Values::Timestamp { zone: Some("America/New_York".into()), micros: (0..rows).map(|r| r * HOUR).collect() },
        ),
        Column::float("wind", (0..rows).map(|row| (row % 13 != 0).then(|| noise(row) as f64 / 10.0))),
        Column::text("carrier", (0..rows).map(|row| Some(["AA", "UA", "DL", "B6"][(row % 4) as usize]))),
        Column::int("delay", (0..rows).map(|row| (row % 50 != 0).then(|| noise(row) - 60))),
        Column::new("late", Values::Bool((0..rows).map(|row| noise(row) > 75).collect())),
        Column::int("_row_key", (0..rows).map(|row| Some(row * 31 + 5))),
    ])
    .unwrap()
}

fn parquet(rows: &Columns) -> Vec<u8> {
    let mut bytes = Vec::new();
    gristmill_frame::write_parquet(rows, &mut bytes).unwrap();
    bytes
}

struct Bench {
    sandbox: Sandbox,
    started: Started,
    ledger: Arc<dyn Ledger>,
    dataset: ArtifactRef,
}

impl Bench {
    async fn new() -> Self {
        let sandbox = Sandbox::new().await;
        let routes = LocalRoutes::new();
        let stage = open(&sandbox.deps).await.unwrap();
        let ledger = Arc::clone(&stage.ledger);
        let started = sandbox.start(&routes, [stage]).await;
        let dataset = sandbox.dataset(parquet(&rows()), &json!({"known_after": ["delay"]})).await;
        Self { sandbox, started, ledger, dataset }
    }

    fn client(&self) -> PreparationServiceClient<Channel> {
        PreparationServiceClient::new(self.started.channel.clone())
    }

    fn spec(&self) -> PreparationSpec {
        PreparationSpec { dataset: Some(self.dataset.into()), target: "late".into(), seed: 3, ..Default::default() }
    }

    async fn run(&self, spec: PreparationSpec) -> PreparationJob {
        let request = CreatePreparationJobRequest { spec: Some(spec), ..Default::default() };
        let job = self.client().create_preparation_job(request).await.unwrap().into_inner().job.unwrap();
        let id = job.job.as_ref().unwrap().id.clone();
        self.ledger.finished(&Project::default(), id.parse().unwrap()).await.unwrap();
        let request = GetPreparationJobRequest { id, ..Default::default() };
        let mut done = self.client().get_preparation_job(request).await.unwrap().into_inner().job.unwrap();
        if let Some(finished) = done.job.as_mut() {
            finished.cached = job.job.unwrap().cached;
        }
        done
    }

    async fn part(&self, artifact: Option<&gristmill_proto::artifact::ArtifactRef>, name: &str) -> Vec<u8> {
        let artifact = ArtifactRef::try_from(artifact.unwrap()).unwrap();
        let artifact = self.sandbox.store().open(&artifact).await.unwrap();
        artifact.part(name).unwrap().bytes().await.unwrap().to_vec()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_splits_by_day_and_never_reads_the_outcome() {
    let bench = Bench::new().await;
    let done = bench.run(bench.spec()).await;
    let job = done.job.unwrap();
    assert_eq!(job.state(), JobState::Succeeded, "{:?}", job.error);
    let result = done.result.unwrap();
    assert_eq!((result.task.as_str(), result.time_split), ("binary", true));
    assert_eq!(result.labels, ["false", "true"]);
    assert_eq!(result.train_rows + result.validation_rows + result.test_rows, 1_200);

    let matrix = Matrix::from_bytes(&bench.part(result.train.as_ref(), "matrix.bin").await).unwrap();
    assert_eq!(matrix.rows() as u64, result.train_rows);
    let report: SplitReport = serde_json::from_slice(&bench.part(result.test.as_ref(), "split.json").await).unwrap();
    assert_eq!((report.part.as_str(), report.unit.as_str()), ("test", "local day of at"));
    let names: Vec<&str> = matrix.numeric.iter().map(|slot| slot.name.as_str()).collect();
    assert!(names.iter().any(|name| name.contains("wind")), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("delay")), "the outcome became a feature: {names:?}");

    // The test split is raw rows alone: nothing that training could read.
    let test = ArtifactRef::try_from(result.test.as_ref().unwrap()).unwrap();
    let test = bench.sandbox.store().open(&test).await.unwrap();
    assert!(test.part("matrix.bin").is_err());
    assert!(test.part("rows.parquet").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_equal_spec_is_answered_and_gives_the_same_bytes_when_forced() {
    let bench = Bench::new().await;
    let first = bench.run(bench.spec()).await;
    let again = bench.run(bench.spec()).await;
    assert!(!first.job.as_ref().unwrap().cached && again.job.as_ref().unwrap().cached);
    assert_eq!(first.result, again.result);
    let request = CreatePreparationJobRequest { spec: Some(bench.spec()), fresh: true, ..Default::default() };
    let forced = bench.client().create_preparation_job(request).await.unwrap().into_inner().job.unwrap().job.unwrap();
    assert_ne!(forced.id, first.job.as_ref().unwrap().id);
    let forced = bench.ledger.finished(&Project::default(), forced.id.parse().unwrap()).await.unwrap();
    let outputs: Vec<String> = forced.outputs.iter().map(ToString::to_string).collect();
    let expected: Vec<String> = first.job.unwrap().outputs.iter().map(|o| format!("{}/{}", o.kind, o.digest)).collect();
    assert_eq!(outputs, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_specs_are_refused_before_anything_is_recorded() {
    let bench = Bench::new().await;
    for (spec, expected) in [
        (PreparationSpec { target: String::new(), ..bench.spec() }, "name the column"),
        (PreparationSpec { task: "ranking".into(), ..bench.spec() }, "`ranking` is not a task"),
        (PreparationSpec { zone: "New York".into(), ..bench.spec() }, "IANA"),
        (PreparationSpec { dataset: None, ..bench.spec() }, "kind and digest"),
    ] {
        let request = CreatePreparationJobRequest { spec: Some(spec), ..Default::default() };
        let status = bench.client().create_preparation_job(request).await.unwrap_err();
        assert_eq!(status.code(), gristmill_rpc::error::grpc_code(gristmill_types::ErrorCode::InvalidArgument));
        assert!(status.message().contains(expected), "{}", status.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_cannot_be_prepared_says_why() {
    let bench = Bench::new().await;
    let failed = |job: PreparationJob| {
        let job = job.job.unwrap();
        assert_eq!(job.state(), JobState::Failed);
        job.error.unwrap()
    };
    let error = failed(bench.run(PreparationSpec { target: "lateness".into(), ..bench.spec() }).await);
    assert_eq!(error.reason, "TARGET_MISSING");
    assert!(error.message.contains("`lateness`") && error.message.contains("carrier"), "{}", error.message);

    let constant = Columns::new(vec![
        Column::int("x", (0..50).map(Some)),
        Column::text("y", (0..50).map(|_| Some("same"))),
        Column::text("z", (0..50).map(|_| None)),
    ])
    .unwrap();
    let dataset = bench.sandbox.dataset(parquet(&constant), &json!({})).await;
    let spec = |target: &str| PreparationSpec {
        dataset: Some(dataset.into()),
        target: target.into(),
        ..PreparationSpec::default()
    };
    let error = failed(bench.run(spec("y")).await);
    assert!(error.message.contains("constant"), "{}", error.message);
    let error = failed(bench.run(spec("z")).await);
    assert_eq!(error.reason, "TARGET_NULL");
}
