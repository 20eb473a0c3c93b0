//! The pipeline file: what is read, what is refused, and in which words.

use std::collections::BTreeMap;

use gristmill_pipeline::file::{
    AsOf, Basis, Given, Interval, Key, Pipeline, Register, Scalar, Seconds, SplitMethod, Step, Threshold, Treatment,
};

const SMALL: &str = "\
apiVersion: gristmill/v1alpha1
kind: Pipeline
name: small
sources:
  rows: { path: rows.csv }
preparation:
  target: y
";

const FLIGHTS: &str = r#"
apiVersion: gristmill/v1alpha1
kind: Pipeline
name: flights
seed: 7
parameters:
  trials: 20
  origin: JFK
  share: 0.9
  until: 2013-08-31
  full: true
interval: { start: 2013-01-01, end: 2014-01-01 }
sources:
  flights: { path: data/flights.parquet }
  weather:
    path: data/weather.csv
    csv: { nulls: [NA, "-999"] }
    columns: { time_hour: "timestamp[UTC]" }
    available: { column: time_hour, delay: 1h }
  planes: { path: data/planes.csv, csv: { delimiter: ";", header: true, nulls: [NA] } }
dataset:
  base: flights
  known_at: "sched_dep - interval '2 hours'"
  known_after: [dep_time, arr_delay]
  filter: "origin = '${origin}' and time_hour >= '${interval.start}' and note <> 'US$$ 5'"
  steps:
    - derive: { zulu: "1", late: "arr_delay > 15", again: "late" }
    - join: { source: planes, on: [tailnum, { left: a, right: b }], prefix: plane_ }
    - as_of: { source: weather, on: [origin], tolerance: 6h, min_matched: "${share}" }
    - sql: select * from input
preparation:
  target: late
  split: { method: time, column: day, train_until: "${until}", validation_until: 2013-10-31 }
  columns: { tailnum: target_encoding, note: drop }
training:
  trials: ${trials}
  time_budget: 90m
  refit: off
  threshold: { false_positive: 1, false_negative: 5.5 }
  fixed: { boosting.max_depth: 6 }
evaluation:
  gate:
    - { metric: log_loss, max: 0.6, better_than_constant: true, champion_margin: 0.005 }
    - { metric: roc_auc, min: "${share}", basis: point }
registry: { register: passed, promote: "" }
"#;

fn parse(text: &str) -> Pipeline {
    Pipeline::parse(text, &Given::default()).unwrap()
}

fn with(parameters: &[(&str, &str)]) -> Given {
    let parameters = parameters.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Given { parameters: parameters.collect(), ..Given::default() }
}

fn refusal(text: &str) -> String {
    Pipeline::parse(text, &Given::default()).unwrap_err().to_string()
}

#[test]
fn a_small_file_gets_every_default() {
    let pipeline = parse(SMALL);
    assert_eq!((pipeline.seed, pipeline.dataset.base.as_str()), (42, "rows"));
    assert_eq!(pipeline.registry.model, "small");
    assert_eq!(pipeline.registry.register, Register::Always);
    assert_eq!((pipeline.registry.promote.as_str(), pipeline.evaluation.champion.as_str()), ("champion", "champion"));
    assert_eq!(pipeline.evaluation.confidence, 0.95);
    assert_eq!(pipeline.preparation.split.method, SplitMethod::Auto);
    assert_eq!(pipeline.training.threshold, Threshold::F1);
}

#[test]
fn every_section_is_read() {
    let pipeline = parse(FLIGHTS);
    assert_eq!(pipeline.training.trials, 20);
    assert_eq!(pipeline.training.time_budget, Seconds(5_400));
    assert_eq!(pipeline.training.threshold, Threshold::Cost { false_positive: 1.0, false_negative: 5.5 });
    assert_eq!(pipeline.training.fixed["boosting.max_depth"], Scalar::Int(6));
    assert_eq!(pipeline.preparation.split.train_until, "2013-08-31");
    assert_eq!(pipeline.preparation.columns["tailnum"], Treatment::TargetEncoding);
    assert_eq!(pipeline.sources["weather"].csv.nulls, ["NA", "-999"]);
    assert_eq!(pipeline.sources["weather"].available.as_ref().unwrap().delay, Seconds(3_600));
    assert_eq!(pipeline.dataset.filter, "origin = 'JFK' and time_hour >= '2013-01-01' and note <> 'US$ 5'");
    let Step::Derive(derived) = &pipeline.dataset.steps[0] else { panic!("{:?}", pipeline.dataset.steps) };
    assert_eq!(derived.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["zulu", "late", "again"]);
    let Step::Join(join) = &pipeline.dataset.steps[1] else { panic!("{:?}", pipeline.dataset.steps) };
    assert_eq!(join.on, [Key::Same("tailnum".into()), Key::Pair { left: "a".into(), right: "b".into() }]);
    let Step::AsOf(AsOf { min_matched, tolerance, .. }) = &pipeline.dataset.steps[2] else { panic!() };
    assert_eq!((*min_matched, *tolerance), (0.9, Seconds(21_600)));
    assert_eq!(pipeline.evaluation.gate[1].basis, Basis::Point);
    assert_eq!(pipeline.evaluation.gate[1].min, Some(0.9));
}

