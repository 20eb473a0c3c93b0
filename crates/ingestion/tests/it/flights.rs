//! The five sources of the flights, from upload to dataset, with the numbers of the contract.

use gristmill_proto::artifact::ArtifactRef;
use gristmill_proto::ingestion::{AsOfJoin, Availability, IngestionSpec, Integration, Join, integration_step::Step};
use gristmill_proto::job::JobState;
use serde_json::Value;

use super::bench::{Bench, column, derive, on, spec, step};

const OUTCOMES: [&str; 5] = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"];

async fn flights(bench: &Bench) -> IngestionSpec {
    let mut flights = bench.flights_file("flights", "flights.parquet").await;
    flights.columns = vec![column("time_hour", "timestamp[America/New_York] from UTC")];
    let mut weather = bench.flights_file("weather", "weather.csv").await;
    weather.available = Some(Availability { column: "time_hour".into(), delay_seconds: 3_600 });
    let planes = bench.flights_file("planes", "planes.csv").await;
    let airports = bench.flights_file("airports", "airports.csv").await;
    let airlines = bench.flights_file("airlines", "airlines.csv").await;
    let take = |columns: &[&str]| columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
    let as_of = AsOfJoin {
        source: "weather".into(),
        on: on("origin", "origin"),
        tolerance_seconds: 3 * 3_600,
        columns: take(&["temp", "wind_speed", "wind_gust", "pressure"]),
        ..AsOfJoin::default()
    };
    let join = |source: &str, left: &str, right: &str, columns: &[&str], prefix: &str| Join {
        source: source.into(),
        on: on(left, right),
        columns: take(columns),
        prefix: prefix.into(),
        ..Join::default()
    };
    let integration = Integration {
        base: "flights".into(),
        known_at: "time_hour + minute * INTERVAL '1 minute' - INTERVAL '2 hours'".into(),
        known_after: OUTCOMES.map(String::from).into(),
        filter: "arr_delay IS NOT NULL".into(),
        unit: "CAST(time_hour AS DATE)".into(),
        steps: vec![
            step(Step::AsOf(as_of)),
            step(Step::Join(join("planes", "tailnum", "tailnum", &["year", "seats"], "plane_"))),
            step(Step::Join(join("airports", "dest", "faa", &["lat", "lon"], "dest_"))),
            step(Step::Join(join("airlines", "carrier", "carrier", &["name"], "carrier_"))),
            derive("late", "arr_delay > 15"),
        ],
        ..Integration::default()
    };
    spec(vec![flights, weather, planes, airports, airlines], integration)
}

#[tokio::test(flavor = "multi_thread")]
async fn five_sources_become_a_dataset() {
    let bench = Bench::new().await;
    let spec = flights(&bench).await;
    let done = bench.run(spec.clone()).await;
    let job = done.job.unwrap();
    assert_eq!(job.state(), JobState::Succeeded, "{:?}", job.error);
    let result = done.result.unwrap();
    assert_eq!((result.rows, result.filtered_rows), (327_346, 9_430));
    let joins: Vec<(&str, u64, u64, u64)> =
        result.joins.iter().map(|j| (j.source.as_str(), j.rows_in, j.matched, j.multiplied)).collect();
    assert_eq!(
        joins,
        [
            ("weather", 336_776, 336_000, 0),
            ("planes", 336_776, 284_170, 0),
            ("airports", 336_776, 329_174, 0),
            ("airlines", 336_776, 336_776, 0),
        ]
    );
    // 84.4 % of the flights find their plane; the rest have no number or an unknown one.
    assert_eq!((284_170.0_f64 / 336_776.0 * 1_000.0).round(), 844.0);
    assert!(result.fields.iter().all(|field| !field.name.starts_with('_')));

    let dataset: Value = serde_json::from_slice(&bench.part(result.dataset.as_ref(), "dataset.json").await).unwrap();
    let mut after: Vec<&str> = OUTCOMES.into();
    after.push("late");
    assert_eq!(dataset["known_after"], serde_json::to_value(&after).unwrap());
    assert_eq!(dataset["joins"][1]["null_keys"], 2_512);
    let profile: Value = serde_json::from_slice(&bench.part(result.profile.as_ref(), "profile.json").await).unwrap();
    let find = |name: &str| {
        profile["columns"].as_array().unwrap().iter().find(|column| column["name"] == name).unwrap().clone()
    };
    // pandas: the mean of arr_delay is 6.89537675731489, and nothing is missing after the filter.
    assert!((find("arr_delay")["mean"].as_f64().unwrap() - 6.895_376_757_314_89).abs() < 1e-9);
    assert_eq!(find("arr_delay")["missing"], 0);
    assert_eq!(find("carrier")["distinct"], 16);
    let schema: Value = serde_json::from_slice(&bench.part(result.schema.as_ref(), "schema.json").await).unwrap();
    assert_eq!(schema["columns"][0]["name"], "year");

    // The dataset names its five sources, and equal work gives equal bytes.
    let artifact = gristmill_types::ArtifactRef::try_from(result.dataset.as_ref().unwrap()).unwrap();
    assert_eq!(bench.sandbox.store().open(&artifact).await.unwrap().manifest().inputs().len(), 5);
    let again = bench.create(spec.clone()).await.unwrap();
    assert!(again.job.unwrap().cached);
    let request =
        gristmill_proto::ingestion::CreateIngestionJobRequest { spec: Some(spec), fresh: true, ..Default::default() };
    let fresh = bench.client().create_ingestion_job(request).await.unwrap().into_inner().job.unwrap().job.unwrap();
    assert!(!fresh.cached);
    bench.ledger.finished(&gristmill_types::Project::default(), fresh.id.parse().unwrap()).await.unwrap();
    let fresh = bench.get(fresh.id).await.result.unwrap();
    let digests = |r: [Option<ArtifactRef>; 3]| r.map(|a| a.unwrap().digest);
    assert_eq!(
        digests([fresh.dataset, fresh.profile, fresh.schema]),
        digests([result.dataset, result.profile, result.schema])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn december_has_less_weather() {
    let bench = Bench::new().await;
    let mut spec = flights(&bench).await;
    let integration = spec.integration.as_mut().unwrap();
    integration.steps = vec![
        super::bench::sql("SELECT * FROM input WHERE month = 12"),
        super::bench::sql(
            "SELECT i.*, w.temp FROM input i LEFT JOIN weather w ON i.origin = w.origin AND i.time_hour = w.time_hour",
        ),
    ];
    // By the hour of departure itself: 96.7 %. Only as an account, for it would not have been known.
    integration.known_at.clear();
    integration.filter = "temp IS NOT NULL".into();
    spec.sources[1].available = None;
    // SQL compares times of one zone only.
    spec.sources[1].columns = vec![column("time_hour", "timestamp[America/New_York]")];
    let done = bench.run(spec).await;
    let result = done.result.unwrap_or_else(|| panic!("{:?}", done.job));
    assert_eq!(result.rows + result.filtered_rows, 28_135);
    assert!((result.rows as f64 / 28_135.0 - 0.967).abs() < 0.000_5, "{}", result.rows);
}
