//! A model's metrics on every resample.

use gristmill_types::Digest;
use rayon::prelude::*;

use super::plan::Plan;
use super::{Estimate, Estimates, IntervalError, MIN_DEFINED, Resampling, Units, percentile_interval};
use crate::metric::{Metric, MetricError, MetricValue, Scores, Sum, evaluate};
use crate::random::{below, generator};

/// Stream of resamples of units; models compared on the same rows share it.
const UNITS: &str = "bootstrap units";
/// Stream of resamples of rows, for the design effect.
const ROWS: &str = "bootstrap rows";
/// Resamples of rows at most: a variance from 400 is within 7 % (one standard error), enough for a design effect.
const ROW_REPLICATES: u32 = 400;

/// Metrics of one model on all rows and on every resample of the units.
#[derive(Debug, Clone)]
pub struct Replicates {
    metrics: Vec<Metric>,
    point: Vec<Result<f64, MetricError>>,
    /// One row per resample, one entry per metric; NaN where not defined. Empty with too few units.
    values: Vec<Vec<f64>>,
    /// Variance of each metric with rows resampled; empty when the unit is the row or there are too few units.
    row_variance: Vec<Option<f64>>,
    rows: usize,
    units: usize,
    unit_is_row: bool,
    resampling: Resampling,
    grouping: Digest,
}

impl Replicates {
    /// Measures every metric of the scores' task.
    ///
    /// The resamples depend on the units, the seed and their number alone: not on the scores, the number of threads or
    /// the order of work.
    ///
    /// # Errors
    /// [`IntervalError`] if units and rows do not fit or the resampling is out of range.
    pub fn of(scores: &Scores, units: &Units, resampling: Resampling) -> Result<Self, IntervalError> {
        let metrics: Vec<Metric> = Metric::of(scores.task()).collect();
        Self::of_metrics(scores, units, resampling, &metrics)
    }

    /// Measures only `metrics` (those of another task are left out).
    ///
    /// # Errors
    /// As [`Replicates::of`].
    pub fn of_metrics(
        scores: &Scores,
        units: &Units,
        resampling: Resampling,
        metrics: &[Metric],
    ) -> Result<Self, IntervalError> {
        resampling.check()?;
        if units.len() != scores.rows() {
            return Err(IntervalError::Length { units: units.len(), rows: scores.rows() });
        }
        let all = evaluate(scores.task(), scores)?.into_iter().filter(|value| metrics.contains(&value.metric));
        let (metrics, point): (Vec<_>, Vec<_>) = all.map(|MetricValue { metric, value }| (metric, value)).unzip();
        let mut made = Self {
            metrics,
            point,
            values: Vec::new(),
            row_variance: Vec::new(),
            rows: scores.rows(),
            units: units.count(),
            unit_is_row: units.is_row(),
            resampling,
            grouping: units.digest(),
        };
        if made.enough_units() {
            made.values = made.resample(scores, units, UNITS, resampling.replicates);
            if !made.unit_is_row {
                let every_row = Units::rows(scores.rows());
                let by_row = made.resample(scores, &every_row, ROWS, resampling.replicates.min(ROW_REPLICATES));
                made.row_variance = (0..made.metrics.len()).map(|metric| variance(&column(&by_row, metric))).collect();
            }
        }
        Ok(made)
    }

    /// Whether there are units enough for intervals.
    pub const fn enough_units(&self) -> bool {
        self.units >= self.resampling.min_units
    }

    /// Number of units.
    pub const fn units(&self) -> usize {
        self.units
    }

    fn resample(&self, scores: &Scores, units: &Units, stream: &str, replicates: u32) -> Vec<Vec<f64>> {
        let plan = Plan::new(scores, units.of_rows(), units.count(), &self.metrics);
        let draw = |times: &mut Vec<f64>, replicate: u32| {
            times.fill(0.0);
            let mut generator = generator(self.resampling.seed, stream, u64::from(replicate));
            for _ in 0..units.count() {
                times[below(&mut generator, units.count() as u64) as usize] += 1.0;
            }
            plan.measure(times, &self.metrics)
        };
        (0..replicates).into_par_iter().map_init(|| vec![0.0; units.count()], draw).collect()
    }

    /// The metric's value on all rows.
    pub(crate) fn point(&self, metric: Metric) -> Option<&Result<f64, MetricError>> {
        self.place(metric).map(|place| &self.point[place])
    }

    fn place(&self, metric: Metric) -> Option<usize> {
        self.metrics.iter().position(|known| *known == metric)
    }

    /// The metric's value on each resample, NaN where it is not defined.
    pub(crate) fn values(&self, metric: Metric) -> Option<Vec<f64>> {
        self.place(metric).map(|place| self.values.iter().map(|row| row[place]).collect())
    }

    pub(crate) fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    pub(crate) const fn resampling(&self) -> &Resampling {
        &self.resampling
    }

    /// Whether `other` was measured on the same resamples.
    pub(crate) fn paired_with(&self, other: &Self) -> bool {
        self.grouping == other.grouping && self.resampling == other.resampling && self.rows == other.rows
    }

    /// Values, intervals, standard errors and design effects.
    pub fn estimates(&self) -> Estimates {
        Estimates {
            rows: self.rows as u64,
            units: self.units as u64,
            unit_is_row: self.unit_is_row,
            enough_units: self.enough_units(),
            resampling: self.resampling,
            metrics: (0..self.metrics.len()).map(|place| self.estimate(place)).collect(),
        }
    }

    fn estimate(&self, place: usize) -> Estimate {
        let metric = self.metrics[place];
        let mut estimate = Estimate {
            metric,
            value: self.point[place].as_ref().ok().copied(),
            interval: None,
            standard_error: None,
            design_effect: None,
            undefined_replicates: 0,
            reason: self.point[place].as_ref().err().map(ToString::to_string),
        };
        if estimate.value.is_none() || metric == Metric::Ece {
            return estimate;
        }
        if !self.enough_units() {
            let least = self.resampling.min_units;
            estimate.reason = Some(format!("{} units are too few for an interval: {least} are needed", self.units));
            return estimate;
        }
        let values = column(&self.values, place);
        let total = self.values.len();
        estimate.undefined_replicates = (total - values.len()) as u32;
        if (values.len() as f64) < MIN_DEFINED * total as f64 {
            let undefined = estimate.undefined_replicates;
            estimate.reason = Some(format!("not defined in {undefined} of {total} resamples, so there is no interval"));
            return estimate;
        }
        estimate.interval = percentile_interval(&values, self.resampling.confidence);
        let clustered = variance(&values);
        estimate.standard_error = clustered.map(f64::sqrt);
        let by_row = self.row_variance.get(place).copied().flatten().filter(|variance| *variance > 0.0);
        estimate.design_effect = clustered.zip(by_row).map(|(clustered, by_row)| clustered / by_row);
        estimate
    }
}

/// Defined values of one metric, ascending.
fn column(values: &[Vec<f64>], place: usize) -> Vec<f64> {
    let mut column: Vec<f64> = values.iter().map(|row| row[place]).filter(|value| !value.is_nan()).collect();
    column.sort_by(f64::total_cmp);
    column
}

/// Sample variance; none of fewer than two values.
fn variance(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().copied().collect::<Sum>().value() / values.len() as f64;
    let squares: Sum = values.iter().map(|value| (value - mean) * (value - mean)).collect();
    Some(squares.value() / (values.len() - 1) as f64)
}
