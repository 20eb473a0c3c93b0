//! A job from request to artifact, over the contract.

use std::sync::Arc;

use gristmill_evaluation::{Evaluation, open};
use gristmill_jobs::Ledger;
use gristmill_proto::evaluation::evaluation_service_client::EvaluationServiceClient;
use gristmill_proto::evaluation::{
    Champion, CreateEvaluationJobRequest, EvaluationJob, EvaluationResult, EvaluationSpec, GateRule,
    GetEvaluationJobRequest, VerdictState,
};
use gristmill_proto::job::JobState;
use gristmill_rpc::Channel;
use gristmill_rpc::channel::LocalRoutes;
use gristmill_testkit::{Sandbox, Started, put};
use gristmill_types::{ArtifactKind, ArtifactRef, Columns, ErrorCode, Project};

use super::made::{PER_DAY, late, rows};

struct Bench {
    sandbox: Sandbox,
    started: Started,
    ledger: Arc<dyn Ledger>,
    model: ArtifactRef,
    champion: ArtifactRef,
    train: ArtifactRef,
    champion_train: ArtifactRef,
    test: ArtifactRef,
}

async fn split(sandbox: &Sandbox, rows: &Columns) -> ArtifactRef {
    let mut parquet = Vec::new();
    gristmill_frame::write_parquet(rows, &mut parquet).unwrap();
    let document = br#"{"part": "test", "unit": "local day of at"}"#.to_vec();
    put(&sandbox.store(), ArtifactKind::Prepared, [], [("rows.parquet", parquet), ("split.json", document)]).await
}

impl Bench {
    async fn new() -> Self {
        let sandbox = Sandbox::new().await;
        let routes = LocalRoutes::new();
        let stage = open(&sandbox.deps).await.unwrap();
        let ledger = Arc::clone(&stage.ledger);
        let started = sandbox.start(&routes, [stage]).await;
        let model = |slope: f64| put_model(&sandbox, slope);
        let (model, champion) = (model(3.0).await, model(1.0).await);
        // Keys: the model saw 0 to 499, the champion 490 to 599, the test holds 500 to 1,999.
        let train = split(&sandbox, &rows(500, 0)).await;
        let champion_train = split(&sandbox, &rows(110, 490)).await;
        let test = split(&sandbox, &rows(60 * PER_DAY, 500)).await;
        Self { sandbox, started, ledger, model, champion, train, champion_train, test }
    }

    fn client(&self) -> EvaluationServiceClient<Channel> {
        EvaluationServiceClient::new(self.started.channel.clone())
    }

    fn spec(&self) -> EvaluationSpec {
        EvaluationSpec {
            model: Some(self.model.into()),
            test: Some(self.test.into()),
            seen: vec![self.train.into()],
            model_name: "lateness".into(),
            replicates: 200,
            ..EvaluationSpec::default()
        }
    }

    fn champion(&self) -> Option<Champion> {
        let seen = vec![self.champion_train.into()];
        Some(Champion { model: Some(self.champion.into()), seen, version: 3 })
    }

    async fn create(&self, spec: EvaluationSpec, fresh: bool) -> EvaluationJob {
        let request = CreateEvaluationJobRequest { spec: Some(spec), fresh, ..Default::default() };
        self.client().create_evaluation_job(request).await.unwrap().into_inner().job.unwrap()
    }

    async fn finish(&self, job: EvaluationJob) -> EvaluationJob {
        let id = job.job.unwrap().id;
        self.ledger.finished(&Project::default(), id.parse().unwrap()).await.unwrap();
        let request = GetEvaluationJobRequest { id, ..Default::default() };
        self.client().get_evaluation_job(request).await.unwrap().into_inner().job.unwrap()
    }

    async fn result(&self, spec: EvaluationSpec, fresh: bool) -> EvaluationResult {
        let done = self.finish(self.create(spec, fresh).await).await;
        let job = done.job.unwrap();
        assert_eq!(job.state(), JobState::Succeeded, "{:?}", job.error);
        done.result.unwrap()
    }

    async fn part(&self, result: &EvaluationResult, name: &str) -> Vec<u8> {
        let artifact = ArtifactRef::try_from(result.evaluation.as_ref().unwrap()).unwrap();
        let artifact = self.sandbox.store().open(&artifact).await.unwrap();
        artifact.part(name).unwrap().bytes().await.unwrap().to_vec()
    }
}

