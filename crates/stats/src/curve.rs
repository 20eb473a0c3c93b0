//! Curves of bounded size for reports: ROC, precision-recall, calibration, score histogram, residuals.

use serde::{Deserialize, Serialize};

use crate::metric::{Binary, Data, Metric, MetricError, Scores, weighted_quantile};

/// A point of a curve with the threshold that gives it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// False positive rate (ROC) or recall (precision-recall).
    pub x: f64,
    /// True positive rate (ROC) or precision (precision-recall).
    pub y: f64,
    /// Rows with at least this probability are predicted positive; none where no row is.
    pub threshold: Option<f64>,
}

/// Rows of similar score: what was promised and what came.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Lowest score.
    pub low: f64,
    /// Highest score.
    pub high: f64,
    /// Mean score.
    pub score: f64,
    /// Share of positives.
    pub positives: f64,
    /// Weight of the rows.
    pub weight: f64,
    /// Number of rows.
    pub rows: u64,
}

/// Weight of each class in one of equal intervals of the score.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct HistogramBin {
    /// Weight of the positive rows.
    pub positive: f64,
    /// Weight of the negative rows.
    pub negative: f64,
}

/// Rows of similar prediction: how far the truth lies from it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ResidualBin {
    /// Mean prediction.
    pub predicted: f64,
    /// Mean of truth minus prediction.
    pub mean: f64,
    /// 10 % quantile of truth minus prediction.
    pub low: f64,
    /// Median of truth minus prediction.
    pub median: f64,
    /// 90 % quantile of truth minus prediction.
    pub high: f64,
    /// Number of rows.
    pub rows: u64,
}

/// Weight of positives and negatives predicted positive at each distinct score, from the highest down.
struct Step {
    threshold: f64,
    tp: f64,
    fp: f64,
}

fn steps(scores: &Scores) -> Result<Vec<Step>, MetricError> {
    let (data, order) = by_score(scores)?;
    let (mut tp, mut fp) = (0.0, 0.0);
    let mut steps: Vec<Step> = Vec::new();
    for row in order.into_iter().rev() {
        let (weight, threshold) = (scores.weight(row), data.probability[row]);
        if data.truth[row] {
            tp += weight
        } else {
            fp += weight
        }
        match steps.last_mut() {
            Some(last) if last.threshold == threshold => (last.tp, last.fp) = (tp, fp),
            _ => steps.push(Step { threshold, tp, fp }),
        }
    }
    if tp > 0.0 && fp > 0.0 { Ok(steps) } else { Err(MetricError::OneClass) }
}

fn binary(scores: &Scores, metric: Metric) -> Result<&Binary, MetricError> {
    match scores.data() {
        Data::Binary(data) => Ok(data),
        _ => Err(MetricError::Task { metric, task: scores.task() }),
    }
}

/// Rows of positive weight in ascending order of probability.
fn by_score(scores: &Scores) -> Result<(&Binary, Vec<usize>), MetricError> {
    let data = binary(scores, Metric::RocAuc)?;
    let mut order: Vec<usize> = (0..scores.rows()).filter(|row| scores.weight(*row) > 0.0).collect();
    order.sort_by(|a, b| data.probability[*a].total_cmp(&data.probability[*b]));
    Ok((data, order))
}

/// The ROC curve from (0, 0) to (1, 1), thinned evenly along its length to at most `points` (at least 3).
///
/// # Errors
/// [`MetricError`] if the scores are not binary or hold one class.
pub fn roc_curve(scores: &Scores, points: usize) -> Result<Vec<CurvePoint>, MetricError> {
    let steps = steps(scores)?;
    let (positives, negatives) = steps.last().map_or((1.0, 1.0), |last| (last.tp, last.fp));
    let all = steps.iter().map(|step| CurvePoint {
        x: step.fp / negatives,
        y: step.tp / positives,
        threshold: Some(step.threshold),
    });
    // Both axes only rise, so the length along them is 2.
    let gap = 2.0 / (points.max(3) - 2) as f64;
    Ok(thin(CurvePoint { x: 0.0, y: 0.0, threshold: None }, all, |a, b| b.x - a.x + b.y - a.y >= gap))
}

/// The precision-recall curve by rising recall, thinned to at most `points` (at least 3).
///
/// # Errors
/// [`MetricError`] if the scores are not binary or hold one class.
pub fn precision_recall_curve(scores: &Scores, points: usize) -> Result<Vec<CurvePoint>, MetricError> {
    let steps = steps(scores)?;
    let positives = steps.last().map_or(1.0, |last| last.tp);
    let mut all = steps.iter().map(|step| CurvePoint {
        x: step.tp / positives,
        y: step.tp / (step.tp + step.fp),
        threshold: Some(step.threshold),
    });
    let gap = 1.0 / (points.max(3) - 2) as f64;
    let Some(first) = all.next() else { return Ok(Vec::new()) };
    Ok(thin(first, all, |a, b| b.x - a.x >= gap))
}

