//! The pure part: which rows count, what is compared, what the gate says.

use gristmill_evaluation::{Candidate, Evaluation, EvaluationError, Inputs, Settings, VerdictFile, evaluate, page};
use gristmill_model::Model;
use gristmill_model::proto::output::{Link, Task};
use gristmill_stats::gate::{GateSpec, Outcome, State};
use gristmill_stats::interval::Resampling;
use gristmill_stats::metric::Metric;
use gristmill_types::{ArtifactKind, ArtifactRef, Column, Columns, Digest, Values};

use super::made::{Made, PER_DAY, late, rows};

const ROWS: usize = 60 * PER_DAY;

fn artifact(kind: ArtifactKind, name: &str) -> ArtifactRef {
    ArtifactRef { kind, digest: Digest::of(name.as_bytes()) }
}

fn candidate(made: &Made, seen: impl IntoIterator<Item = i64>) -> Candidate {
    Candidate {
        artifact: artifact(ArtifactKind::Model, made.input),
        version: None,
        model: Model::read(&made.bytes()).unwrap(),
        seen: seen.into_iter().collect(),
    }
}

fn inputs(rows: Columns, model: Candidate, champion: Option<Candidate>) -> Inputs {
    Inputs {
        candidate: model,
        champion,
        test: artifact(ArtifactKind::Prepared, "test"),
        rows,
        unit: "local day of at".into(),
        test_opened: 1,
        settings: Settings { gate: None, resampling: Resampling { replicates: 300, ..Resampling::default() } },
    }
}

fn judged(rows: Columns, model: Candidate, champion: Option<Candidate>) -> (Evaluation, VerdictFile) {
    evaluate(&inputs(rows, model, champion)).unwrap()
}

#[test]
fn a_good_first_model_passes_and_the_report_says_why() {
    let (evaluation, verdict) = judged(rows(ROWS, 0), candidate(&late(3.0), []), None);
    assert_eq!(verdict.state, State::Passed, "{verdict:?}");
    assert!(verdict.default_rules);
    assert_eq!((evaluation.rows.measured, evaluation.rows.units), (1_500, 60));
    let slope = evaluation.estimates.get(Metric::CalibrationSlope).unwrap();
    let interval = slope.interval.unwrap();
    assert!(interval.low < 1.0 && 1.0 < interval.high, "the model is the truth: {slope:?}");
    assert!(verdict.findings.iter().any(|finding| finding.outcome == Outcome::Skipped));
    let html = page(&evaluation, &verdict).render();
    for text in ["The gate passed", "ROC AUC", "local day of at", "Model card", "no champion yet", "l2", "<svg"] {
        assert!(html.contains(text), "{text} is missing");
    }
    assert!(!html.contains("<script") && !html.contains("http://") && !html.contains("https://"));
}

#[test]
fn a_useless_model_is_refused() {
    let noise = Made { input: "other", ..late(3.0) };
    let (_, verdict) = judged(rows(ROWS, 0), candidate(&noise, []), None);
    assert_eq!(verdict.state, State::Refused);
    assert!(verdict.summary.starts_with("refused on 1500 rows in 60 units"), "{}", verdict.summary);
}

#[test]
fn the_champion_is_measured_on_rows_that_neither_has_seen() {
    // Rows 0 to 99 were the model's, 80 to 299 the champion's.
    let model = candidate(&late(3.0), 0..100);
    let champion = Candidate { version: Some(7), ..candidate(&late(1.0), 80..300) };
    let (evaluation, verdict) = judged(rows(ROWS, 0), model, Some(champion));
    let facts = &evaluation.rows;
    assert_eq!((facts.seen_by_model, facts.seen_by_champion, facts.measured), (100, 220, 1_200));
    assert_eq!(evaluation.champion_estimates.as_ref().unwrap().rows, 1_200);
    let log_loss = evaluation.comparison.iter().find(|one| one.metric == Metric::LogLoss).unwrap();
    assert!(log_loss.gain_interval.unwrap().low > 0.0, "{log_loss:?}");
    // A monotone map of the same scores ranks the same.
    let auc = evaluation.comparison.iter().find(|one| one.metric == Metric::RocAuc).unwrap();
    assert_eq!(auc.difference, 0.0);
    assert_eq!(verdict.state, State::Passed);
    let html = page(&evaluation, &verdict).render();
    assert!(html.contains("version 7") && html.contains("better"));

    let (_, worse) = judged(rows(ROWS, 0), candidate(&late(1.0), []), Some(candidate(&late(3.0), [])));
    assert_eq!(worse.state, State::Refused, "{worse:?}");
    assert!(worse.reasons[0].contains("over the champion"));
}

