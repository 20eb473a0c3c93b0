//! Calibrators and curves against scikit-learn, and the choice whether to calibrate at all.

use gristmill_stats::calibration::{CalibrationMethod, Calibrator, choose_calibrator};
use gristmill_stats::curve::{calibration_bins, precision_recall_curve, residual_bins, roc_curve, score_histogram};
use gristmill_stats::interval::Units;
use gristmill_stats::metric::{MetricError, Scores};
use gristmill_stats::random::{generator, uniform};
use gristmill_stats::special::{logistic, normal_quantile};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    truth: Vec<u8>,
    scores: Vec<f64>,
    weights: Vec<f64>,
    slope: f64,
    intercept: f64,
    isotonic_x: Vec<f64>,
    isotonic_y: Vec<f64>,
    grid: Vec<f64>,
    isotonic_grid: Vec<f64>,
    fpr: Vec<f64>,
    tpr: Vec<f64>,
    precision: Vec<f64>,
    recall: Vec<f64>,
}

fn fixture() -> (Fixture, Scores) {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/calibration.json")).unwrap();
    let truth = fixture.truth.iter().map(|y| *y == 1).collect();
    let scores = Scores::binary(truth, fixture.scores.clone(), 0.5).unwrap().with_weights(fixture.weights.clone());
    (fixture, scores.unwrap())
}

fn close(ours: &[f64], reference: &[f64]) {
    assert_eq!(ours.len(), reference.len());
    for (ours, reference) in ours.iter().zip(reference) {
        assert!((ours - reference).abs() < 1e-9, "{ours} is not {reference}");
    }
}

#[test]
fn platt_and_isotonic_are_equal_to_scikit_learn() {
    let (fixture, scores) = fixture();
    let Calibrator::Platt { slope, intercept } = Calibrator::fit(CalibrationMethod::Platt, &scores).unwrap() else {
        panic!("a Platt fit is asked for");
    };
    close(&[slope, intercept], &[fixture.slope, fixture.intercept]);
    let isotonic = Calibrator::fit(CalibrationMethod::Isotonic, &scores).unwrap();
    let Calibrator::Isotonic { x, y } = &isotonic else { panic!("an isotonic fit is asked for") };
    close(x, &fixture.isotonic_x);
    close(y, &fixture.isotonic_y);
    close(&fixture.grid.iter().map(|p| isotonic.apply(*p)).collect::<Vec<_>>(), &fixture.isotonic_grid);
}

#[test]
fn curves_are_equal_to_scikit_learn_and_bounded() {
    let (fixture, scores) = fixture();
    let roc = roc_curve(&scores, 1_000_000).unwrap();
    close(&roc.iter().map(|point| point.x).collect::<Vec<_>>(), &fixture.fpr);
    close(&roc.iter().map(|point| point.y).collect::<Vec<_>>(), &fixture.tpr);
    // scikit-learn goes from the lowest threshold up and adds the end (recall 0, precision 1).
    let pr = precision_recall_curve(&scores, 1_000_000).unwrap();
    let (x, y): (Vec<f64>, Vec<f64>) = pr.iter().rev().map(|point| (point.x, point.y)).unzip();
    let kept: Vec<usize> = (0..fixture.recall.len() - 1).collect();
    let distinct =
        |row: &usize| kept.iter().all(|other| other <= row || fixture.recall[*other] != fixture.recall[*row]);
    for row in kept.iter().filter(|row| distinct(row)) {
        let found = x.iter().position(|x| (x - fixture.recall[*row]).abs() < 1e-12);
        assert!((y[found.unwrap()] - fixture.precision[*row]).abs() < 1e-9);
    }
    for points in [3, 10, 40] {
        let roc = roc_curve(&scores, points).unwrap();
        assert!(roc.len() <= points, "{} {points}", roc.len());
        let (first, last) = (roc.first().unwrap(), roc.last().unwrap());
        assert_eq!((first.x, first.y, last.x, last.y), (0.0, 0.0, 1.0, 1.0));
        assert!(precision_recall_curve(&scores, points).unwrap().len() <= points);
    }
}

