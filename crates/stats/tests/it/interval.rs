//! Intervals: against a plain bootstrap, against formulas, by simulation, and at any number of threads.

use std::collections::BTreeMap;

use gristmill_stats::compare::compare;
use gristmill_stats::interval::{IntervalError, Replicates, Resampling, Units};
use gristmill_stats::metric::{Metric, Scores};
use gristmill_stats::random::{Generator, generator, uniform};
use gristmill_stats::special::{logistic, normal_quantile};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    low: f64,
    high: f64,
    se: f64,
}

#[derive(Deserialize)]
struct Fixture {
    unit: Vec<u32>,
    truth: Vec<u8>,
    scores: Vec<f64>,
    threshold: f64,
    expected: BTreeMap<Metric, Reference>,
}

fn fixture() -> (Scores, Units, BTreeMap<Metric, Reference>) {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/intervals.json")).unwrap();
    let truth = fixture.truth.iter().map(|y| *y == 1).collect();
    let scores = Scores::binary(truth, fixture.scores, fixture.threshold).unwrap();
    (scores, Units::from_labels(fixture.unit), fixture.expected)
}

fn normal(generator: &mut Generator) -> f64 {
    normal_quantile(uniform(generator).max(1e-15))
}

#[test]
fn agrees_with_a_plain_cluster_bootstrap_in_python() {
    let (scores, units, expected) = fixture();
    let resampling = Resampling { replicates: 2_000, ..Resampling::default() };
    let estimates = Replicates::of(&scores, &units, resampling).unwrap().estimates();
    assert_eq!((estimates.rows, estimates.units, estimates.unit_is_row), (1_200, 60, false));
    for (metric, reference) in expected {
        let ours = estimates.get(metric).unwrap();
        let interval = ours.interval.unwrap();
        // The standard error of a 2.5 % quantile of 2,000 normal draws is 6 % of the standard deviation.
        assert!((interval.low - reference.low).abs() < 0.25 * reference.se, "{metric}: {ours:?} {}", reference.low);
        assert!((interval.high - reference.high).abs() < 0.25 * reference.se, "{metric}: {ours:?} {}", reference.high);
        assert!((ours.standard_error.unwrap() / reference.se - 1.0).abs() < 0.08, "{metric}: {ours:?}");
    }
}

#[test]
fn the_same_bytes_at_any_number_of_threads() {
    let (scores, units, _) = fixture();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let estimates = pool.install(|| Replicates::of(&scores, &units, Resampling::default()).unwrap().estimates());
        serde_json::to_string(&estimates).unwrap()
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
    let other = Resampling { seed: 1, ..Resampling::default() };
    let other = Replicates::of(&scores, &units, other).unwrap().estimates();
    assert_ne!(one, serde_json::to_string(&other).unwrap());
}

#[test]
fn standard_errors_of_means_follow_the_formulas() {
    let (scores, units, _) = fixture();
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/intervals.json")).unwrap();
    let loss: Vec<f64> =
        fixture.truth.iter().zip(&fixture.scores).map(|(y, p)| (p - f64::from(*y)) * (p - f64::from(*y))).collect();
    let n = loss.len() as f64;
    let mean = loss.iter().sum::<f64>() / n;
    let by_row = loss.iter().map(|l| (l - mean) * (l - mean)).sum::<f64>().sqrt() / n;
    let mut sums = [0.0; 60];
    for (unit, loss) in fixture.unit.iter().zip(&loss) {
        sums[*unit as usize] += loss - mean;
    }
    let clustered = sums.iter().map(|s| s * s).sum::<f64>().sqrt() / n;

    let clusters = Replicates::of(&scores, &units, Resampling::default()).unwrap().estimates();
    let rows = Replicates::of(&scores, &Units::rows(loss.len()), Resampling::default()).unwrap().estimates();
    let se = |estimates: &gristmill_stats::interval::Estimates| estimates.get(Metric::Brier).unwrap().standard_error;
    assert!((se(&clusters).unwrap() / clustered - 1.0).abs() < 0.08);
    assert!((se(&rows).unwrap() / by_row - 1.0).abs() < 0.08);
    let effect = clusters.get(Metric::Brier).unwrap().design_effect.unwrap();
    let expected = clustered * clustered / (by_row * by_row);
    assert!((effect / expected - 1.0).abs() < 0.2, "{effect} {expected}");
    assert_eq!(rows.get(Metric::Brier).unwrap().design_effect, None);
}

/// 200 data sets of 40 units of 10 rows whose units differ: the interval over units covers the true mean as often as it
/// says, the interval over rows does not.
#[test]
fn covers_the_truth_as_often_as_promised_when_rows_depend_on_each_other() {
    let (mut by_unit, mut by_row) = (0, 0);
    let simulations = 200;
    for simulation in 0..simulations {
        let mut generator = generator(42, "simulation", simulation);
        let mut truth = Vec::new();
        for _ in 0..40 {
            let shared = normal(&mut generator);
            truth.extend((0..10).map(|_| 50.0 + shared + normal(&mut generator)));
        }
        // Predicted 0: the mean absolute error is the mean, whose expectation is 50.
        let scores = Scores::regression(truth, vec![0.0; 400]).unwrap();
        let resampling = Resampling { replicates: 300, seed: simulation, ..Resampling::default() };
        let covers = |units: &Units| {
            let estimates = Replicates::of_metrics(&scores, units, resampling, &[Metric::Mae]).unwrap().estimates();
            let interval = estimates.get(Metric::Mae).unwrap().interval.unwrap();
            (interval.low..=interval.high).contains(&50.0)
        };
        by_unit += i32::from(covers(&Units::from_labels((0..400).map(|row| row / 10))));
        by_row += i32::from(covers(&Units::rows(400)));
    }
    // Binomial(200, 0.93) is below 175 with probability 0.002.
    assert!(by_unit >= 175, "{by_unit} of {simulations}");
    assert!(by_row < 140, "{by_row} of {simulations}");
}