#[test]
fn given_parameters_are_of_the_declared_type() {
    let pipeline = Pipeline::parse(FLIGHTS, &with(&[("trials", "3"), ("origin", "5"), ("share", "1")])).unwrap();
    assert_eq!(pipeline.training.trials, 3);
    assert!(pipeline.dataset.filter.starts_with("origin = '5'"));
    assert_eq!(pipeline.parameters["share"], Some(Scalar::Float(1.0)));
    let interval = Interval { start: "2013-06-01T00:00:00-05:00".into(), end: String::new() };
    let pipeline = Pipeline::parse(FLIGHTS, &Given { parameters: BTreeMap::new(), interval }).unwrap();
    assert!(pipeline.dataset.filter.contains("2013-06-01"));
    assert_eq!(pipeline.interval.end, "2014-01-01");
    let error = Pipeline::parse(FLIGHTS, &with(&[("trials", "many")])).unwrap_err().to_string();
    assert_eq!(error, "line 7, parameters.trials: `many` was given where a whole number is needed");
    let error = Pipeline::parse(FLIGHTS, &with(&[("trails", "3")])).unwrap_err().to_string();
    assert_eq!(error, "parameters: `trails` is not a parameter of this pipeline: did you mean `trials`?");
    let required = SMALL.replace("sources:", "parameters: { day: ~ }\nsources:");
    let error = refusal(&required);
    assert!(error.starts_with("line 4, parameters.day: it has no default"), "{error}");
    let text = format!("{required}  ids: [\"${{day}}\"]\n");
    assert_eq!(Pipeline::parse(&text, &with(&[("day", "12")])).unwrap().preparation.ids, ["12"]);
}

#[test]
fn a_value_cannot_break_out_of_its_place() {
    let evil = "x' }\nname: other\n#";
    let pipeline = Pipeline::parse(FLIGHTS, &with(&[("origin", evil)])).unwrap();
    assert_eq!(pipeline.name, "flights");
    assert!(pipeline.dataset.filter.contains(evil));
}

#[test]
fn unknown_keys_are_refused_with_line_and_suggestion() {
    let cases = [
        ("training:\n  trails: 3\n", "line 9, training: `trails` is not a key here: did you mean `trials`?"),
        ("trainning: {}\n", "line 8: `trainning` is not a key here: did you mean `training`?"),
        ("  tagret: y\n", "line 8, preparation: `tagret` is not a key here: did you mean `target`?"),
        (
            "evaluation:\n  gate:\n    - metric: log_loss\n      maximum: 3\n",
            "line 11, evaluation.gate[0]: `maximum` is not a key here: did you mean `max`?",
        ),
        (
            "dataset:\n  steps:\n    - jion: {}\n",
            "line 10, dataset.steps[0]: `jion` is not known here: did you mean `join`?",
        ),
    ];
    for (addition, expected) in cases {
        assert_eq!(refusal(&format!("{SMALL}{addition}")), expected);
    }
}

