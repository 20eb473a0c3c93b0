//! Platt and isotonic calibrators, kept only if they improve the log loss of rows they were not fitted on.

use serde::{Deserialize, Serialize};

use crate::interval::Units;
use crate::metric::{Binary, Data, Metric, MetricError, Point, Scores, Sum, fit_line, row_log_loss};
use crate::random::{generator, shuffle};
use crate::special::{logistic, logit};

/// Rows per class from which isotonic calibration is offered.
pub const ISOTONIC_ROWS_PER_CLASS: usize = 1_000;
const FOLDS: usize = 5;

/// A map from probability to calibrated probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Calibrator {
    /// `p' = logistic(slope × logit(p) + intercept)`.
    Platt {
        /// Slope on the logit scale.
        slope: f64,
        /// Intercept on the logit scale.
        intercept: f64,
    },
    /// Linear between the points, constant outside.
    Isotonic {
        /// Scores, ascending.
        x: Vec<f64>,
        /// Calibrated probabilities, never falling.
        y: Vec<f64>,
    },
}

/// Which calibrator to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationMethod {
    /// [`Calibrator::Platt`].
    Platt,
    /// [`Calibrator::Isotonic`].
    Isotonic,
}

/// What came of calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationChoice {
    /// The calibrator fitted on all rows; none if the scores are better left alone.
    pub calibrator: Option<Calibrator>,
    /// Log loss of the scores as they are.
    pub log_loss_before: f64,
    /// Out-of-fold log loss of each method tried.
    pub log_loss_after: Vec<(CalibrationMethod, f64)>,
    /// Why, in words.
    pub reason: String,
}

fn binary(scores: &Scores) -> Result<&Binary, MetricError> {
    match scores.data() {
        Data::Binary(data) => Ok(data),
        _ => Err(MetricError::Task { metric: Metric::CalibrationSlope, task: scores.task() }),
    }
}

impl Calibrator {
    /// The calibrated probability of `p`.
    pub fn apply(&self, p: f64) -> f64 {
        match self {
            Self::Platt { slope, intercept } => logistic(slope * logit(p) + intercept),
            Self::Isotonic { x, y } => interpolate(x, y, p),
        }
    }

    /// Fits `method` on all rows of positive weight.
    ///
    /// # Errors
    /// [`MetricError`] if the scores are not binary, hold one class, or are constant.
    pub fn fit(method: CalibrationMethod, scores: &Scores) -> Result<Self, MetricError> {
        let data = binary(scores)?;
        let rows: Vec<usize> = (0..scores.rows()).collect();
        fit_rows(method, data, scores, &rows)
    }
}

fn fit_rows(
    method: CalibrationMethod,
    data: &Binary,
    scores: &Scores,
    rows: &[usize],
) -> Result<Calibrator, MetricError> {
    let rows: Vec<usize> = rows.iter().copied().filter(|row| scores.weight(*row) > 0.0).collect();
    let weight_of = |class: bool| -> f64 {
        rows.iter().filter(|row| data.truth[**row] == class).map(|row| scores.weight(*row)).collect::<Sum>().value()
    };
    let (positives, negatives) = (weight_of(true), weight_of(false));
    if positives == 0.0 || negatives == 0.0 {
        return Err(MetricError::OneClass);
    }
    match method {
        CalibrationMethod::Platt => {
            // Platt (1999), §2.2: targets held off 0 and 1, so that separated classes still have a finite fit.
            let (high, low) = ((positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0));
            let point = |row: &usize| Point {
                x: logit(data.probability[*row]),
                target: if data.truth[*row] { high } else { low },
                weight: scores.weight(*row),
            };
            let points: Vec<Point> = rows.iter().map(point).collect();
            fit_line(&points).map(|line| Calibrator::Platt { slope: line.slope, intercept: line.intercept })
        }
        CalibrationMethod::Isotonic => {
            let point =
                |row: &usize| (data.probability[*row], f64::from(u8::from(data.truth[*row])), scores.weight(*row));
            let (x, y) = isotonic(rows.iter().map(point).collect());
            Ok(Calibrator::Isotonic { x, y })
        }
    }
}

