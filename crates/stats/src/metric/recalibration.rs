//! Logistic recalibration: the outcome regressed on the logit of the score (Cox, 1958).

use super::scores::Binary;
use super::{MetricError, Scores, Sum};
use crate::special::{logistic, logit};

const ITERATIONS: u32 = 100;
/// Newton's steps double the digits: a step below this leaves an error of about its square.
const SMALL_STEP: f64 = 1e-9;
/// Beyond this slope the classes are separated for every practical purpose.
const STEEPEST: f64 = 1e4;

/// `p' = logistic(slope × logit(p) + intercept)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogisticFit {
    /// Slope on the logit scale.
    pub slope: f64,
    /// Intercept on the logit scale.
    pub intercept: f64,
}

/// Rows of a logistic fit: `x` and the aimed probability, with a weight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) target: f64,
    pub(crate) weight: f64,
}

/// Negative log likelihood of one row at the linear score `eta`, without overflow.
fn loss(target: f64, eta: f64) -> f64 {
    let softplus = if eta > 0.0 { eta + libm::log1p(libm::exp(-eta)) } else { libm::log1p(libm::exp(eta)) };
    softplus - target * eta
}

/// Fits intercept and slope by Newton's method with step halving.
pub(crate) fn fit_line(points: &[Point]) -> Result<LogisticFit, MetricError> {
    let weighted = |value: &dyn Fn(&Point) -> f64| points.iter().map(|p| p.weight * value(p)).collect::<Sum>().value();
    let total = weighted(&|_| 1.0);
    // Centred, so that the two by two system stays well conditioned.
    let centre = weighted(&|p| p.x) / total;
    let spread = (weighted(&|p| (p.x - centre) * (p.x - centre)) / total).sqrt();
    if spread.is_nan() || spread <= 1e-12 * (1.0 + centre.abs()) {
        return Err(MetricError::ConstantScore);
    }
    let rate = weighted(&|p| p.target) / total;
    let (mut a, mut b) = (logit(rate), 0.0);
    let objective = |a: f64, b: f64| weighted(&|p| loss(p.target, a + b * (p.x - centre) / spread));
    let mut now = objective(a, b);
    for _ in 0..ITERATIONS {
        let mut sums = [Sum::default(); 5];
        for point in points {
            let x = (point.x - centre) / spread;
            let p = logistic(a + b * x);
            let (residual, curvature) = (point.weight * (point.target - p), point.weight * p * (1.0 - p));
            for (sum, term) in
                sums.iter_mut().zip([residual, residual * x, curvature, curvature * x, curvature * x * x])
            {
                sum.add(term);
            }
        }
        let [g0, g1, h00, h01, h11] = sums.map(Sum::value);
        let determinant = h00 * h11 - h01 * h01;
        if determinant.is_nan() || determinant <= 0.0 {
            return Err(MetricError::Separated);
        }
        let (step_a, step_b) = ((h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant);
        let mut scale = 1.0;
        let mut next = objective(a + step_a, b + step_b);
        while (next.is_nan() || next > now + now.abs() * 1e-14) && scale > 1e-6 {
            scale *= 0.5;
            next = objective(a + scale * step_a, b + scale * step_b);
        }
        a += scale * step_a;
        b += scale * step_b;
        now = next;
        if b.is_nan() || b.abs() / spread >= STEEPEST {
            return Err(MetricError::Separated);
        }
        if step_a.abs().max(step_b.abs()) < SMALL_STEP * (1.0 + a.abs() + b.abs()) {
            return Ok(LogisticFit { slope: b / spread, intercept: a - b * centre / spread });
        }
    }
    Err(MetricError::Separated)
}

fn points(data: &Binary, scores: &Scores) -> Result<Vec<Point>, MetricError> {
    let points: Vec<Point> = data
        .truth
        .iter()
        .zip(&data.probability)
        .enumerate()
        .map(|(row, (truth, p))| Point {
            x: logit(*p),
            target: f64::from(u8::from(*truth)),
            weight: scores.weight(row),
        })
        .filter(|point| point.weight > 0.0)
        .collect();
    let positive = |point: &Point| point.target > 0.5;
    if points.iter().all(positive) || !points.iter().any(positive) {
        return Err(MetricError::OneClass);
    }
    Ok(points)
}

/// Whether the highest score of one class is below the lowest of the other, on either side.
fn separated(points: &[Point]) -> bool {
    let bounds = |class: f64| {
        points
            .iter()
            .filter(|p| p.target == class)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p.x), high.max(p.x)))
    };
    let (negative, positive) = (bounds(0.0), bounds(1.0));
    negative.1 <= positive.0 || positive.1 <= negative.0
}

/// Intercept and slope of the outcome on the logit of the score.
///
/// # Errors
/// [`MetricError`] if the scores are not binary, hold one class, are constant, or separate the classes.
pub fn calibration_line(scores: &Scores) -> Result<LogisticFit, MetricError> {
    let super::Data::Binary(data) = scores.data() else {
        return Err(MetricError::Task { metric: super::Metric::CalibrationSlope, task: scores.task() });
    };
    let points = points(data, scores)?;
    let first = points.first().map_or(0.0, |p| p.x);
    if points.iter().all(|p| p.x == first) {
        return Err(MetricError::ConstantScore);
    }
    if separated(&points) {
        return Err(MetricError::Separated);
    }
    fit_line(&points)
}

/// The shift on the logit scale that makes the sum of scores equal the number of positives (slope held at 1).
///
/// # Errors
/// [`MetricError`] if the scores are not binary or hold one class.
pub fn calibration_intercept(scores: &Scores) -> Result<f64, MetricError> {
    let super::Data::Binary(data) = scores.data() else {
        return Err(MetricError::Task { metric: super::Metric::CalibrationIntercept, task: scores.task() });
    };
    let points = points(data, scores)?;
    let weighted = |value: &dyn Fn(&Point) -> f64| points.iter().map(|p| p.weight * value(p)).collect::<Sum>().value();
    // The gradient falls in the shift, so a bracket always closes: bisection guards Newton.
    let (mut low, mut high) = (-80.0, 80.0);
    let mut shift = 0.0;
    for _ in 0..ITERATIONS {
        let gradient = weighted(&|p| p.target - logistic(p.x + shift));
        let curvature = weighted(&|p| {
            let q = logistic(p.x + shift);
            q * (1.0 - q)
        });
        if gradient > 0.0 {
            low = shift;
        } else {
            high = shift;
        }
        let newton = shift + gradient / curvature;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        let step = (next - shift).abs();
        shift = next;
        if step < SMALL_STEP * (1.0 + shift.abs()) {
            break;
        }
    }
    Ok(shift)
}