async fn put_model(sandbox: &Sandbox, slope: f64) -> ArtifactRef {
    put(&sandbox.store(), ArtifactKind::Model, [], [("model.gmm", late(slope).bytes())]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_measures_compares_judges_and_reports() {
    let bench = Bench::new().await;
    let result = bench.result(EvaluationSpec { champion: bench.champion(), ..bench.spec() }, false).await;
    let verdict = result.verdict.as_ref().unwrap();
    assert_eq!(verdict.state(), VerdictState::Passed, "{verdict:?}");
    // Rows 500 to 599 are the champion's.
    assert_eq!((result.rows, result.units, result.test_opened), (1_400, 56, 1));
    let log_loss = result.metrics.iter().find(|metric| metric.name == "log_loss").unwrap();
    assert!(log_loss.low < log_loss.value && log_loss.value < log_loss.high, "{log_loss:?}");

    let evaluation: Evaluation = serde_json::from_slice(&bench.part(&result, "evaluation.json").await).unwrap();
    assert_eq!((evaluation.rows.seen_by_model, evaluation.rows.seen_by_champion), (0, 100));
    let file: serde_json::Value = serde_json::from_slice(&bench.part(&result, "verdict.json").await).unwrap();
    assert_eq!(file["state"], "passed");
    let html = String::from_utf8(bench.part(&result, "report.html").await).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>") && html.contains("version 3"));

    // The registry accepts a verdict only of the model that it was made from.
    let artifact = ArtifactRef::try_from(result.evaluation.as_ref().unwrap()).unwrap();
    let artifact = bench.sandbox.store().open(&artifact).await.unwrap();
    for input in [bench.model, bench.test, bench.train, bench.champion, bench.champion_train] {
        assert!(artifact.manifest().inputs().contains(&input), "{input}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusing_gate_is_a_job_that_succeeded() {
    let bench = Bench::new().await;
    let rule = GateRule { metric: "roc_auc".into(), min: Some(0.99), interval: true, ..GateRule::default() };
    let result = bench.result(EvaluationSpec { gate: vec![rule], ..bench.spec() }, false).await;
    let verdict = result.verdict.unwrap();
    assert_eq!(verdict.state(), VerdictState::Refused);
    assert_eq!(verdict.rules.len(), 1);
    assert_eq!(verdict.rules[0].rule.as_ref().unwrap().min, Some(0.99));
    assert!(verdict.rules[0].low < verdict.rules[0].value && verdict.rules[0].reason.contains("fails"));
}

#[tokio::test(flavor = "multi_thread")]
async fn opened_tests_are_counted_by_name_and_answers_from_the_cache_are_not() {
    let bench = Bench::new().await;
    let opened = async |name: &str, fresh: bool| {
        bench.result(EvaluationSpec { model_name: name.into(), ..bench.spec() }, fresh).await.test_opened
    };
    assert_eq!(opened("one", false).await, 1);
    assert_eq!(opened("one", false).await, 1, "answered, not opened again");
    assert_eq!(opened("one", true).await, 2);
    assert_eq!(opened("two", false).await, 1);
    assert_eq!(opened("one", true).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn evaluations_of_one_name_at_once_each_get_a_number_of_their_own() {
    let bench = Bench::new().await;
    let specs = (0..4).map(|seed| EvaluationSpec { seed, ..bench.spec() });
    let mut jobs = Vec::new();
    for spec in specs {
        jobs.push(bench.create(spec, false).await);
    }
    let mut numbers = Vec::new();
    for job in jobs {
        let done = bench.finish(job).await;
        assert_eq!(done.job.as_ref().unwrap().state(), JobState::Succeeded, "{:?}", done.job);
        numbers.push(done.result.unwrap().test_opened);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_specs_are_refused_before_anything_is_recorded() {
    let bench = Bench::new().await;
    let ece = GateRule { metric: "ece".into(), max: Some(0.1), ..GateRule::default() };
    let mixed =
        ["rmse", "log_loss"].map(|metric| GateRule { metric: metric.into(), max: Some(1.0), ..Default::default() });
    for (spec, expected) in [
        (EvaluationSpec { model: None, ..bench.spec() }, "model"),
        (EvaluationSpec { model: Some(bench.test.into()), ..bench.spec() }, "a model artifact is needed"),
        (EvaluationSpec { seen: vec![], ..bench.spec() }, "rows the model has seen"),
        (EvaluationSpec { gate: vec![ece], ..bench.spec() }, "gate[0].metric: ece is shown but cannot gate"),
        (EvaluationSpec { gate: mixed.to_vec(), ..bench.spec() }, "different tasks"),
        (EvaluationSpec { confidence: 1.5, ..bench.spec() }, "0.95"),
        (EvaluationSpec { replicates: 5, ..bench.spec() }, "100 to 100000"),
        (EvaluationSpec { model_name: "No Name".into(), ..bench.spec() }, "lower-case"),
    ] {
        let request = CreateEvaluationJobRequest { spec: Some(spec), ..Default::default() };
        let status = bench.client().create_evaluation_job(request).await.unwrap_err();
        assert_eq!(status.code(), gristmill_rpc::error::grpc_code(ErrorCode::InvalidArgument));
        assert!(status.message().contains(expected), "{}", status.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_not_fit_the_rows_ends_the_job_with_a_reason() {
    let bench = Bench::new().await;
    let test = split(&bench.sandbox, &rows(800, 500).select(&["late", "_row_key"])).await;
    let done =
        bench.finish(bench.create(EvaluationSpec { test: Some(test.into()), ..bench.spec() }, false).await).await;
    let job = done.job.unwrap();
    let error = job.error.clone().unwrap();
    assert_eq!((job.state(), error.reason.as_str()), (JobState::Failed, "MODEL_UNUSABLE"));
    assert!(error.message.contains("`x`") || error.message.contains(" x"), "{}", error.message);
}
