//! The prediction log: everything that was answered, and nothing that holds a request up.

use std::sync::Arc;

use gristmill_frame::read_parquet;
use gristmill_proto::serving::FlushInferenceLogRequest;
use gristmill_runtime::Process;
use gristmill_serving::{LogConfig, ServingConfig};
use gristmill_store::RootProvider as _;
use gristmill_testkit::Sandbox;
use gristmill_types::{ArtifactRef, Cell, Columns, Project};

use super::world::{ROWS, World, expected};

async fn logs(world: &World) -> Vec<ArtifactRef> {
    let request = FlushInferenceLogRequest { name: "taxi".into(), ..Default::default() };
    let logs = world.deployments().flush_inference_log(request).await.unwrap().into_inner().logs;
    logs.iter().map(|log| log.try_into().unwrap()).collect()
}

async fn rows(world: &World, log: &ArtifactRef) -> Columns {
    let artifact = world.sandbox.store().open(log).await.unwrap();
    let file = artifact.part("rows.parquet").unwrap().path().await.unwrap();
    read_parquet(file.as_ref()).unwrap()
}

async fn world(log: LogConfig) -> World {
    let config = ServingConfig { log, ..ServingConfig::default() };
    let world = World::with(Sandbox::new().await, Arc::default(), &config).await;
    let version = world.register("taxi", 1.5).await;
    world.registry.set("taxi", "champion", version);
    world.until(|taxi| taxi.is_some_and(|taxi| taxi.ready)).await;
    world
}

async fn metric(world: &World, name: &str) -> u64 {
    let (_, page) = world.call("GET", "/metrics", "", "").await;
    let page = String::from_utf8(page).unwrap();
    let line = page.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_logged_under_its_id() {
    let world = World::serving_taxi().await;
    let (_, answer) = world.post("/v1/models/taxi:predict", ROWS).await;
    let first = logs(&world).await;
    assert_eq!(first.len(), 1);
    let table = rows(&world, &first[0]).await;
    assert_eq!(table.rows(), 2);
    for (row, p) in expected(1.5).into_iter().enumerate() {
        let cell = |name: &str| table.get(name).unwrap_or_else(|| panic!("column {name}")).cell(row);
        let id = answer["predictions"][row]["prediction_id"].as_str().unwrap();
        assert_eq!(cell("_prediction_id"), Cell::Text(id));
        assert_eq!((cell("_version"), cell("_inclusion")), (Cell::Int(1), Cell::Float(1.0)));
        assert_eq!(cell("probability_true"), Cell::Float(p));
        assert_eq!(cell("prediction"), Cell::Text(if p >= 0.5 { "true" } else { "false" }));
    }
    assert_eq!(table.get("price").unwrap().cell(0), Cell::Float(12.5));
    assert_eq!(table.get("city").unwrap().cell(1), Cell::Missing);
    assert_eq!(table.get("at").unwrap().cell(1), Cell::Timestamp(7_200_000_000));
    // A refused request leaves nothing, an empty flush adds nothing, a later one comes after.
    world.post("/v1/models/taxi:predict", r#"{"rows": [{"x": 1, "n": 1}, {"x": 1}]}"#).await;
    assert_eq!(logs(&world).await, first);
    world.post("/v1/models/taxi:predict", ROWS).await;
    let second = logs(&world).await;
    assert_eq!((second.len(), second[0]), (2, first[0]));
    assert_eq!(metric(&world, "gristmill_prediction_log_rows_total").await, 4);
    let roots = world.serving.roots().roots(&Project::default()).await.unwrap();
    assert_eq!(roots.artifacts.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_drops_and_counts_and_the_drain_writes_the_rest() {
    let log = LogConfig { buffer_rows: 3, flush_rows: 3, flush_seconds: 3_600, ..LogConfig::default() };
    let world = world(log).await;
    let body = format!(r#"{{"rows": [{}[1, 1, null, null, null]]}}"#, "[0.5, 1, null, null, null],".repeat(9));
    let (status, _) = world.post("/v1/models/taxi:predict", &body).await;
    assert_eq!(status, 200);
    let written = logs(&world).await;
    let mut total = 0;
    for log in &written {
        total += rows(&world, log).await.rows() as u64;
    }
    let dropped = metric(&world, "gristmill_prediction_log_dropped_total").await;
    assert_eq!(total + dropped, 10);
    assert!(total >= 3);

    world.post("/v1/models/taxi:predict", ROWS).await;
    let World { mut sandbox, registry, serving, .. } = world;
    sandbox.deps.process.shutdown.request();
    serving.finished().await;
    // The log of the ended process is there for the next.
    sandbox.deps.process = Process::new();
    let world = World::with(sandbox, registry, &ServingConfig::default()).await;
    assert!(logs(&world).await.len() > written.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_carries_its_inclusion_probability() {
    let world = world(LogConfig { sample: 0.25, ..LogConfig::default() }).await;
    let body = format!(r#"{{"rows": [{}[1, 1, null, null, null]]}}"#, "[0.5, 1, null, null, null],".repeat(3_999));
    world.post("/v1/models/taxi:predict", &body).await;
    let logs = logs(&world).await;
    let table = rows(&world, &logs[0]).await;
    // Six standard deviations around 1,000.
    assert!((836..1_164).contains(&table.rows()), "{}", table.rows());
    assert_eq!(table.get("_inclusion").unwrap().cell(0), Cell::Float(0.25));
}
