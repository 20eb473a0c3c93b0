//! The judgement on rows of a world whose changes are known.

use gristmill_learn::LearnerKind;
use gristmill_model::Task;
use gristmill_monitoring::{Findings, MonitoringError, Settings, State, monitor, page};
use gristmill_stats::drift::DriftVerdict;
use gristmill_types::{Column, Columns, Values};

use crate::world::{Change, TRAIN, Target, VALIDATION, days, model};

const LIVE: u64 = TRAIN + VALIDATION;

fn settings(seed: u64) -> Settings {
    Settings { seed, ..Settings::default() }
}

fn judged(seed: u64, target: Target, learner: LearnerKind, change: Change) -> Findings {
    let train = days(seed, 0, TRAIN, target, Change::None);
    let live = days(seed, LIVE, 14, target, change);
    monitor(&model(seed, target, learner), &train, &live, &settings(seed)).unwrap()
}

/// `table` with column `name` gone or replaced.
fn with(table: &Columns, name: &str, column: Option<Column>) -> Columns {
    let mut columns = table.clone().into_columns();
    columns.retain(|c| c.name != name);
    columns.extend(column);
    Columns::new(columns).unwrap()
}

#[test]
fn a_stable_window_is_ok_and_a_shift_is_named_by_its_weight() {
    for seed in 0..6 {
        let stable = judged(seed, Target::Binary, LearnerKind::Logistic, Change::None);
        assert_eq!((stable.state, stable.reasons.clone()), (State::Ok, vec![]), "seed {seed}");
        let minor = judged(seed, Target::Binary, LearnerKind::Logistic, Change::Minor);
        assert_eq!(minor.inputs.drifted(), ["wind"], "seed {seed}");
        assert_eq!(minor.state, State::Warning, "seed {seed}: {:?}", minor.reasons);
        let major = judged(seed, Target::Binary, LearnerKind::Logistic, Change::Major);
        assert_eq!(major.inputs.drifted(), ["load"], "seed {seed}");
        assert_eq!(major.state, State::Alert, "seed {seed}");
        assert!(major.reasons[0].starts_with("predictions drifted: PSI "), "{:?}", major.reasons);
    }
}

#[test]
fn being_surer_of_training_rows_is_no_drift() {
    // A forest of deep trees knows its training rows almost by heart.
    let mut beyond = 0;
    for seed in 0..4 {
        let found = judged(seed, Target::Binary, LearnerKind::RandomForest, Change::None);
        let score = &found.scores.as_ref().unwrap().columns[0];
        assert_eq!(score.verdict, DriftVerdict::Stable, "seed {seed}: {score:?}");
        assert!(score.validation_psi.unwrap() < score.training.threshold.unwrap(), "{score:?}");
        beyond += u32::from(score.training.psi > score.training.threshold);
        let major = judged(seed, Target::Binary, LearnerKind::RandomForest, Change::Major);
        assert_eq!(major.scores.unwrap().columns[0].verdict, DriftVerdict::Drifted, "seed {seed}");
    }
    println!("{beyond} of 4 stable windows are beyond the threshold of the training rows alone");
}

#[test]
fn every_task_is_watched() {
    for (target, task) in [(Target::Regression, Task::Regression), (Target::Multiclass, Task::Multiclass)] {
        assert_eq!(model(1, target, LearnerKind::Boosting).task(), task);
        let stable = judged(1, target, LearnerKind::Boosting, Change::None);
        assert_eq!(stable.state, State::Ok, "{:?}", stable.reasons);
        let major = judged(1, target, LearnerKind::Boosting, Change::Major);
        assert_eq!(major.state, State::Alert, "{:?}", major.reasons);
        let names: Vec<String> = major.scores.unwrap().columns.iter().map(|c| c.training.name.clone()).collect();
        assert_eq!(names, if task == Task::Multiclass { vec!["score", "label"] } else { vec!["score"] });
    }
}

