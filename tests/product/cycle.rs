//! From a file to a registered, explained, scored and watched model.

use gristmill_tests::{Desk, root, small_csv};
use serde_json::Value;

#[test]
fn a_csv_becomes_a_registered_model_a_report_and_a_pipeline_file() {
    let desk = Desk::new();
    let csv = desk.write("visits.csv", small_csv(600));
    let ran = desk.ok(&["run", &csv, "--target", "y", "--output", "json"]);
    let run = ran.json();
    assert_eq!(run["state"], "succeeded", "{run}");
    let stages: Vec<&str> = run["steps"].as_array().unwrap().iter().map(|s| s["stage"].as_str().unwrap()).collect();
    for stage in ["ingestion", "preparation", "training", "evaluation"] {
        assert!(stages.contains(&stage), "{stages:?}");
    }
    let board = run["leaderboard"].as_array().unwrap();
    assert!(board.len() >= 4, "{board:?}");
    let scores: Vec<f64> = board.iter().map(|row| row["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted(), "{scores:?}");
    let loss = &run["evaluation"]["metrics"]["log_loss"];
    let (low, value, high) = (loss["low"].as_f64(), loss["value"].as_f64(), loss["high"].as_f64());
    assert!(low <= value && value <= high && value < Some(0.5), "{loss}");
    assert_eq!(run["model"]["version"], 1);
    let kinds: Vec<&str> = run["artifacts"].as_array().unwrap().iter().map(|a| a["kind"].as_str().unwrap()).collect();
    for kind in ["dataset", "profile", "schema", "transform", "prepared", "study", "model", "evaluation"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }

    // The file it writes is the run: the same again is answered, not computed.
    let yaml = desk.path().join("visits.pipeline.yaml");
    let text = std::fs::read_to_string(&yaml).unwrap();
    assert!(text.contains("apiVersion: gristmill/v1alpha1") && text.contains("target: \"y\""), "{text}");
    let again = desk.ok(&["run", &yaml.to_string_lossy(), "--output", "json"]).json();
    for step in again["steps"].as_array().unwrap() {
        if ["ingestion", "preparation", "training"].contains(&step["stage"].as_str().unwrap()) {
            assert_eq!(step["cached"], true, "{step}");
        }
    }

    // Score, list, export, watch.
    let name = run["model"]["name"].as_str().unwrap();
    let model = format!("{name}@champion");
    let out = desk.path().join("scored.csv");
    desk.ok(&["predict", "--model", &model, "--input", &csv, "--output", &out.to_string_lossy()]);
    let scored = std::fs::read_to_string(&out).unwrap();
    let header = scored.lines().next().unwrap();
    assert!(header.contains("prediction") && header.contains("probability_yes"), "{header}");
    assert_eq!(scored.lines().count(), 601);
    assert!(desk.ok(&["models", "list"]).stdout.contains(name));
    let check = desk.run(&["monitor", "check", "--model", &model, "--input", &csv]);
    assert_eq!(check.code, 0, "{check:?}");
}

#[test]
fn dirty_multiclass_field_notes_need_no_pipeline_file() {
    let desk = Desk::new();
    let csv = root().join("examples/penguins/data/penguins-raw.csv");
    let ran = desk.run(&["run", &csv.to_string_lossy(), "--target", "Species", "--output", "json"]);
    assert!([0, 3].contains(&ran.code), "{ran:?}");
    let run = ran.json();
    let accuracy = run["evaluation"]["metrics"]["accuracy"]["value"].as_f64().unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
    assert!(run["leaderboard"].as_array().is_some_and(|board| !board.is_empty()));
}

#[test]
fn a_profile_says_what_is_in_a_file() {
    let desk = Desk::new();
    let csv = desk.write("t.csv", "x,when,c\n1,2024-01-01,a\nNA,2024-01-02,b\n3,2024-01-03,a\n");
    let profile: Value = desk.ok(&["data", "profile", &csv, "--output", "json"]).json();
    assert_eq!(profile["rows"], 3);
    let columns = profile["columns"].as_array().unwrap();
    let x = columns.iter().find(|c| c["name"] == "x").unwrap();
    assert_eq!((x["type"].as_str(), x["missing"].as_u64(), x["mean"].as_f64()), (Some("int"), Some(1), Some(2.0)));
    assert_eq!(columns.iter().find(|c| c["name"] == "when").unwrap()["type"], "date");
}
