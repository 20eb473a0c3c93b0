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
