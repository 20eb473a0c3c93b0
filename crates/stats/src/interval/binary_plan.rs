//! Resampled metrics of a binary task.

use super::plan::{ByUnit, UnitSums};
use crate::metric::{
    Binary, Confusion, Metric, Point, Ranking, Scores, calibration_intercept, calibration_line, fit_line, row_brier,
    row_log_loss,
};
use crate::special::logit;

/// On standardised logits Newton's error is about the square of its last step: far below a resample's own noise.
const SMALL_STEP: f64 = 1e-5;
const ITERATIONS: u32 = 25;
/// A shift on the logit scale beyond this is separation, not calibration.
const FARTHEST: f64 = 50.0;

#[derive(Debug)]
pub(crate) struct BinaryPlan {
    ranking: Option<Ranking>,
    /// Negatives predicted negative, negatives predicted positive, positives predicted negative, positives predicted
    /// positive, log loss, Brier.
    sums: UnitSums<6>,
    line: Option<LinePlan>,
    shift: Option<ShiftPlan>,
}

impl BinaryPlan {
    pub(crate) fn new(data: &Binary, scores: &Scores, unit: &[u32], units: usize, metrics: &[Metric]) -> Self {
        let wants = |metric: Metric| metrics.contains(&metric);
        let by_unit = ByUnit::new(unit, units, scores);
        let ranking = (wants(Metric::RocAuc) || wants(Metric::AveragePrecision))
            .then(|| Ranking::new(&data.probability, |row| (unit[row], data.truth[row], scores.weight(row))));
        let sums = UnitSums::new(&by_unit, |row| {
            let (weight, truth, p) = (scores.weight(row), data.truth[row], data.probability[row]);
            let mut terms = [0.0; 6];
            terms[2 * usize::from(truth) + usize::from(p >= data.threshold)] = weight;
            terms[4] = weight * row_log_loss(truth, p);
            terms[5] = weight * row_brier(truth, p);
            terms
        });
        let rows = || Rows::new(data, scores, &by_unit);
        let line = if wants(Metric::CalibrationSlope) { LinePlan::new(rows(), scores, &by_unit) } else { None };
        let shift = if wants(Metric::CalibrationIntercept) { ShiftPlan::new(rows(), scores, &by_unit) } else { None };
        Self { ranking, sums, line, shift }
    }

    pub(crate) fn measure(&self, times: &[f64], metrics: &[Metric]) -> Vec<f64> {
        let [tn, fp, fn_, tp, log_loss, brier] = self.sums.total(times);
        let weight = tn + fp + fn_ + tp;
        let confusion = Confusion::from_cells(2, vec![tn, fp, fn_, tp]);
        let areas = self.ranking.as_ref().and_then(|ranking| ranking.areas(|unit| times[unit as usize]));
        let both = tp + fn_ > 0.0 && tn + fp > 0.0;
        let value = |metric: &Metric| match metric {
            Metric::LogLoss => Some(log_loss / weight),
            Metric::Brier => Some(brier / weight),
            Metric::RocAuc => areas.map(|areas| areas.roc_auc),
            Metric::AveragePrecision => areas.map(|areas| areas.average_precision),
            Metric::CalibrationSlope => self.line.as_ref().filter(|_| both).and_then(|plan| plan.slope(times)),
            Metric::CalibrationIntercept => self.shift.as_ref().filter(|_| both).and_then(|plan| plan.shift(times)),
            Metric::Ece => None,
            other => other.of_confusion(&confusion).and_then(Result::ok),
        };
        metrics.iter().map(|metric| value(metric).unwrap_or(f64::NAN)).collect()
    }
}

/// Logit, outcome and weight of the rows, unit after unit.
#[derive(Debug)]
struct Rows {
    rows: Vec<Row>,
    starts: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    x: f64,
    outcome: f64,
    weight: f64,
}

impl Rows {
    fn new(data: &Binary, scores: &Scores, by_unit: &ByUnit) -> Self {
        let row = |row: &u32| {
            let row = *row as usize;
            let outcome = f64::from(u8::from(data.truth[row]));
            Row { x: logit(data.probability[row]), outcome, weight: scores.weight(row) }
        };
        Self { rows: by_unit.rows.iter().map(row).collect(), starts: by_unit.starts.clone() }
    }

