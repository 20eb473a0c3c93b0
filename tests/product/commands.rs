//! Commands about runs, models and artifacts, on one small run.

use gristmill_tests::{Desk, small_csv};

/// A desk with one run of `d.csv` and its pipeline file.
fn with_run() -> (Desk, serde_json::Value) {
    let desk = Desk::new();
    desk.write("d.csv", small_csv(300));
    let args = ["run", "d.csv", "--target", "y", "--name", "churn", "--trials", "4", "--output", "json"];
    let run = desk.ok(&args).json();
    (desk, run)
}

#[test]
fn a_run_is_verified_by_computing_it_again_and_two_runs_are_told_apart() {
    let (desk, run) = with_run();
    let verified = desk.ok(&["runs", "verify", "last", "--output", "json"]).json();
    assert_eq!(verified["verified"], true, "{verified}");
    assert_eq!(verified["run_id"], run["run_id"]);
    let kinds: Vec<&str> =
        verified["artifacts"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    for kind in ["dataset", "transform", "prepared", "study", "model", "evaluation"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    assert!(
        desk.ok(&["models", "show", "churn", "--output", "json"]).json()["versions"].as_array().unwrap().len() == 1
    );

    let yaml = std::fs::read_to_string(desk.path().join("d.pipeline.yaml")).unwrap();
    let other = desk.write("other.yaml", yaml.replace("trials: 4", "trials: 5"));
    let second = desk.run(&["run", &other, "--output", "json"]).json();
    let (a, b) = (run["run_id"].as_str().unwrap(), second["run_id"].as_str().unwrap());
    let diff = desk.ok(&["runs", "diff", a, b, "--output", "json"]).json();
    assert_eq!(diff["pipeline"], serde_json::json!([{"name": "training.trials", "a": 4, "b": 5}]), "{diff}");
    assert_eq!((&diff["sources"], &diff["dataset"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert!(diff["leaderboard"].as_array().unwrap().iter().any(|one| one["name"] == "trials" && one["b"] == 5));
    let same = desk.ok(&["runs", "diff", a, a]).stdout;
    assert!(same.contains("pipeline: the same"), "{same}");
    desk.run(&["runs", "verify", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]).fails(1, &["01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
}

#[test]
fn a_file_that_does_not_fit_its_schema_is_refused_with_three() {
    let (desk, run) = with_run();
    let artifacts = run["artifacts"].as_array().unwrap();
    let schema = artifacts.iter().find(|artifact| artifact["kind"] == "schema").unwrap();
    let schema = format!("schema:{}", schema["digest"].as_str().unwrap());
    desk.ok(&["data", "validate", "d.csv", "--schema", &schema]);
    desk.ok(&["data", "ingest", "d.csv", "--schema", &schema]);
    desk.write("lacks.csv", "a,b,y\n0.1,0.2,yes\n0.3,0.4,no\n");
    let refused = desk.run(&["data", "validate", "lacks.csv", "--schema", &schema]);
    assert!(refused.code == 3 && refused.stdout.contains("city"), "{refused:?}");
    desk.run(&["data", "ingest", "lacks.csv", "--schema", &schema]).fails(3, &["city", "SCHEMA_ANOMALIES"]);
    desk.run(&["data", "validate", "d.csv", "--schema", "absent.json"]).fails(2, &["absent.json"]);
}

#[test]
fn a_live_server_runs_and_collects_for_the_commands() {
    let (desk, _) = with_run();
    let up = desk.up();
    let before = desk.ok(&["gc", "--dry-run", "--output", "json"]).json();
    assert!(before["kept"].as_u64().unwrap() > 5 && before["dry_run"] == true, "{before}");
    desk.ok(&["gc"]);
    let run = desk.run(&["run", "d.pipeline.yaml", "--output", "json"]).json();
    assert_eq!(run["state"], "succeeded", "{run}");
    let counted = up.http("GET", "/metrics", "").1;
    assert!(counted.contains("PipelineService/CreateRunJob\",rpc_response_status_code=\"OK\"} 1"), "{counted}");
}

const TWO_SOURCES: &str = "apiVersion: gristmill/v1alpha1
kind: Pipeline
name: visits
sources:
  visits: { path: visits.csv }
  towns: { path: towns.csv }
dataset:
  base: visits
  known_after: [spent]
  filter: \"spent IS NOT NULL\"
  steps:
    - join: { source: towns, on: [town], columns: [size], prefix: town_ }
    - derive: { rich: \"spent > 50\", both: \"a + b\" }
preparation:
  target: rich
  ids: [visit]
  features: [a, both, town_size]
training:
  trials: 2
";

#[test]
fn new_sources_go_through_the_recorded_integration_without_their_outcome() {
    let desk = Desk::new();
    let row = |n: usize| {
        let (a, b) = ((n * 7_919 % 997) as f64 / 997.0, (n * 104_729 % 1_009) as f64 / 1_009.0);
        (format!("{n},{},{a:.4},{b:.4}", ["Bern", "Lyon"][n % 2]), 80.0 * a + 20.0 * b + (n % 2) as f64 * 10.0)
    };
    let rows = |from: usize, to: usize, outcome: bool| {
        let mut text = format!("visit,town,a,b{}\n", if outcome { ",spent" } else { "" });
        for n in from..to {
            let (cells, spent) = row(n);
            text.push_str(&if outcome { format!("{cells},{spent:.2}\n") } else { format!("{cells}\n") });
        }
        text
    };
    desk.write("visits.csv", rows(0, 400, true));
    desk.write("towns.csv", "town,size\nBern,130\nLyon,520\n");
    desk.write("visits.yaml", TWO_SOURCES);
    let run = desk.run(&["run", "visits.yaml", "--output", "json"]);
    assert!([0, 3].contains(&run.code), "{run:?}");

    desk.write("new.csv", rows(400, 460, false));
    let score = |file: &str| {
        let source = format!("visits={file}");
        desk.run(&["predict", "--model", "visits:1", "--source", &source, "--output", "scored.csv"])
    };
    let done = score("new.csv");
    assert!(done.code == 0 && done.stderr.contains("spent IS NOT NULL"), "{done:?}");
    let scored = std::fs::read_to_string(desk.path().join("scored.csv")).unwrap();
    let header = scored.lines().next().unwrap();
    assert!(header.starts_with("visit,") && header.contains("probability_true"), "{header}");
    assert_eq!(scored.lines().count(), 61, "{scored}");

    desk.write("lacks.csv", "visit,town,a\n1,Bern,0.5\n");
    score("lacks.csv").fails(2, &["`visits`", "`b`"]);
    desk.run(&["predict", "--model", "visits:1", "--source", "vists=new.csv", "--output", "x.csv"])
        .fails(2, &["vists", "towns"]);
    desk.run(&["predict", "--model", "visits:1", "--output", "x.csv"]).fails(2, &["--input", "--source"]);
    let checked =
        desk.run(&["monitor", "check", "--model", "visits:1", "--source", "visits=new.csv", "--output", "json"]);
    assert_eq!(checked.json()["rows"], 60, "{checked:?}");
}

#[test]
fn tables_are_migrated_and_versions_said() {
    let desk = Desk::new();
    let first = desk.ok(&["migrate", "--output", "json"]).json();
    let tables = first["tables"].as_array().unwrap();
    assert!(tables.iter().any(|t| t["stage"] == "registry" && t["part"] == "stage" && t["from"] == 0), "{first}");
    assert!(tables.iter().any(|t| t["stage"] == "training" && t["part"] == "jobs" && t["to"] == 4), "{first}");
    let again = desk.ok(&["migrate", "--output", "json"]).json();
    assert!(again["tables"].as_array().unwrap().iter().all(|table| table["from"] == table["to"]), "{again}");
    let up = desk.up();
    desk.run(&["migrate"]).fails(1, &["in use", &up.grpc.to_string()]);
}

#[test]
fn two_versions_are_compared_from_their_evaluations() {
    let (desk, _) = with_run();
    let yaml = std::fs::read_to_string(desk.path().join("d.pipeline.yaml")).unwrap();
    let other = desk.write("other.yaml", yaml.replace("trials: 4", "trials: 1"));
    desk.run(&["run", &other, "--output", "json"]);
    let compared = desk.ok(&["models", "compare", "churn:1", "churn:2", "--output", "json"]).json();
    assert_eq!((&compared["a"]["version"], &compared["b"]["version"]), (&1.into(), &2.into()));
    assert_eq!(compared["same_test_rows"], true);
    let metrics = compared["metrics"].as_array().unwrap();
    let loss = metrics.iter().find(|metric| metric["name"] == "log_loss").unwrap();
    assert!(loss["a"]["value"].is_number() && loss["b"]["value"].is_number(), "{loss}");
    assert!(!compared["lineage"]["only_a"].as_array().unwrap().is_empty(), "another study: {compared}");
    assert!(compared["inputs"]["only_a"].as_array().unwrap().is_empty());
    assert!(desk.ok(&["models", "compare", "churn:1", "churn@champion"]).stdout.contains("log_loss"));
    desk.run(&["models", "compare", "churn:1", "churn:9"]).fails(1, &["9"]);
}
