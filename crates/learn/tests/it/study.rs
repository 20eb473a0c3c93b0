//! Whole studies: the same at any number of threads, cancelled at once, finished into a model.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU32, Ordering};

use gristmill_learn::{
    Finish, Fitted, Hook, LearnError, LearnerKind, NoHook, Outcome, StudySpec, Task, TrainingSet, TrialReport, finish,
    leaderboard, refit, run_trial, trial_fitted, trial_model,
};
use gristmill_model::Model;
use gristmill_stats::metric::ThresholdRule;

use crate::support::{prepared, split, table};

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// Runs a study one trial after another.
fn run(set: &TrainingSet, spec: &StudySpec) -> Vec<(TrialReport, Option<Fitted>)> {
    let mut done: Vec<(TrialReport, Option<Fitted>)> = Vec::new();
    for number in 0..spec.trials {
        let earlier: Vec<TrialReport> = done.iter().map(|(report, _)| report.clone()).collect();
        let plan = spec.plan(set.train().task, number);
        let trial = spec.trial(&plan, set.train().task, set.train().rows(), &earlier).unwrap();
        done.push(run_trial(set, &trial, &NoHook).unwrap());
    }
    done
}

#[test]
fn the_same_bytes_at_any_number_of_threads() {
    for name in ["breast_cancer", "wine", "diabetes"] {
        let spec = StudySpec { seed: 9, trials: 7, ..StudySpec::default() };
        let mut seen = None;
        for threads in [1, 2, 3] {
            let (_, _, set) = prepared(name);
            let done = pool(threads).install(|| run(&set, &spec));
            let reports: Vec<&TrialReport> = done.iter().map(|(report, _)| report).collect();
            let text = serde_json::to_string(&reports).unwrap();
            let predictors: Vec<_> =
                done.iter().map(|(_, fitted)| fitted.as_ref().map(|f| f.predictor.clone())).collect();
            match &seen {
                None => seen = Some((text, predictors)),
                Some(first) => assert!(*first == (text, predictors), "{name} at {threads} threads"),
            }
        }
    }
}

#[test]
fn every_learner_beats_the_constant() {
    for name in ["breast_cancer", "wine", "diabetes"] {
        let (_, _, set) = prepared(name);
        let done = run(&set, &StudySpec { seed: 1, trials: 5, ..StudySpec::default() });
        let board = leaderboard(done.into_iter().map(|(report, _)| report).collect());
        let constant = board.iter().find(|r| r.learner == LearnerKind::Constant).unwrap().loss().unwrap();
        for report in &board {
            let loss = report.loss().unwrap();
            match (report.learner, &report.outcome) {
                (LearnerKind::Constant, _) => {}
                // Columns that say the same thing thrice make it too sure of itself; its order is good.
                (LearnerKind::NaiveBayes, Outcome::Succeeded { metrics, .. }) => {
                    let auc = metrics.get("roc_auc").or(metrics.get("macro_auc")).unwrap();
                    assert!(*auc > 0.95, "{name}: {auc}");
                }
                (learner, _) => assert!(loss < 0.9 * constant, "{name}: {learner} has {loss}, the constant {constant}"),
            }
        }
    }
}

#[test]
fn reports_and_studies_are_read_back_from_json() {
    let (_, _, set) = prepared("wine");
    let mut spec = StudySpec { seed: 3, trials: 7, ..StudySpec::default() };
    let space = LearnerKind::Boosting.learner().space(Task::Multiclass, 100);
    spec.spaces.insert(LearnerKind::Boosting, space);
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<StudySpec>(&text).unwrap(), spec);
    for (report, _) in run(&set, &spec) {
        let text = serde_json::to_string(&report).unwrap();
        let read: TrialReport = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert_eq!((read.loss(), &read.outcome), (report.loss(), &report.outcome));
    }
}

struct StopAfter(AtomicU32, u32);

impl Hook for StopAfter {
    fn round(&self, _round: u32, _of: u32, _score: Option<f64>) -> ControlFlow<()> {
        if self.0.fetch_add(1, Ordering::SeqCst) >= self.1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn every_learner_stops_when_told() {
    for name in ["breast_cancer", "diabetes"] {
        let (_, _, set) = prepared(name);
        let spec = StudySpec { trials: 5, ..StudySpec::default() };
        for number in 0..5 {
            let hook = StopAfter(AtomicU32::new(0), 0);
            let plan = spec.plan(set.train().task, number);
            let trial = spec.trial(&plan, set.train().task, set.train().rows(), &[]).unwrap();
            let result = run_trial(&set, &trial, &hook);
            assert!(matches!(result, Err(LearnError::Cancelled)), "{name} {}: {result:?}", plan.learner);
            assert_eq!(hook.0.load(Ordering::SeqCst), 1, "asked again after it said stop");
        }
    }
}

#[test]
fn a_winner_becomes_a_model_that_checks_itself() {
    let digest = "ab".repeat(32);
    for (name, task) in [("breast_cancer", Task::Binary), ("wine", Task::Multiclass), ("diabetes", Task::Regression)] {
        let (_, fitted_transform, set) = prepared(name);
        let spec = StudySpec { seed: 2, trials: 5, ..StudySpec::default() };
        for (report, fitted) in run(&set, &spec) {
            let transform = fitted_transform.to_model();
            let (_, validation) = split(&table(name));
            let again = refit(&set, &report.trial(), report.rounds(), &NoHook).unwrap();
            let bytes =
                trial_model(&transform, set.train(), &report.trial(), fitted.as_ref().unwrap(), "test").unwrap();
            let fitted = trial_fitted(&bytes).unwrap();
            for refitted in [None, Some(&again)] {
                let finished = finish(&Finish {
                    transform: &transform,
                    set: &set,
                    winner: &report,
                    fitted: &fitted,
                    refitted,
                    calibrate: true,
                    threshold: ThresholdRule::F1,
                    baseline: (&digest, &digest),
                    example: Some(&validation),
                    cpu_class: "test",
                })
                .unwrap();
                let model = Model::read(&finished.bytes).unwrap();
                model.check_example().unwrap();
                assert_eq!(finished.message.baseline.as_ref().unwrap().score_quantiles.len(), 101);
                let predicted = model.predict(&validation).unwrap();
                assert_eq!(predicted.rows(), validation.rows());
                if task == Task::Binary && report.learner != LearnerKind::Constant {
                    assert!((0.01..0.99).contains(&finished.threshold), "{}", finished.threshold);
                    let right = predicted.predicted.iter().zip(&set.validation().unwrap().target);
                    let right = right.filter(|(p, t)| f64::from(**p) == **t).count();
                    assert!(right as f64 > 0.85 * validation.rows() as f64, "{}: {right}", report.learner);
                }
            }
        }
    }
}
