//! Whether a calibrator is kept.

use gristmill_model::proto::{self, calibration::Calibration};
use gristmill_stats::metric::{LogisticFit, Metric, Scores, calibration_line};
use gristmill_stats::random::derive_seed;
use gristmill_stats::special::{logistic, logit};

use crate::{Matrix, Task};

/// Folds of the comparison; rows of one unit share a fold.
const FOLDS: u64 = 5;
/// What a calibrator must gain in log loss per row: below it the gain is the noise of the folds.
const LEAST_GAIN: f64 = 1e-4;
/// Rows of each class below which nothing can be said.
const LEAST_ROWS: usize = 100;

/// A Platt calibrator if it lowers the log loss out of fold, and what was decided in words.
///
/// The probabilities are those of a predictor that has not seen these rows.
pub(super) fn choose(probabilities: &[f64], matrix: &Matrix) -> (Option<proto::Calibration>, String) {
    if matrix.task != Task::Binary {
        return (None, "calibration is for binary tasks".into());
    }
    let truth: Vec<bool> = matrix.target.iter().map(|class| *class == 1.0).collect();
    let positives = truth.iter().filter(|t| **t).count();
    if positives.min(truth.len() - positives) < LEAST_ROWS {
        return (None, format!("fewer than {LEAST_ROWS} validation rows of a class: too few to calibrate"));
    }
    let Some((before, after)) = compared(probabilities, &truth, matrix) else {
        return (None, "no calibrator can be fitted on these scores".into());
    };
    let words = format!("out-of-fold log loss {before:.5} without and {after:.5} with Platt scaling");
    if after >= before - LEAST_GAIN {
        return (None, format!("{words}: left as it is"));
    }
    let all: Vec<usize> = (0..truth.len()).collect();
    match fit(probabilities, &truth, matrix, &all) {
        Some(line) => {
            let platt = proto::Platt { slope: line.slope, intercept: line.intercept };
            (Some(proto::Calibration { calibration: Some(Calibration::Platt(platt)) }), format!("{words}: kept"))
        }
        None => (None, format!("{words}: left as it is, the fit has no solution")),
    }
}

/// Log loss without and with a calibrator fitted on the other folds.
fn compared(probabilities: &[f64], truth: &[bool], matrix: &Matrix) -> Option<(f64, f64)> {
    let fold: Vec<u64> =
        matrix.units.iter().map(|unit| derive_seed(0, "calibration", u64::from(*unit)) % FOLDS).collect();
    let mut calibrated = probabilities.to_vec();
    for current in 0..FOLDS {
        let others: Vec<usize> = (0..truth.len()).filter(|row| fold.get(*row) != Some(&current)).collect();
        let line = fit(probabilities, truth, matrix, &others)?;
        for (row, value) in calibrated.iter_mut().enumerate().filter(|(row, _)| fold.get(*row) == Some(&current)) {
            *value = probabilities.get(row).map_or(0.5, |p| logistic(line.slope * logit(inside(*p)) + line.intercept));
        }
    }
    let all: Vec<usize> = (0..truth.len()).collect();
    let loss = |p: &[f64]| Metric::LogLoss.compute(&scores(p, truth, matrix, &all)?).ok();
    Some((loss(probabilities)?, loss(&calibrated)?))
}

fn inside(p: f64) -> f64 {
    p.clamp(1e-15, 1.0 - 1e-15)
}

fn scores(probabilities: &[f64], truth: &[bool], matrix: &Matrix, rows: &[usize]) -> Option<Scores> {
    let picked = Scores::binary(
        rows.iter().filter_map(|row| truth.get(*row).copied()).collect(),
        rows.iter().filter_map(|row| probabilities.get(*row).copied()).collect(),
        0.5,
    );
    match &matrix.weight {
        None => picked.ok(),
        Some(weight) => {
            picked.and_then(|s| s.with_weights(rows.iter().filter_map(|row| weight.get(*row).copied()).collect())).ok()
        }
    }
}

fn fit(probabilities: &[f64], truth: &[bool], matrix: &Matrix, rows: &[usize]) -> Option<LogisticFit> {
    // A falling calibrator would turn the order of the scores around.
    calibration_line(&scores(probabilities, truth, matrix, rows)?).ok().filter(|line| line.slope > 0.0)
}