/// Weighted isotonic regression by pooling adjacent violators; equal scores are averaged first. Points inside a flat
/// stretch are left out, as they change nothing.
fn isotonic(mut points: Vec<(f64, f64, f64)>) -> (Vec<f64>, Vec<f64>) {
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    /// Rows pooled to one value: first and last score, sum of weight × outcome, weight.
    struct Block(f64, f64, f64, f64);
    let mut blocks: Vec<Block> = Vec::new();
    let mut scores: Vec<Block> = Vec::new();
    for (x, y, weight) in points {
        match scores.last_mut() {
            Some(last) if last.0 == x => {
                last.2 += weight * y;
                last.3 += weight;
            }
            _ => scores.push(Block(x, x, weight * y, weight)),
        }
    }
    for mut block in scores {
        while let Some(last) = blocks.pop_if(|last| last.2 * block.3 >= block.2 * last.3) {
            block = Block(last.0, block.1, last.2 + block.2, last.3 + block.3);
        }
        blocks.push(block);
    }
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for Block(first, last, sum, weight) in blocks {
        let value = (sum / weight).clamp(0.0, 1.0);
        x.push(first);
        y.push(value);
        if last > first {
            x.push(last);
            y.push(value);
        }
    }
    (x, y)
}

fn interpolate(x: &[f64], y: &[f64], p: f64) -> f64 {
    let after = x.partition_point(|x| *x <= p);
    match (after.checked_sub(1), after) {
        (None, _) => y.first().copied().unwrap_or(p),
        (Some(before), after) if after >= x.len() => y[before],
        (Some(before), after) => {
            let share = (p - x[before]) / (x[after] - x[before]);
            y[before] + share * (y[after] - y[before])
        }
    }
}

/// Tries the methods on `scores` (of validation or out-of-fold rows, never of test rows) and keeps the better one if it
/// improves the log loss on rows it was not fitted on.
///
/// Units, not rows, are dealt to five folds, so that a calibrator is never judged on rows that depend on those it was
/// fitted on. Isotonic calibration is tried from [`ISOTONIC_ROWS_PER_CLASS`] rows per class.
///
/// # Errors
/// [`MetricError`] if the scores are not binary, hold one class or units do not fit the rows.
pub fn choose_calibrator(scores: &Scores, units: &Units, seed: u64) -> Result<CalibrationChoice, MetricError> {
    let data = binary(scores)?;
    if units.len() != scores.rows() {
        return Err(MetricError::Length { what: "the column of units", found: units.len(), expected: scores.rows() });
    }
    let before = Metric::LogLoss.compute(scores)?;
    let rows_of = |class: bool| {
        data.truth.iter().enumerate().filter(|(row, truth)| **truth == class && scores.weight(*row) > 0.0).count()
    };
    let rarer = rows_of(true).min(rows_of(false));
    if rarer == 0 {
        return Err(MetricError::OneClass);
    }
    let mut methods = vec![CalibrationMethod::Platt];
    if rarer >= ISOTONIC_ROWS_PER_CLASS {
        methods.push(CalibrationMethod::Isotonic);
    }
    let folds = deal(units, seed);
    let mut after = Vec::new();
    for method in methods {
        match out_of_fold(method, data, scores, units, &folds) {
            Ok(loss) => after.push((method, loss)),
            // A fold of one class or of one score has no fit: such a method is not offered.
            Err(MetricError::OneClass | MetricError::ConstantScore | MetricError::Separated) => {}
            Err(error) => return Err(error),
        }
    }
    let best = after.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
    let (calibrator, reason) = match best {
        Some((method, loss)) if loss < before => {
            let name = if method == CalibrationMethod::Platt { "Platt" } else { "isotonic" };
            let reason = format!("{name} calibration lowers the out-of-fold log loss from {before:.5} to {loss:.5}");
            (Some(Calibrator::fit(method, scores)?), reason)
        }
        Some((_, loss)) => {
            (None, format!("no calibration: the out-of-fold log loss would go from {before:.5} to {loss:.5}"))
        }
        None => (None, "no calibration: the rows are too few or too uniform to fit one out of fold".into()),
    };
    Ok(CalibrationChoice { calibrator, log_loss_before: before, log_loss_after: after, reason })
}

/// Fold of every unit.
fn deal(units: &Units, seed: u64) -> Vec<usize> {
    let mut folds: Vec<usize> = (0..units.count()).map(|unit| unit % FOLDS).collect();
    shuffle(&mut generator(seed, "calibration folds", 0), &mut folds);
    folds
}

fn out_of_fold(
    method: CalibrationMethod,
    data: &Binary,
    scores: &Scores,
    units: &Units,
    folds: &[usize],
) -> Result<f64, MetricError> {
    let fold_of = |row: usize| folds[units.of_rows()[row] as usize];
    let mut loss = Sum::default();
    for fold in 0..FOLDS {
        let (inside, outside): (Vec<usize>, Vec<usize>) = (0..scores.rows()).partition(|row| fold_of(*row) != fold);
        if outside.is_empty() {
            continue;
        }
        let calibrator = fit_rows(method, data, scores, &inside)?;
        for row in outside {
            loss.add(scores.weight(row) * row_log_loss(data.truth[row], calibrator.apply(data.probability[row])));
        }
    }
    Ok(loss.value() / scores.total_weight())
}