    /// Adds `term` over all rows whose unit is counted at all, each times its unit's count.
    fn fold<const N: usize>(&self, times: &[f64], term: impl Fn(&Row) -> [f64; N]) -> [f64; N] {
        let mut totals = [0.0; N];
        for (bounds, times) in self.starts.windows(2).zip(times) {
            if *times == 0.0 {
                continue;
            }
            let mut sums = [0.0; N];
            for row in &self.rows[bounds[0] as usize..bounds[1] as usize] {
                for (sum, term) in sums.iter_mut().zip(term(row)) {
                    *sum += term;
                }
            }
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total += times * sum;
            }
        }
        totals
    }
}

/// Slope of the outcome on the logit: Newton's method from the solution on all rows. Where it starts follows from sums
/// per unit (a Taylor expansion of the gradient about that solution), the steps pass over the rows.
#[derive(Debug)]
struct LinePlan {
    rows: Rows,
    start: (f64, f64),
    scale: f64,
    first: UnitSums<5>,
    /// Terms of second and third order; left out with nearly as many units as rows, where a resample moves little.
    further: Option<UnitSums<9>>,
}

/// Sums of w·c'·x^k for k to 3 and of w·c''·x^k for k to 4, where c = p(1 − p) is the curvature.
fn further_terms(row: &Row, a: f64, b: f64) -> [f64; 9] {
    let (p, x) = (1.0 / (1.0 + libm::exp(-(a + b * row.x))), row.x);
    let curvature = row.weight * p * (1.0 - p);
    let (second, third) = (curvature * (1.0 - 2.0 * p), curvature * (1.0 - 6.0 * p * (1.0 - p)));
    let (x2, x3) = (x * x, x * x * x);
    [second, second * x, second * x2, second * x3, third, third * x, third * x2, third * x3, third * x2 * x2]
}

/// Gradient and curvature at distance (u, v), from their sums and those of the further terms at distance 0.
fn expand([g0, g1, h00, h01, h11]: [f64; 5], t: &[f64; 9], (u, v): (f64, f64)) -> [f64; 5] {
    let square = |k: usize| 0.5 * (t[k] * u * u + 2.0 * t[k + 1] * u * v + t[k + 2] * v * v);
    let cube = |k: usize| {
        (t[k] * u * u * u + 3.0 * t[k + 1] * u * u * v + 3.0 * t[k + 2] * u * v * v + t[k + 3] * v * v * v) / 6.0
    };
    let tilt =
        |k: usize| t[k] * u + t[k + 1] * v + 0.5 * (t[k + 4] * u * u + 2.0 * t[k + 5] * u * v + t[k + 6] * v * v);
    [
        g0 - (h00 * u + h01 * v) - square(0) - cube(4),
        g1 - (h01 * u + h11 * v) - square(1) - cube(5),
        h00 + tilt(0),
        h01 + tilt(1),
        h11 + tilt(2),
    ]
}

fn line_terms(row: &Row, a: f64, b: f64) -> [f64; 5] {
    let p = 1.0 / (1.0 + libm::exp(-(a + b * row.x)));
    let (residual, curvature) = (row.weight * (row.outcome - p), row.weight * p * (1.0 - p));
    let tilted = curvature * row.x;
    [residual, residual * row.x, curvature, tilted, tilted * row.x]
}