#[test]
fn rows_that_do_not_fit_raise_an_alert() {
    let model = model(2, Target::Binary, LearnerKind::Boosting);
    let train = days(2, 0, TRAIN, Target::Binary, Change::None);
    let live = days(2, LIVE, 14, Target::Binary, Change::None);
    let find = |live: &Columns| monitor(&model, &train, live, &settings(2)).unwrap();

    let gone = find(&with(&live, "load", None));
    assert_eq!(gone.state, State::Alert);
    assert_eq!(gone.reasons[0], "`load`: column is missing");
    assert!(gone.scores.is_none());
    assert!(gone.reasons[1].starts_with("the model cannot read the rows"), "{:?}", gone.reasons);

    let words = Column::text("temp", (0..live.rows()).map(|row| Some(if row % 2 == 0 { "warm" } else { "12" })));
    let changed = find(&with(&live, "temp", Some(words)));
    assert_eq!((changed.state, changed.reasons[0].as_str()), (State::Alert, "`temp`: text instead of float"));
    assert!(changed.quality.anomalies[0].long.contains("such as `warm`"));

    let Values::Text(known) = &live.get("place").unwrap().values else { panic!("places are text") };
    let places = (0..live.rows()).map(|row| Some(if row % 40 == 0 { "moon" } else { known.get(row) }));
    let places = Column::text("place", places);
    let unknown = find(&with(&live, "place", Some(places)));
    assert_eq!(unknown.state, State::Warning, "{:?}", unknown.reasons);
    assert!(unknown.reasons.contains(&"`place`: unexpected values".to_owned()), "{:?}", unknown.reasons);
    let place = unknown.unlike_training.iter().find(|input| input.name == "place").unwrap();
    assert_eq!(place.unknown, (live.rows() as u64).div_ceil(40));
}

#[test]
fn few_rows_are_no_verdict_and_foreign_rows_an_error() {
    let model = model(3, Target::Binary, LearnerKind::Boosting);
    let train = days(3, 0, TRAIN, Target::Binary, Change::None);
    let live = days(3, LIVE, 2, Target::Binary, Change::Major);
    let few = monitor(&model, &train, &live, &settings(3)).unwrap();
    assert_eq!(few.state, State::NotEnoughData);
    assert_eq!(few.summary(), "not enough data: 60 live rows, at least 100 are needed");
    let eager = Settings { min_rows: 50, ..settings(3) };
    assert_ne!(monitor(&model, &train, &live, &eager).unwrap().state, State::NotEnoughData);

    let foreign = Columns::new(vec![Column::int("a", [Some(1)])]).unwrap();
    let error = monitor(&model, &train, &foreign, &settings(3)).unwrap_err();
    assert!(matches!(&error, MonitoringError::Nothing(names) if names == "a"), "{error}");
}

#[test]
fn written_predictions_are_enough() {
    let model = model(4, Target::Binary, LearnerKind::Boosting);
    let train = days(4, 0, TRAIN, Target::Binary, Change::None);
    for (change, state) in [(Change::None, State::Ok), (Change::Major, State::Alert)] {
        let live = days(4, LIVE, 14, Target::Binary, change);
        let positive: Vec<f64> = model.predict(&live).unwrap().positive().collect();
        let name = format!("probability_{}", model.labels()[1]);
        let written = Columns::new(vec![
            live.get("_unit").unwrap().clone(),
            live.get("place").unwrap().clone(),
            Column::new(name, Values::Float(positive)),
        ])
        .unwrap();
        let found = monitor(&model, &train, &written, &settings(4)).unwrap();
        assert_eq!((found.state, found.scores.unwrap().source.as_str()), (state, "rows"), "{:?}", found.reasons);
        assert_eq!(found.quality.anomalies, []);
    }
}

#[test]
fn excluded_inputs_are_listed_and_findings_are_read_back() {
    let model = model(5, Target::Binary, LearnerKind::Logistic);
    let train = days(5, 0, TRAIN, Target::Binary, Change::None);
    let live = days(5, LIVE, 14, Target::Binary, Change::Minor);
    let settings = Settings { exclude: vec!["wind".into()], ..settings(5) };
    let found = monitor(&model, &train, &live, &settings).unwrap();
    assert_eq!(found.state, State::Ok, "{:?}", found.reasons);
    assert_eq!(found.inputs.get("wind").unwrap().reason.as_deref(), Some("excluded by the monitor"));
    let json = serde_json::to_string(&found).unwrap();
    let back: Findings = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
    assert_eq!(page(&back).render(), page(&found).render());
}

#[test]
fn the_page_says_what_moved_and_escapes_names() {
    let model = model(6, Target::Binary, LearnerKind::Boosting);
    let train = days(6, 0, TRAIN, Target::Binary, Change::None);
    let live = days(6, LIVE, 14, Target::Binary, Change::Major);
    let places = Column::text("place", (0..live.rows()).map(|_| Some("<script>alert(1)</script>")));
    let found = monitor(&model, &train, &with(&live, "place", Some(places)), &settings(6)).unwrap();
    let html = page(&found).render();
    assert!(html.contains("Something moved that asks for action") && html.contains("predictions drifted: PSI"));
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script"));
}
