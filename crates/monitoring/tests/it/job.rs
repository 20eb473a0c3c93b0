//! A whole job over the stage's service, real store and ledger.

use gristmill_learn::LearnerKind;
use gristmill_monitoring::{Findings, State, open};
use gristmill_proto::job::JobState;
use gristmill_proto::monitoring::monitoring_service_client::MonitoringServiceClient;
use gristmill_proto::monitoring::{
    CreateMonitoringJobRequest, GetMonitoringJobRequest, MonitoringJob, MonitoringSpec, MonitoringState,
    WatchMonitoringJobRequest,
};
use gristmill_rpc::Channel;
use gristmill_rpc::channel::LocalRoutes;
use gristmill_testkit::{Sandbox, Started, put};
use gristmill_types::{ArtifactKind, ArtifactRef, Columns};
use serde_json::json;

use crate::world::{Change, TRAIN, Target, VALIDATION, days, train};

type Client = MonitoringServiceClient<Channel>;

async fn started(sandbox: &Sandbox) -> (Started, Client) {
    let stage = open(&sandbox.deps).await.unwrap();
    let started = sandbox.start(&LocalRoutes::new(), [stage]).await;
    let client = MonitoringServiceClient::new(started.channel.clone());
    (started, client)
}

fn parquet(rows: &Columns) -> Vec<u8> {
    let mut parquet = Vec::new();
    gristmill_frame::write_parquet(rows, &mut parquet).unwrap();
    parquet
}

async fn prepared(sandbox: &Sandbox, rows: &Columns) -> ArtifactRef {
    put(&sandbox.store(), ArtifactKind::Prepared, [], [("rows.parquet", parquet(rows))]).await
}

/// Training split, model, and two live windows as datasets.
async fn world(sandbox: &Sandbox, change: Change) -> (ArtifactRef, ArtifactRef, Vec<ArtifactRef>) {
    let baseline = prepared(sandbox, &days(1, 0, TRAIN, Target::Binary, Change::None)).await;
    let bytes = train(1, Target::Binary, LearnerKind::Boosting, &baseline.digest.to_string());
    let model = put(&sandbox.store(), ArtifactKind::Model, [baseline], [("model.gmm", bytes)]).await;
    let first = TRAIN + VALIDATION;
    let mut live = Vec::new();
    for from in [first, first + 7] {
        live.push(sandbox.dataset(parquet(&days(1, from, 7, Target::Binary, change)), &json!({})).await);
    }
    (baseline, model, live)
}

fn spec(model: ArtifactRef, live: &[ArtifactRef]) -> MonitoringSpec {
    let rows = live.iter().map(|artifact| (*artifact).into()).collect();
    MonitoringSpec { model: Some(model.into()), rows, seed: 7, ..MonitoringSpec::default() }
}

async fn finished(client: &mut Client, spec: MonitoringSpec) -> MonitoringJob {
    let request = CreateMonitoringJobRequest { spec: Some(spec), ..CreateMonitoringJobRequest::default() };
    let job = client.create_monitoring_job(request).await.unwrap().into_inner().job.unwrap().job.unwrap();
    let watch = WatchMonitoringJobRequest { id: job.id.clone(), ..WatchMonitoringJobRequest::default() };
    let mut events = client.watch_monitoring_job(watch).await.unwrap().into_inner();
    while events.message().await.unwrap().is_some() {}
    let get = GetMonitoringJobRequest { id: job.id, ..GetMonitoringJobRequest::default() };
    client.get_monitoring_job(get).await.unwrap().into_inner().job.unwrap()
}

