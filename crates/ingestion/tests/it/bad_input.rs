//! What people get wrong, and what they are told.

use std::time::Instant;

use gristmill_proto::ingestion::{
    Availability, CancelIngestionJobRequest, IngestionSpec, Integration, Join, WatchIngestionJobRequest,
    integration_step::Step,
};
use gristmill_proto::job::JobState;

use super::bench::{Bench, column, derive, on, spec, sql, step};

const EVENTS: &str = "id,place,at\n1,a,2024-01-01T10:00:00Z\n2,a,2024-01-01T11:00:00Z\n3,b,2024-01-01T12:00:00Z\n";

fn base() -> Integration {
    Integration { base: "events".into(), ..Integration::default() }
}

async fn text(bench: &Bench, text: &str) -> (String, String) {
    let source = bench.csv("events", text).await;
    bench.refusal(spec(vec![source], base())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_tables() {
    let bench = Bench::new().await;
    for (content, reason, part) in [
        ("", "SOURCE_EMPTY", "source `events` is empty"),
        ("a,b\n", "SOURCE_EMPTY", "needs a header line and at least one row"),
        ("a,b\n1,2\n3\n", "SOURCE_LINE", "source `events`, line 3: 1 fields where the header names 2"),
        ("a,b,a\n1,2,3\n", "SOURCE_LINE", "the header names column `a` twice"),
        ("id,at\n1,2024-01-01 10:00:00\n", "NAIVE_TIMESTAMP", "`at` holds timestamps without a time zone: declare"),
        ("a\n\"x\n", "SOURCE_LINE", "line 2: a quote opens here and never closes"),
    ] {
        let (got, message) = text(&bench, content).await;
        assert_eq!(got, reason, "{message}");
        assert!(message.contains(part), "{message}");
    }
}

async fn with(bench: &Bench, change: impl FnOnce(&mut IngestionSpec)) -> (String, String) {
    let events = bench.csv("events", EVENTS).await;
    let mut twice = bench
        .csv("twice", "place,n,t\na,1,2024-01-01T10:00:00Z\na,2,2024-01-01T12:00:00Z\nb,3,2024-01-01T11:30:00Z\n")
        .await;
    twice.available = Some(Availability { column: "t".into(), delay_seconds: 0 });
    let rare = bench.csv("rare", "place,r\nb,1\n").await;
    let mut spec = spec(vec![events, twice, rare], base());
    change(&mut spec);
    bench.refusal(spec).await
}

fn steps(spec: &mut IngestionSpec) -> &mut Vec<gristmill_proto::ingestion::IntegrationStep> {
    &mut spec.integration.as_mut().unwrap().steps
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_and_joins_that_go_wrong() {
    let bench = Bench::new().await;
    let join =
        |source: &str| step(Step::Join(Join { source: source.into(), on: on("place", "place"), ..Join::default() }));
    let said = with(&bench, |spec| steps(spec).push(sql("SELECT idd FROM input"))).await;
    assert_eq!(said.0, "UNKNOWN_COLUMN");
    assert!(said.1.contains("there is no column `idd` (did you mean `id`?)"), "{}", said.1);
    for (query, part) in [
        ("SELECT * FROM read_csv('/etc/passwd')", "may not call the table function"),
        ("SELECT 1; DROP TABLE events", "must be one SELECT statement, and this is 2"),
        ("SELECT * FROM event", "there is no table `event` (did you mean `events`?)"),
    ] {
        // Refused before anything is recorded.
        let said = with(&bench, |spec| steps(spec).push(sql(query))).await;
        assert_eq!(said.0, "REQUEST");
        assert!(said.1.contains(part), "{}", said.1);
    }
    let said = with(&bench, |spec| steps(spec).push(join("twice"))).await;
    assert_eq!(said.0, "JOIN_MULTIPLIES");
    assert!(said.1.contains("2 rows of the table so far match more than one row of `twice`"), "{}", said.1);
    let said = with(&bench, |spec| steps(spec).push(join("rare"))).await;
    assert_eq!(said.0, "JOIN_MISSES");
    assert!(said.1.contains("only 1 of 3 rows match `rare` (33.3 %)"), "{}", said.1);
    let said = with(&bench, |spec| {
        steps(spec).push(sql("SELECT e.id, r.r FROM input e JOIN rare r ON e.place = r.place"));
    })
    .await;
    assert_eq!(said.0, "JOIN_DROPS", "{}", said.1);
    let said = with(&bench, |spec| {
        spec.integration.as_mut().unwrap().known_at = "at".into();
        steps(spec).push(sql("SELECT e.*, t.n FROM input e JOIN twice t ON e.place = t.place AND e.id = t.n"));
    })
    .await;
    assert_eq!(said.0, "NOT_AVAILABLE");
    assert!(said.1.starts_with("column `n` comes from `twice`, which by `t` is not available"), "{}", said.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn specs_that_say_too_little_or_too_much() {
    let bench = Bench::new().await;
    let said = with(&bench, |spec| spec.integration.as_mut().unwrap().base = String::new()).await;
    assert!(said.1.contains("integration.base: is empty"), "{}", said.1);
    let said = with(&bench, |spec| spec.sources[1].name = "events".into()).await;
    assert!(said.1.contains("sources[1].name: `events` names two sources"), "{}", said.1);
    let said = with(&bench, |spec| spec.sources[0].columns = vec![column("at", "timestamp[Mars]")]).await;
    assert!(said.1.contains("`Mars` is not a time zone"), "{}", said.1);
    let said = with(&bench, |spec| steps(spec).push(derive("_x", "id"))).await;
    assert!(said.1.contains("names that start with `_` are reserved"), "{}", said.1);
    let said = with(&bench, |spec| spec.expected_schema = "{\"colums\": []}".into()).await;
    assert!(said.1.contains("expected_schema: is not the JSON of a schema"), "{}", said.1);
    let said = with(&bench, |spec| spec.refuse_anomalies = "sometimes".into()).await;
    assert!(said.1.contains("write error, warning or never"), "{}", said.1);
    let said = with(&bench, |spec| spec.sources[0].location = None).await;
    assert!(said.1.contains("sources[0]: says neither `artifact` nor `uri`"), "{}", said.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_cross_join_is_cancelled_within_a_second() {
    let bench = Bench::new().await;
    let mut many = String::from("id\n");
    (0..600).for_each(|n| many.push_str(&format!("{n}\n")));
    let source = bench.csv("events", &many).await;
    let query = "SELECT COUNT(*) AS n FROM events a CROSS JOIN events b CROSS JOIN events c WHERE CONCAT(a.id, b.id, c.id) = 'x'";
    let integration = Integration { steps: vec![sql(query)], ..base() };
    let job = bench.create(spec(vec![source], integration)).await.unwrap();
    let id = job.job.unwrap().id;
    // It is under way once it says so.
    let request = WatchIngestionJobRequest { id: id.clone(), ..Default::default() };
    let mut events = bench.client().watch_ingestion_job(request).await.unwrap().into_inner();
    loop {
        let event = events.message().await.unwrap().unwrap().event.unwrap();
        if event.progress.is_some_and(|progress| progress.phase.starts_with("step 1")) {
            break;
        }
    }
    let wished = Instant::now();
    let request = CancelIngestionJobRequest { id: id.clone(), ..Default::default() };
    bench.client().cancel_ingestion_job(request).await.unwrap();
    bench.ledger.finished(&gristmill_types::Project::default(), id.parse().unwrap()).await.unwrap();
    assert!(wished.elapsed().as_secs_f64() < 1.0, "{:?}", wished.elapsed());
    assert_eq!(bench.get(id).await.job.unwrap().state(), JobState::Cancelled);
}