#[test]
fn too_few_units_give_values_without_intervals() {
    let (scores, _, _) = fixture();
    let units = Units::from_labels((0..scores.rows()).map(|row| row % 29));
    let estimates = Replicates::of(&scores, &units, Resampling::default()).unwrap().estimates();
    assert!(!estimates.enough_units);
    for estimate in &estimates.metrics {
        assert!(estimate.value.is_some() && estimate.interval.is_none(), "{estimate:?}");
        if estimate.metric != Metric::Ece {
            assert!(estimate.reason.as_ref().unwrap().contains("29 units"), "{estimate:?}");
        }
    }
}

#[test]
fn a_metric_that_resamples_leave_undefined_has_no_interval() {
    // One positive row among 40: over a third of the resamples lack it.
    let truth: Vec<bool> = (0..40).map(|row| row == 0).collect();
    let scores = Scores::binary(truth, (0..40).map(|row| f64::from(row) / 50.0).collect(), 0.5).unwrap();
    let estimates = Replicates::of(&scores, &Units::rows(40), Resampling::default()).unwrap().estimates();
    let auc = estimates.get(Metric::RocAuc).unwrap();
    assert_eq!((auc.value, auc.interval), (Some(0.0), None));
    assert!((300..430).contains(&auc.undefined_replicates), "{auc:?}");
    assert!(estimates.get(Metric::LogLoss).unwrap().interval.is_some());
}

#[test]
fn comparison_is_paired() {
    let (scores, units, _) = fixture();
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/intervals.json")).unwrap();
    let truth: Vec<bool> = fixture.truth.iter().map(|y| *y == 1).collect();
    // The champion's scores are the candidate's, a little blunted.
    let blunt = fixture.scores.iter().map(|p| 0.5 + 0.8 * (p - 0.5)).collect();
    let champion = Scores::binary(truth, blunt, fixture.threshold).unwrap();
    let ours = Replicates::of(&scores, &units, Resampling::default()).unwrap();
    let theirs = Replicates::of(&champion, &units, Resampling::default()).unwrap();

    let same = compare(&ours, &ours).unwrap();
    for comparison in same.iter().filter(|comparison| comparison.metric != Metric::Ece) {
        let interval = comparison.difference_interval.unwrap();
        assert_eq!((comparison.difference, interval.low, interval.high), (0.0, 0.0, 0.0));
    }
    let compared = compare(&ours, &theirs).unwrap();
    let log_loss = compared.iter().find(|comparison| comparison.metric == Metric::LogLoss).unwrap();
    let (difference, gain) = (log_loss.difference_interval.unwrap(), log_loss.gain_interval.unwrap());
    assert!((difference.low + gain.high).abs() < 1e-12 && (difference.high + gain.low).abs() < 1e-12);
    let alone = ours.estimates().get(Metric::LogLoss).unwrap().interval.unwrap();
    assert!(difference.high - difference.low < 0.5 * (alone.high - alone.low), "{difference:?} {alone:?}");
    let auc = compared.iter().find(|comparison| comparison.metric == Metric::RocAuc).unwrap();
    assert_eq!(auc.difference, 0.0);

    let elsewhere = Replicates::of(&champion, &Units::rows(1_200), Resampling::default()).unwrap();
    assert_eq!(compare(&ours, &elsewhere), Err(IntervalError::Unpaired));
}

#[test]
fn bad_requests_are_refused() {
    let (scores, units, _) = fixture();
    let with = |resampling| Replicates::of(&scores, &units, resampling).map(|_| ());
    assert_eq!(with(Resampling { replicates: 5, ..Resampling::default() }), Err(IntervalError::Replicates(5)));
    assert_eq!(with(Resampling { confidence: 1.0, ..Resampling::default() }), Err(IntervalError::Confidence(1.0)));
    let short = Replicates::of(&scores, &Units::rows(3), Resampling::default()).map(|_| ());
    assert_eq!(short, Err(IntervalError::Length { units: 3, rows: 1_200 }));
}

#[test]
fn multiclass_and_regression_have_intervals_around_their_values() {
    let mut generator = generator(5, "tasks", 0);
    let (mut truth, mut table) = (Vec::new(), Vec::new());
    for _ in 0..600 {
        let p = [0.2 + 0.6 * logistic(normal(&mut generator)), 0.1];
        table.extend([p[0], p[1], 1.0 - p[0] - p[1]]);
        let u = uniform(&mut generator);
        truth.push(if u < p[0] { 0 } else { u32::from(u >= p[0] + p[1]) + 1 });
    }
    let numbers: Vec<f64> = (0..600).map(|_| 5.0 + normal(&mut generator).abs()).collect();
    let predicted: Vec<f64> = numbers.iter().map(|y| y + 0.3 * normal(&mut generator)).collect();
    let units = Units::from_labels((0..600).map(|row| row / 6));
    for scores in [Scores::multiclass(truth, table, 3).unwrap(), Scores::regression(numbers, predicted).unwrap()] {
        let estimates = Replicates::of(&scores, &units, Resampling::default()).unwrap().estimates();
        assert_eq!(estimates.metrics.len(), 5);
        for estimate in estimates.metrics {
            let interval = estimate.interval.unwrap();
            assert!(interval.low < interval.high, "{estimate:?}");
            assert!((interval.low..=interval.high).contains(&estimate.value.unwrap()), "{estimate:?}");
            assert!((0.5..2.0).contains(&estimate.design_effect.unwrap()), "{estimate:?}");
        }
    }
}
