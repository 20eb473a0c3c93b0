//! Metrics of probabilities.

use super::scores::{Binary, Multiclass};
use super::{MetricError, Scores, Sum};

/// Number of equal-width bins of the expected calibration error (Guo et al., 2017).
pub const ECE_BINS: usize = 15;

/// `-ln p`, with `p` held within one rounding unit of 0 and 1 as scikit-learn does.
pub(crate) fn clipped_log(p: f64) -> f64 {
    -libm::log(p.clamp(f64::EPSILON, 1.0 - f64::EPSILON))
}

/// Log loss of one binary row.
pub(crate) fn row_log_loss(positive: bool, p: f64) -> f64 {
    clipped_log(if positive { p } else { 1.0 - p })
}

pub(crate) fn row_brier(positive: bool, p: f64) -> f64 {
    let difference = p - f64::from(u8::from(positive));
    difference * difference
}

pub(crate) fn binary_mean(data: &Binary, scores: &Scores, loss: impl Fn(bool, f64) -> f64) -> f64 {
    let rows = data.truth.iter().zip(&data.probability).enumerate();
    let sum: Sum = rows.map(|(row, (truth, p))| scores.weight(row) * loss(*truth, *p)).collect();
    sum.value() / scores.total_weight()
}

pub(crate) fn multiclass_log_loss(data: &Multiclass, scores: &Scores) -> f64 {
    let rows = data.truth.iter().zip(data.probabilities.chunks_exact(data.classes)).enumerate();
    let sum: Sum = rows.map(|(row, (truth, p))| scores.weight(row) * clipped_log(p[*truth as usize])).collect();
    sum.value() / scores.total_weight()
}

/// Expected calibration error: mean over [`ECE_BINS`] equal-width bins of |mean score − share of positives|, weighted by
/// the bins' weight.
///
/// # Errors
/// [`MetricError::Task`] unless the scores are binary.
pub fn expected_calibration_error(scores: &Scores) -> Result<f64, MetricError> {
    let super::Data::Binary(data) = scores.data() else {
        return Err(MetricError::Task { metric: super::Metric::Ece, task: scores.task() });
    };
    let mut differences = [Sum::default(); ECE_BINS];
    for (row, (truth, p)) in data.truth.iter().zip(&data.probability).enumerate() {
        // Bins are closed above, as in the paper: (0, 1/15], (1/15, 2/15], …; 0 joins the first.
        let bin = ((p * ECE_BINS as f64).ceil() as usize).saturating_sub(1).min(ECE_BINS - 1);
        differences[bin].add(scores.weight(row) * (p - f64::from(u8::from(*truth))));
    }
    let sum: Sum = differences.into_iter().map(|difference| difference.value().abs()).collect();
    Ok(sum.value() / scores.total_weight())
}