#[test]
fn wrong_values_are_refused_in_words() {
    let cases = [
        ("training:\n  trials: many\n", "line 9, training.trials: invalid type: string \"many\", expected u32"),
        (
            "training: { time_budget: 90 }\n",
            "line 8, training.time_budget: `90` is not a duration: write 90s, 15m, 2h or 1d",
        ),
        ("name: again\n", "duplicate"),
        ("evaluation: { gate: [{ metric: auc }] }\n", "evaluation.gate[0].metric: `auc` is not a metric:"),
        ("evaluation: { gate: [{ metric: ece, max: 0.1 }] }\n", "cannot gate"),
        ("evaluation: { confidence: 95 }\n", "line 8, evaluation.confidence: write a number from 0.5"),
        ("dataset: { base: rosw }\n", "line 8, dataset.base: `rosw` is not a source: did you mean `rows`?"),
        (
            "dataset:\n  steps:\n    - as_of: { source: rows }\n",
            "line 10, dataset.steps[0].as_of: an as-of join needs `dataset.known_at`",
        ),
        ("registry: { model: No Name }\n", "line 8, registry.model: `No Name` is not a resource name"),
        ("description: ${nothing}\n", "line 8, description: `${nothing}` is not a parameter"),
        ("description: \"${open\"\n", "has no `}`"),
        ("description: 1.10\n", "line 8, description: a number stands where a text is needed: put it in quotes"),
        ("  split: { train: 0.5 }\n", "line 8, preparation.split: give train, validation and test together"),
        ("  split: { train: 0.5, validation: 0.2, test: 0.2 }\n", "sum to 1"),
        ("  split: { method: random, gap: 1d }\n", "belong to `method: time`"),
        (
            "  columns: { a: drop_it }\n",
            "line 8, preparation.columns.a: `drop_it` is not known here: did you mean `drop`?",
        ),
        ("training: { threshold: f2 }\n", "expected f1, or { false_positive: 1, false_negative: 5 }"),
        ("interval: { start: yesterday }\n", "line 8, interval.start: `yesterday` is not a moment"),
        ("interval: { end: 2013-08-31T06:00:00 }\n", "is not a moment"),
        ("]\n", "this is not YAML"),
    ];
    for (addition, expected) in cases {
        let error = refusal(&format!("{SMALL}{addition}"));
        assert!(error.contains(expected), "{addition:?}: {error}");
    }
    assert!(refusal("").contains("mapping"), "{}", refusal(""));
    assert!(refusal("[1]").contains("mapping"));
    assert!(refusal(&SMALL.replace("v1alpha1", "v9")).starts_with("line 1, apiVersion: "));
    assert!(refusal(&SMALL.replace("  target: y", "  ids: []")).contains("line 7, preparation: `target` is required"));
    assert!(refusal(&SMALL.replace("rows:", "Rows 1:")).contains("table name in SQL"));
    assert!(refusal(&format!("{SMALL}description: {}{}\n", "[".repeat(500), "]".repeat(500))).len() < 500);
    assert!(refusal(&"#".repeat(300 << 10)).contains("at most"));
}

#[test]
fn the_canonical_form_is_a_fixed_point() {
    for text in [SMALL, FLIGHTS] {
        let pipeline = parse(text);
        let again = parse(&pipeline.canonical());
        assert_eq!(again, pipeline);
        assert_eq!(again.canonical(), pipeline.canonical());
        assert_eq!(again.digest(), pipeline.digest());
    }
}

#[test]
fn the_digest_follows_meaning_not_spelling() {
    let digest = |text: &str| parse(text).digest();
    let spelled = "# a comment\n".to_owned() + &SMALL.replace("{ path: rows.csv }", "\n    path: \"rows.csv\"");
    assert_eq!(digest(&spelled), digest(SMALL));
    assert_eq!(digest(&format!("{SMALL}training: {{ trials: 0 }}\n")), digest(SMALL), "a default spelled out");
    assert_ne!(digest(&format!("{SMALL}training: {{ trials: 9 }}\n")), digest(SMALL));
    let given = |trials| Pipeline::parse(FLIGHTS, &with(&[("trials", trials)])).unwrap().digest();
    assert_ne!(given("20"), given("21"), "parameters are part of it");
}

#[test]
fn the_schema_names_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&Pipeline::json_schema()).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    let sections = schema["properties"].as_object().unwrap();
    for key in ["apiVersion", "sources", "dataset", "preparation", "training", "evaluation", "registry", "monitoring"] {
        assert!(sections.contains_key(key), "{key}");
    }
    assert_eq!(schema["required"], serde_json::json!(["apiVersion", "kind", "name", "sources", "preparation"]));
}

#[test]
fn the_readme_shows_a_file_that_is_one() {
    let readme = include_str!("../../README.md");
    let text = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let pipeline = parse(text);
    assert_eq!((pipeline.name.as_str(), pipeline.sources.len(), pipeline.dataset.steps.len()), ("flights", 3, 5));
}

#[test]
fn the_examples_are_pipelines() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let files = std::fs::read_dir(examples).unwrap().map(|folder| folder.unwrap().path().join("pipeline.yaml"));
    let files: Vec<_> = files.filter(|file| file.exists()).collect();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let pipeline = Pipeline::parse(&text, &Given::default()).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        for source in pipeline.sources.values() {
            assert!(file.with_file_name(&source.path).exists(), "{file:?}: {}", source.path);
        }
    }
}

#[test]
fn a_column_called_y_is_not_a_truth_value() {
    let text = "apiVersion: gristmill/v1alpha1\nkind: Pipeline\nname: p\nsources: { d: { path: d.csv } }\npreparation: { target: y, exclude: [no, off] }\n";
    let file = Pipeline::parse(text, &Given::default()).unwrap();
    let canonical = file.canonical();
    assert!(canonical.contains('y') && !canonical.contains("target: true"), "{canonical}");
    assert!(!canonical.contains("- false"), "{canonical}");
}
