//! Metrics of numbers.

use super::scores::Regression;
use super::{MetricError, Scores, Sum};

pub(crate) fn mean_of(data: &Regression, scores: &Scores, loss: impl Fn(f64, f64) -> f64) -> f64 {
    let rows = data.truth.iter().zip(&data.predicted).enumerate();
    let sum: Sum = rows.map(|(row, (truth, predicted))| scores.weight(row) * loss(*truth, *predicted)).collect();
    sum.value() / scores.total_weight()
}

pub(crate) fn square(difference: f64) -> f64 {
    difference * difference
}

pub(crate) fn r2(data: &Regression, scores: &Scores) -> Result<f64, MetricError> {
    let mean = mean_of(data, scores, |truth, _| truth);
    let spread = mean_of(data, scores, |truth, _| square(truth - mean));
    let first = data.truth.first().copied().unwrap_or(0.0);
    let varies = data.truth.iter().enumerate().any(|(row, truth)| *truth != first && scores.weight(row) > 0.0);
    if !varies || spread == 0.0 {
        return Err(MetricError::ConstantTruth);
    }
    Ok(1.0 - mean_of(data, scores, |truth, predicted| square(truth - predicted)) / spread)
}

/// Mean of |truth − prediction| / |truth|.
pub(crate) fn mape(data: &Regression, scores: &Scores) -> Result<f64, MetricError> {
    let zero = data.truth.iter().enumerate().position(|(row, truth)| *truth == 0.0 && scores.weight(row) > 0.0);
    match zero {
        Some(row) => Err(MetricError::ZeroTruth { row }),
        None => Ok(mean_of(data, scores, |truth, predicted| {
            // Rows of weight 0 may have truth 0: they must add 0, not NaN.
            if truth == 0.0 { 0.0 } else { (truth - predicted).abs() / truth.abs() }
        })),
    }
}

/// Quantile `q` of values in ascending order with weights, the mean of both neighbours where the weight splits exactly
/// (Hyndman and Fan, 1996, definition 2). None if the weights are zero.
pub(crate) fn weighted_quantile(ascending: impl Iterator<Item = (f64, f64)>, total: f64, q: f64) -> Option<f64> {
    let place = q * total;
    // Sums of weights are inexact; an exact split is judged to a few rounding units.
    let slack = total * 1e-14;
    let mut below = 0.0;
    let mut rows = ascending.filter(|(_, weight)| *weight > 0.0);
    while let Some((value, weight)) = rows.next() {
        below += weight;
        if below >= place - slack {
            let next = if below <= place + slack { rows.next() } else { None };
            return Some(next.map_or(value, |(next, _)| 0.5 * (value + next)));
        }
    }
    None
}

pub(crate) fn median_absolute_error(data: &Regression, scores: &Scores) -> Option<f64> {
    let mut errors: Vec<(f64, f64)> = data
        .truth
        .iter()
        .zip(&data.predicted)
        .enumerate()
        .map(|(row, (truth, predicted))| ((truth - predicted).abs(), scores.weight(row)))
        .collect();
    errors.sort_by(|a, b| a.0.total_cmp(&b.0));
    weighted_quantile(errors.iter().copied(), scores.total_weight(), 0.5)
}
