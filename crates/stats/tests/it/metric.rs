//! Metrics against scikit-learn (fixtures), ties, and what has no value.

use gristmill_stats::metric::{
    Confusion, Metric, MetricError, Scores, Task, ThresholdRule, calibration_line, choose_threshold, evaluate,
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Case {
    name: String,
    task: Task,
    truth: Vec<f64>,
    scores: Vec<f64>,
    weights: Option<Vec<f64>>,
    threshold: Option<f64>,
    classes: Option<usize>,
    expected: BTreeMap<String, f64>,
}

impl Case {
    fn scores(&self) -> Scores {
        let scores = match self.task {
            Task::Binary => {
                let truth = self.truth.iter().map(|y| *y == 1.0).collect();
                Scores::binary(truth, self.scores.clone(), self.threshold.unwrap())
            }
            Task::Multiclass => {
                let truth = self.truth.iter().map(|y| *y as u32).collect();
                Scores::multiclass(truth, self.scores.clone(), self.classes.unwrap())
            }
            Task::Regression => Scores::regression(self.truth.clone(), self.scores.clone()),
        };
        match &self.weights {
            None => scores.unwrap(),
            Some(weights) => scores.unwrap().with_weights(weights.clone()).unwrap(),
        }
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../fixtures/metrics.json")).unwrap()
}

#[test]
fn equal_to_scikit_learn() {
    let mut compared = 0;
    for case in cases() {
        let values = evaluate(case.task, &case.scores()).unwrap();
        assert_eq!(values.len(), case.expected.len(), "{}", case.name);
        for value in values {
            let ours = value.value.unwrap();
            let reference = case.expected[value.metric.name()];
            // Metrics near zero (a correlation, an intercept) are differences of numbers near one.
            let bound = 1e-12 * reference.abs().max(1e-2);
            assert!((ours - reference).abs() <= bound, "{}: {} is {ours}, not {reference}", case.name, value.metric);
            assert_eq!(value.metric.compute(&case.scores()).unwrap(), ours);
            compared += 1;
        }
    }
    assert!(compared > 90, "{compared}");
}

#[test]
fn weight_two_is_the_row_twice() {
    for case in cases().into_iter().filter(|case| case.weights.is_none()) {
        let twice = |row: usize| if row.is_multiple_of(3) { 2 } else { 1 };
        let rows: Vec<usize> = (0..case.truth.len()).flat_map(|row| vec![row; twice(row)]).collect();
        let width = case.classes.unwrap_or(1);
        let repeated = Case {
            truth: rows.iter().map(|row| case.truth[*row]).collect(),
            scores: rows.iter().flat_map(|row| case.scores[row * width..][..width].to_vec()).collect(),
            name: case.name.clone(),
            weights: None,
            expected: BTreeMap::new(),
            ..case
        };
        let weighted = case.scores().with_weights((0..case.truth.len()).map(|row| twice(row) as f64).collect());
        let by_weight = evaluate(case.task, &weighted.unwrap()).unwrap();
        let by_row = evaluate(case.task, &repeated.scores()).unwrap();
        for (a, b) in by_weight.iter().zip(&by_row) {
            let (a_value, b_value) = (a.value.clone().unwrap(), b.value.clone().unwrap());
            assert!((a_value - b_value).abs() < 1e-9, "{} {}: {a_value} {b_value}", repeated.name, a.metric);
        }
    }
}

#[test]
fn what_has_no_value_says_why() {
    let one_class = Scores::binary(vec![true; 4], vec![0.1, 0.2, 0.3, 0.9], 0.5).unwrap();
    for metric in [Metric::RocAuc, Metric::AveragePrecision, Metric::BalancedAccuracy, Metric::Mcc] {
        assert_eq!(metric.compute(&one_class), Err(MetricError::OneClass), "{metric}");
    }
    for metric in [Metric::CalibrationSlope, Metric::CalibrationIntercept] {
        assert_eq!(metric.compute(&one_class), Err(MetricError::OneClass), "{metric}");
    }
    assert!(Metric::LogLoss.compute(&one_class).is_ok());
    let none = Scores::binary(vec![false; 2], vec![0.1, 0.2], 0.5).unwrap();
    assert_eq!(Metric::Recall.compute(&none), Err(MetricError::MissingClass { class: 1 }));

    assert_eq!(Scores::binary(vec![], vec![], 0.5), Err(MetricError::Empty));
    assert!(matches!(
        Scores::binary(vec![true, false], vec![0.5, f64::NAN], 0.5),
        Err(MetricError::Value { row: 1, .. })
    ));
    assert!(matches!(Scores::binary(vec![true], vec![1.1], 0.5), Err(MetricError::Value { row: 0, .. })));
    assert!(matches!(Scores::binary(vec![true], vec![0.1, 0.2], 0.5), Err(MetricError::Length { found: 2, .. })));
    assert!(matches!(Scores::binary(vec![true], vec![0.1], f64::NAN), Err(MetricError::Value { .. })));
    let good = Scores::binary(vec![true, false], vec![0.5, 0.5], 0.5).unwrap();
    assert_eq!(good.clone().with_weights(vec![0.0, 0.0]), Err(MetricError::NoWeight));
    assert!(matches!(good.clone().with_weights(vec![1.0, -1.0]), Err(MetricError::Value { row: 1, .. })));
    assert_eq!(Metric::CalibrationSlope.compute(&good), Err(MetricError::ConstantScore));
    assert!(matches!(Metric::Rmse.compute(&good), Err(MetricError::Task { .. })));
    assert!(evaluate(Task::Regression, &good).is_err());

    let apart = Scores::binary(vec![false, false, true, true], vec![0.1, 0.2, 0.8, 0.9], 0.5).unwrap();
    assert_eq!(Metric::CalibrationSlope.compute(&apart), Err(MetricError::Separated));
    assert_eq!(Metric::RocAuc.compute(&apart), Ok(1.0));

    let three = Scores::multiclass(vec![0, 1, 0], vec![0.5, 0.3, 0.2, 0.1, 0.8, 0.1, 0.9, 0.1, 0.0], 3).unwrap();
    assert_eq!(Metric::MacroAuc.compute(&three), Err(MetricError::MissingClass { class: 2 }));
    assert!(matches!(Scores::multiclass(vec![3], vec![0.5, 0.3, 0.2], 3), Err(MetricError::Class { class: 3, .. })));
    assert!(matches!(Scores::multiclass(vec![0], vec![0.5, 0.3, 0.3], 3), Err(MetricError::Value { row: 0, .. })));
    assert!(matches!(
        Scores::multiclass(vec![0, 1], vec![0.5, 0.5, f64::NAN, 0.5], 2),
        Err(MetricError::Value { row: 1, .. })
    ));

    let constant = Scores::regression(vec![2.0; 3], vec![1.0, 2.0, 3.0]).unwrap();
    assert_eq!(Metric::R2.compute(&constant), Err(MetricError::ConstantTruth));
    let zero = Scores::regression(vec![1.0, 0.0], vec![1.0, 1.0]).unwrap();
    assert_eq!(Metric::Mape.compute(&zero), Err(MetricError::ZeroTruth { row: 1 }));
    assert!(matches!(Scores::regression(vec![f64::INFINITY], vec![1.0]), Err(MetricError::Value { .. })));
}

#[test]
fn constant_baseline_scores_entropy_auc_half_and_ece_zero() {
    let case = cases().swap_remove(2);
    let baseline = case.scores().constant_baseline().unwrap();
    let weights = case.weights.clone().unwrap();
    let rate = case.truth.iter().zip(&weights).map(|(y, w)| y * w).sum::<f64>() / weights.iter().sum::<f64>();
    let entropy = -rate * libm::log(rate) - (1.0 - rate) * libm::log(1.0 - rate);
    assert!((Metric::LogLoss.compute(&baseline).unwrap() - entropy).abs() < 1e-13);
    assert!((Metric::RocAuc.compute(&baseline).unwrap() - 0.5).abs() < 1e-13);
    assert!(Metric::Ece.compute(&baseline).unwrap() < 1e-13);
    let regression = cases().into_iter().find(|case| case.task == Task::Regression).unwrap();
    assert!(Metric::R2.compute(&regression.scores().constant_baseline().unwrap()).unwrap().abs() < 1e-13);
}

#[test]
fn threshold_beats_every_score_tried_by_hand() {
    for case in cases().into_iter().filter(|case| case.task == Task::Binary) {
        let scores = case.scores();
        let at = |threshold: f64, of: &dyn Fn(&Confusion) -> f64| {
            let mut scores =
                Scores::binary(case.truth.iter().map(|y| *y == 1.0).collect(), case.scores.clone(), threshold).unwrap();
            if let Some(weights) = &case.weights {
                scores = scores.with_weights(weights.clone()).unwrap();
            }
            of(&Confusion::of(&scores).unwrap())
        };
        let f1 = |confusion: &Confusion| confusion.f1(1).unwrap();
        let total = scores.total_weight();
        let cost = |confusion: &Confusion| (confusion.cell(0, 1) + 4.0 * confusion.cell(1, 0)) / total;
        let by_f1 = choose_threshold(&scores, ThresholdRule::F1).unwrap();
        let rule = ThresholdRule::Cost { false_positive: 1.0, false_negative: 4.0 };
        let by_cost = choose_threshold(&scores, rule).unwrap();
        assert!((at(by_f1.threshold, &f1) - by_f1.value).abs() < 1e-12, "{}", case.name);
        assert!((at(by_cost.threshold, &cost) - by_cost.value).abs() < 1e-12, "{}", case.name);
        for score in case.scores.iter().copied().chain([2.0]) {
            assert!(at(score, &f1) <= by_f1.value + 1e-12, "{}", case.name);
            assert!(at(score, &cost) >= by_cost.value - 1e-12, "{}", case.name);
        }
    }
}

#[test]
fn a_cost_must_be_positive() {
    let scores = Scores::binary(vec![true, false], vec![0.4, 0.6], 0.5).unwrap();
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let rule = ThresholdRule::Cost { false_positive: bad, false_negative: 1.0 };
        assert!(matches!(choose_threshold(&scores, rule), Err(MetricError::Value { .. })));
    }
}

#[test]
fn recalibration_undoes_a_known_distortion() {
    // Scores are logistic(2 z + 1) where the outcome follows logistic(z): slope 1/2, intercept -1/2, in expectation
    // exactly, with fractional weights standing for both outcomes of every row.
    let z: Vec<f64> = (-20..=20).map(|i| f64::from(i) / 10.0).collect();
    let (mut truth, mut scores, mut weights) = (vec![], vec![], vec![]);
    for z in z {
        let p = gristmill_stats::special::logistic(z);
        for outcome in [true, false] {
            truth.push(outcome);
            scores.push(gristmill_stats::special::logistic(2.0 * z + 1.0));
            weights.push(if outcome { p } else { 1.0 - p });
        }
    }
    let line = calibration_line(&Scores::binary(truth, scores, 0.5).unwrap().with_weights(weights).unwrap()).unwrap();
    assert!((line.slope - 0.5).abs() < 1e-9 && (line.intercept + 0.5).abs() < 1e-9, "{line:?}");
}

#[test]
fn names_are_stable_and_parse_back() {
    for metric in Metric::ALL {
        assert_eq!(metric.name().parse::<Metric>(), Ok(metric));
        assert_eq!(serde_json::to_string(&metric).unwrap(), format!("\"{}\"", metric.name()));
    }
    assert!("auc".parse::<Metric>().is_err());
    assert!(!Metric::Ece.gateable() && Metric::LogLoss.gateable());
    assert!(Metric::RocAuc.higher_is_better() && !Metric::LogLoss.higher_is_better());
    assert!((Metric::CalibrationSlope.gain(0.9, 1.3) - 0.2).abs() < 1e-12);
}