fn error(job: &MonitoringJob) -> (i32, String) {
    let job = job.job.as_ref().unwrap();
    (job.state, job.error.as_ref().map(|error| format!("{}: {}", error.reason, error.message)).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn live_windows_are_put_together_judged_and_reported() {
    let sandbox = Sandbox::new().await;
    let (started, mut client) = started(&sandbox).await;
    let (_, model, live) = world(&sandbox, Change::Major).await;
    let job = finished(&mut client, spec(model, &live)).await;
    let result = job.result.clone().unwrap_or_else(|| panic!("{:?}", error(&job)));
    assert_eq!(result.state(), MonitoringState::Alert);
    assert_eq!((result.rows, result.columns.len()), (14 * 30, 4));
    assert!(result.summary.starts_with("predictions drifted: PSI "), "{}", result.summary);
    assert_eq!(result.prediction.as_ref().unwrap().verdict, "drifted");
    let load = result.columns.iter().find(|column| column.column == "load").unwrap();
    assert!(load.verdict == "drifted" && load.psi > load.threshold);

    let report: ArtifactRef = result.report.as_ref().unwrap().try_into().unwrap();
    let opened = sandbox.store().open(&report).await.unwrap();
    let document = opened.part("drift.json").unwrap().bytes().await.unwrap();
    let findings: Findings = serde_json::from_slice(&document).unwrap();
    assert_eq!(findings.state, State::Alert);
    let html = opened.part("report.html").unwrap().bytes().await.unwrap();
    assert!(html.starts_with(b"<!DOCTYPE html>"));

    let again = client
        .create_monitoring_job(CreateMonitoringJobRequest { spec: Some(spec(model, &live)), ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    let again = again.job.unwrap();
    assert!(again.job.unwrap().cached);
    assert_eq!(again.result, job.result);
    started.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_spec_gives_the_same_bytes() {
    let sandbox = Sandbox::new().await;
    let (started, mut client) = started(&sandbox).await;
    let (baseline, model, live) = world(&sandbox, Change::None).await;
    let first = finished(&mut client, spec(model, &live)).await.result.unwrap();
    assert_eq!((first.state(), first.quality.len()), (MonitoringState::Ok, 0), "{}", first.summary);
    // Another spec with the same meaning computes again.
    let named = MonitoringSpec { baseline: Some(baseline.into()), ..spec(model, &live) };
    let second = finished(&mut client, named).await.result.unwrap();
    let digest = |report: &Option<gristmill_proto::artifact::ArtifactRef>| report.as_ref().unwrap().digest.clone();
    let open = |text: String| ArtifactRef { kind: ArtifactKind::DriftReport, digest: text.parse().unwrap() };
    let mut parts = Vec::new();
    for report in [digest(&first.report), digest(&second.report)] {
        let opened = sandbox.store().open(&open(report)).await.unwrap();
        parts.push((
            opened.part("drift.json").unwrap().bytes().await.unwrap(),
            opened.part("report.html").unwrap().bytes().await.unwrap(),
        ));
    }
    assert!(parts[0] == parts[1]);
    started.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_specs_are_refused_and_wrong_artifacts_end_the_job() {
    let sandbox = Sandbox::new().await;
    let (started, mut client) = started(&sandbox).await;
    let (_, model, live) = world(&sandbox, Change::None).await;
    let create = |spec| CreateMonitoringJobRequest { spec: Some(spec), ..CreateMonitoringJobRequest::default() };

    let none = client.create_monitoring_job(create(spec(model, &[]))).await.unwrap_err();
    assert!(none.message().contains("rows: name 1 to 1000 artifacts"), "{}", none.message());
    let swapped = client.create_monitoring_job(create(spec(live[0], &live))).await.unwrap_err();
    assert!(swapped.message().contains("model: is a dataset artifact: name one of model"), "{}", swapped.message());

    let other = prepared(&sandbox, &days(9, 0, 40, Target::Binary, Change::None)).await;
    let job = finished(&mut client, MonitoringSpec { baseline: Some(other.into()), ..spec(model, &live) }).await;
    let (state, text) = error(&job);
    assert_eq!(state, JobState::Failed as i32);
    assert!(text.starts_with("BASELINE_MISMATCH: baseline: the model was trained on prepared split"), "{text}");
    started.drain().await;
}