#[test]
fn a_champion_that_cannot_be_compared_stays() {
    let not_comparable = |champion: Candidate, rows: Columns, why: &str| {
        let (evaluation, verdict) = judged(rows, candidate(&late(3.0), []), Some(champion));
        assert_eq!(verdict.state, State::NotComparable, "{verdict:?}");
        assert!(evaluation.not_comparable.as_ref().unwrap().contains(why), "{:?}", evaluation.not_comparable);
        assert!(evaluation.comparison.is_empty() && evaluation.champion_estimates.is_none());
        assert!(page(&evaluation, &verdict).render().contains("the champion stays"));
        evaluation
    };
    let seen = not_comparable(candidate(&late(1.0), 0..5_000), rows(ROWS, 0), "no test row is outside");
    assert_eq!((seen.rows.measured, seen.rows.seen_by_champion), (1_500, 1_500));
    let gone = Made { input: "gone", ..late(1.0) };
    not_comparable(candidate(&gone, []), rows(ROWS, 0), "gone");
    let other = Made { labels: &["no", "yes"], ..late(1.0) };
    not_comparable(candidate(&other, []), rows(ROWS, 0), "its labels are no, yes");
    let number = Made { task: Task::Regression, link: Link::Identity, labels: &[], target: "delay", ..late(1.0) };
    not_comparable(candidate(&number, []), rows(ROWS, 0), "it predicts `delay`");
}

#[test]
fn twenty_nine_days_are_not_enough() {
    let (evaluation, verdict) = judged(rows(29 * PER_DAY, 0), candidate(&late(3.0), []), None);
    assert_eq!(verdict.state, State::NotEnoughData);
    assert!(evaluation.estimates.metrics.iter().all(|estimate| estimate.interval.is_none()));
    assert!(page(&evaluation, &verdict).render().contains("29 units"));
}

#[test]
fn numbers_and_several_classes_are_judged_too() {
    let number = Made { task: Task::Regression, link: Link::Identity, labels: &[], target: "delay", ..late(10.0) };
    let (evaluation, verdict) = judged(rows(ROWS, 0), candidate(&number, []), None);
    assert_eq!(verdict.state, State::Passed, "{verdict:?}");
    assert!(evaluation.estimates.get(Metric::R2).unwrap().value.unwrap() > 0.9);
    assert!(!evaluation.curves.residuals.is_empty());

    let sizes = Made {
        task: Task::Multiclass,
        link: Link::Softmax,
        labels: &["large", "medium", "small"],
        target: "size",
        intercept: vec![-0.8, 0.0, -0.8],
        coefficient: vec![5.0, 0.0, -5.0],
        ..late(0.0)
    };
    let (evaluation, verdict) = judged(rows(ROWS, 0), candidate(&sizes, []), None);
    assert_eq!(verdict.state, State::Passed, "{verdict:?}");
    assert!(evaluation.estimates.get(Metric::MacroAuc).unwrap().value.unwrap() > 0.85);
    assert!(page(&evaluation, &verdict).render().contains("predicted medium"));
}

#[test]
fn what_cannot_be_measured_says_why() {
    let error =
        |rows: Columns, made: &Made, seen: Vec<i64>| evaluate(&inputs(rows, candidate(made, seen), None)).unwrap_err();
    let all = (0..ROWS as i64).collect();
    assert!(matches!(error(rows(ROWS, 0), &late(1.0), all), EvaluationError::NothingUnseen(1_500)));
    let two = Made { labels: &["no", "yes"], ..late(1.0) };
    assert!(matches!(error(rows(50, 0), &two, vec![]), EvaluationError::UnknownLabel { .. }));
    let absent = Made { target: "absent", ..late(1.0) };
    assert!(matches!(error(rows(50, 0), &absent, vec![]), EvaluationError::NoTarget(_)));
    let number = Made { task: Task::Regression, link: Link::Identity, labels: &[], target: "size", ..late(1.0) };
    assert!(matches!(error(rows(50, 0), &number, vec![]), EvaluationError::Target { .. }));
    let bare = rows(50, 0).select(&["x", "late"]);
    assert!(matches!(error(bare, &late(1.0), vec![]), EvaluationError::NoRowKey));
    let empty = Columns::new(vec![
        Column::float("x", [Some(1.0), Some(2.0)]),
        Column::text("late", [None, None]),
        Column::new("_row_key", Values::Int(vec![1, 2])),
    ]);
    assert!(matches!(error(empty.unwrap(), &late(1.0), vec![]), EvaluationError::NoTruth(_)));

    let mut given = inputs(rows(ROWS, 0), candidate(&late(3.0), []), None);
    given.settings.gate = Some(serde_json::from_str::<GateSpec>(r#"{"rules":[{"metric":"rmse","max":1}]}"#).unwrap());
    assert!(matches!(evaluate(&given), Err(EvaluationError::Gate(_))));
}

#[test]
fn documents_read_back_and_threads_do_not_change_them() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| judged(rows(ROWS, 0), candidate(&late(3.0), 0..10), Some(candidate(&late(2.0), []))))
    };
    let (evaluation, verdict) = run(1);
    let text = serde_json::to_string(&evaluation).unwrap();
    assert_eq!(text, serde_json::to_string(&run(3).0).unwrap());
    assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), evaluation);
    let text = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<VerdictFile>(&text).unwrap(), verdict);
}