#[test]
fn bins_hold_every_row_once() {
    let (fixture, scores) = fixture();
    let bins = calibration_bins(&scores, 10).unwrap();
    assert!(bins.len() <= 10 && bins.len() > 5);
    assert_eq!(bins.iter().map(|bin| bin.rows).sum::<u64>(), 400);
    assert!(bins.windows(2).all(|pair| pair[0].high < pair[1].low));
    let total: f64 = fixture.weights.iter().sum();
    let mean = fixture.truth.iter().zip(&fixture.weights).map(|(y, w)| f64::from(*y) * w).sum::<f64>() / total;
    let by_bin = bins.iter().map(|bin| bin.positives * bin.weight).sum::<f64>() / total;
    assert!((mean - by_bin).abs() < 1e-12);
    let histogram = score_histogram(&scores, 20).unwrap();
    assert!((histogram.iter().map(|bin| bin.positive + bin.negative).sum::<f64>() - total).abs() < 1e-9);

    let predicted: Vec<f64> = (0..1_000).map(f64::from).collect();
    let truth: Vec<f64> = predicted.iter().enumerate().map(|(row, p)| p + 2.0 + (row % 11) as f64 - 5.0).collect();
    let numbers = Scores::regression(truth, predicted).unwrap();
    let bins = residual_bins(&numbers, 9).unwrap();
    assert_eq!(bins.iter().map(|bin| bin.rows).sum::<u64>(), 1_000);
    for bin in bins {
        assert!((bin.mean - 2.0).abs() < 0.3 && bin.median == 2.0 && bin.low == -2.0 && bin.high == 6.0, "{bin:?}");
    }
    assert!(matches!(roc_curve(&numbers, 10), Err(MetricError::Task { .. })));
    assert!(matches!(residual_bins(&scores, 10), Err(MetricError::Task { .. })));
}

/// Scores whose logits are `slope` times the true ones.
fn drawn(rows: usize, slope: f64) -> Scores {
    let mut generator = generator(9, "calibration", 0);
    let (mut truth, mut scores) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let z = normal_quantile(uniform(&mut generator).max(1e-12)) - 0.5;
        truth.push(uniform(&mut generator) < logistic(z));
        scores.push(logistic(slope * z));
    }
    Scores::binary(truth, scores, 0.5).unwrap()
}

#[test]
fn a_calibrator_is_kept_only_if_it_helps_rows_it_has_not_seen() {
    let rows = Units::rows(800);
    let distorted = choose_calibrator(&drawn(800, 3.0), &rows, 1).unwrap();
    let Some(Calibrator::Platt { slope, .. }) = distorted.calibrator else { panic!("{distorted:?}") };
    assert!((slope - 1.0 / 3.0).abs() < 0.08, "{slope}");
    assert!(distorted.log_loss_after[0].1 < distorted.log_loss_before - 0.05, "{distorted:?}");
    assert_eq!(distorted.log_loss_after.len(), 1, "isotonic needs 1,000 rows per class");

    let right = choose_calibrator(&drawn(800, 1.0), &rows, 1).unwrap();
    assert!((right.log_loss_after[0].1 - right.log_loss_before).abs() < 0.005, "{right:?}");
    assert_eq!(right.calibrator.is_some(), right.log_loss_after[0].1 < right.log_loss_before);

    let many = choose_calibrator(&drawn(6_000, 3.0), &Units::rows(6_000), 1).unwrap();
    assert_eq!(many.log_loss_after.len(), 2);

    // A constant score and one class have no calibrator; neither is a crash.
    let constant = Scores::binary((0..50).map(|row| row % 3 == 0).collect(), vec![0.3; 50], 0.5).unwrap();
    assert_eq!(choose_calibrator(&constant, &Units::rows(50), 1).unwrap().calibrator, None);
    let one = Scores::binary(vec![true; 50], vec![0.3; 50], 0.5).unwrap();
    assert_eq!(choose_calibrator(&one, &Units::rows(50), 1), Err(MetricError::OneClass));
}

#[test]
fn separated_classes_still_have_a_finite_platt_fit() {
    let scores = Scores::binary(vec![false, false, true, true], vec![0.1, 0.2, 0.8, 0.9], 0.5).unwrap();
    let fit = Calibrator::fit(CalibrationMethod::Platt, &scores).unwrap();
    assert!(fit.apply(0.95) < 1.0 && fit.apply(0.95) > 0.6 && fit.apply(0.05) < 0.4);
}