fn line_step([g0, g1, h00, h01, h11]: [f64; 5]) -> Option<(f64, f64)> {
    let determinant = h00 * h11 - h01 * h01;
    let step = ((h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant);
    (determinant > 1e-12 * h00 * h11 && step.0.is_finite() && step.1.is_finite()).then_some(step)
}

impl LinePlan {
    fn new(mut rows: Rows, scores: &Scores, by_unit: &ByUnit) -> Option<Self> {
        let line = calibration_line(scores).ok()?;
        // Centred and scaled: the two unknowns are then nearly independent.
        let weight: f64 = rows.rows.iter().map(|row| row.weight).sum();
        let centre = rows.rows.iter().map(|row| row.weight * row.x).sum::<f64>() / weight;
        let variance =
            rows.rows.iter().map(|row| row.weight * (row.x - centre) * (row.x - centre)).sum::<f64>() / weight;
        let scale = variance.sqrt();
        for row in &mut rows.rows {
            row.x = (row.x - centre) / scale;
        }
        let start = (line.intercept + line.slope * centre, line.slope * scale);
        let place_of = inverse(by_unit);
        let at = |row: usize| &rows.rows[place_of[row] as usize];
        let first = UnitSums::new(by_unit, |row| line_terms(at(row), start.0, start.1));
        let few = by_unit.starts.len() <= rows.rows.len() / 4;
        let further = few.then(|| UnitSums::new(by_unit, |row| further_terms(at(row), start.0, start.1)));
        Some(Self { rows, start, scale, first, further })
    }

    fn slope(&self, times: &[f64]) -> Option<f64> {
        self.newton(times).or_else(|| self.damped(times))
    }

    fn newton(&self, times: &[f64]) -> Option<f64> {
        let near = self.first.total(times);
        let mut moved = line_step(near)?;
        if let Some(further) = self.further.as_ref().map(|sums| sums.total(times)) {
            for _ in 0..2 {
                let step = line_step(expand(near, &further, moved))?;
                moved = (moved.0 + step.0, moved.1 + step.1);
            }
        }
        let (mut a, mut b) = (self.start.0 + moved.0, self.start.1 + moved.1);
        for _ in 0..ITERATIONS {
            let step = line_step(self.rows.fold(times, |row| line_terms(row, a, b)))?;
            a += step.0;
            b += step.1;
            if !(a.abs() < FARTHEST && b.abs() < FARTHEST) {
                return None;
            }
            if step.0.abs().max(step.1.abs()) < SMALL_STEP {
                return Some(b / self.scale);
            }
        }
        None
    }

    /// The slow way, for resamples from which plain steps run away (scores of exactly 0 or 1 weigh heavily).
    fn damped(&self, times: &[f64]) -> Option<f64> {
        let mut points = Vec::new();
        for (bounds, times) in self.rows.starts.windows(2).zip(times) {
            if *times != 0.0 {
                let rows = &self.rows.rows[bounds[0] as usize..bounds[1] as usize];
                points.extend(rows.iter().map(|row| Point {
                    x: row.x,
                    target: row.outcome,
                    weight: row.weight * times,
                }));
            }
        }
        fit_line(&points).ok().map(|line| line.slope / self.scale)
    }
}

/// The shift that makes the mean score right. `e^-x` of every row is kept, so no step needs an exponential per row.
#[derive(Debug)]
struct ShiftPlan {
    /// `x` holds `e^-logit`.
    rows: Rows,
    start: f64,
    first: UnitSums<2>,
}

fn shift_terms(row: &Row, factor: f64) -> [f64; 2] {
    let p = 1.0 / (1.0 + factor * row.x);
    [row.weight * (row.outcome - p), row.weight * p * (1.0 - p)]
}

impl ShiftPlan {
    fn new(mut rows: Rows, scores: &Scores, by_unit: &ByUnit) -> Option<Self> {
        let start = calibration_intercept(scores).ok()?;
        for row in &mut rows.rows {
            row.x = libm::exp(-row.x);
        }
        let place_of = inverse(by_unit);
        let factor = libm::exp(-start);
        let first = UnitSums::new(by_unit, |row| shift_terms(&rows.rows[place_of[row] as usize], factor));
        Some(Self { rows, start, first })
    }

    fn shift(&self, times: &[f64]) -> Option<f64> {
        let [gradient, curvature] = self.first.total(times);
        let mut shift = self.start + gradient / curvature;
        // The gradient falls in the shift, so what was tried brackets the root and guards Newton's steps.
        let (mut low, mut high) = (-FARTHEST, FARTHEST);
        for _ in 0..4 * ITERATIONS {
            if !(shift > low && shift < high) {
                shift = 0.5 * (low + high);
            }
            let factor = libm::exp(-shift);
            let [gradient, curvature] = self.rows.fold(times, |row| shift_terms(row, factor));
            *if gradient > 0.0 { &mut low } else { &mut high } = shift;
            let step = gradient / curvature;
            shift += step;
            if step.abs() < SMALL_STEP || high - low < SMALL_STEP {
                return Some(shift);
            }
        }
        None
    }
}

/// Place of every row in the order by unit.
fn inverse(by_unit: &ByUnit) -> Vec<u32> {
    let rows = by_unit.rows.iter().max().map_or(0, |row| *row as usize + 1);
    let mut place_of = vec![0; rows];
    for (place, row) in by_unit.rows.iter().enumerate() {
        place_of[*row as usize] = place as u32;
    }
    place_of
}