/// Keeps the first and the last point, and those far enough from the one kept before.
fn thin(
    first: CurvePoint,
    all: impl Iterator<Item = CurvePoint>,
    far: impl Fn(&CurvePoint, &CurvePoint) -> bool,
) -> Vec<CurvePoint> {
    let mut kept = vec![first];
    let mut last = first;
    let mut pending = None;
    for point in all {
        if far(&last, &point) {
            kept.push(point);
            last = point;
            pending = None;
        } else {
            pending = Some(point);
        }
    }
    kept.extend(pending);
    kept
}

/// Rows in order of a key, cut into at most `bins` runs of nearly equal numbers of rows; equal keys stay together.
fn equal_runs(order: &[usize], bins: usize, key: impl Fn(usize) -> f64) -> Vec<&[usize]> {
    let mut runs = Vec::new();
    let mut start = 0;
    for bin in 1..=bins.max(1) {
        let mut end = (order.len() * bin / bins.max(1)).max(start);
        while end > start && end < order.len() && key(order[end]) == key(order[end - 1]) {
            end += 1;
        }
        if end > start {
            runs.push(&order[start..end]);
            start = end;
        }
    }
    runs
}

/// Scores against outcomes in at most `bins` groups of nearly equal size.
///
/// # Errors
/// [`MetricError`] if the scores are not binary.
pub fn calibration_bins(scores: &Scores, bins: usize) -> Result<Vec<CalibrationBin>, MetricError> {
    let (data, order) = by_score(scores)?;
    let bin = |rows: &[usize]| {
        let weight: f64 = rows.iter().map(|row| scores.weight(*row)).sum();
        let mean = |value: &dyn Fn(usize) -> f64| {
            rows.iter().map(|row| scores.weight(*row) * value(*row)).sum::<f64>() / weight
        };
        CalibrationBin {
            low: rows.first().map_or(0.0, |row| data.probability[*row]),
            high: rows.last().map_or(0.0, |row| data.probability[*row]),
            score: mean(&|row| data.probability[row]),
            positives: mean(&|row| f64::from(u8::from(data.truth[row]))),
            weight,
            rows: rows.len() as u64,
        }
    };
    Ok(equal_runs(&order, bins, |row| data.probability[row]).into_iter().map(bin).collect())
}

/// Weight of each class in `bins` equal intervals of the score from 0 to 1.
///
/// # Errors
/// [`MetricError`] if the scores are not binary.
pub fn score_histogram(scores: &Scores, bins: usize) -> Result<Vec<HistogramBin>, MetricError> {
    let data = binary(scores, Metric::LogLoss)?;
    let bins = bins.max(1);
    let mut histogram = vec![HistogramBin::default(); bins];
    for (row, (truth, p)) in data.truth.iter().zip(&data.probability).enumerate() {
        let bin = &mut histogram[((p * bins as f64) as usize).min(bins - 1)];
        *(if *truth { &mut bin.positive } else { &mut bin.negative }) += scores.weight(row);
    }
    Ok(histogram)
}

/// Residuals in at most `bins` groups of similar prediction and nearly equal size.
///
/// # Errors
/// [`MetricError`] unless the scores are of a regression.
pub fn residual_bins(scores: &Scores, bins: usize) -> Result<Vec<ResidualBin>, MetricError> {
    let Data::Regression(data) = scores.data() else {
        return Err(MetricError::Task { metric: Metric::Rmse, task: scores.task() });
    };
    let mut order: Vec<usize> = (0..scores.rows()).filter(|row| scores.weight(*row) > 0.0).collect();
    order.sort_by(|a, b| data.predicted[*a].total_cmp(&data.predicted[*b]));
    let bin = |rows: &[usize]| {
        let weight: f64 = rows.iter().map(|row| scores.weight(*row)).sum();
        let mut residuals: Vec<(f64, f64)> =
            rows.iter().map(|row| (data.truth[*row] - data.predicted[*row], scores.weight(*row))).collect();
        let mean = residuals.iter().map(|(residual, w)| residual * w).sum::<f64>() / weight;
        residuals.sort_by(|a, b| a.0.total_cmp(&b.0));
        let quantile = |q: f64| weighted_quantile(residuals.iter().copied(), weight, q).unwrap_or(mean);
        ResidualBin {
            predicted: rows.iter().map(|row| data.predicted[*row] * scores.weight(*row)).sum::<f64>() / weight,
            mean,
            low: quantile(0.1),
            median: quantile(0.5),
            high: quantile(0.9),
            rows: rows.len() as u64,
        }
    };
    Ok(equal_runs(&order, bins, |row| data.predicted[row]).into_iter().map(bin).collect())
}
