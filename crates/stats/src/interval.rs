//! Bootstrap intervals over units of dependence: rows of one unit (a day, a customer) are drawn together.

mod binary_plan;
mod multiclass_plan;
mod plan;
mod regression_plan;
mod replicates;
mod units;

use serde::{Deserialize, Serialize};

pub use replicates::Replicates;
pub use units::Units;

use crate::metric::{Metric, MetricError};

/// Below this number of units an interval says nothing, and a gate answers "not enough data".
pub const MIN_UNITS: usize = 30;
/// Share of replicates in which a metric must be defined for its interval to be shown.
const MIN_DEFINED: f64 = 0.95;

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Resampling {
    /// Number of resamples.
    pub replicates: u32,
    /// Probability that the two-sided interval covers the true value.
    pub confidence: f64,
    /// Root of every random number.
    pub seed: u64,
    /// Units below which there is no interval.
    pub min_units: usize,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { replicates: 1_000, confidence: 0.95, seed: 0, min_units: MIN_UNITS }
    }
}

impl Resampling {
    fn check(&self) -> Result<(), IntervalError> {
        if !(20..=100_000).contains(&self.replicates) {
            return Err(IntervalError::Replicates(self.replicates));
        }
        if !(self.confidence > 0.5 && self.confidence < 1.0) {
            return Err(IntervalError::Confidence(self.confidence));
        }
        Ok(())
    }
}

/// A two-sided interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A metric with its uncertainty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The metric.
    pub metric: Metric,
    /// Its value on all rows; none if it is not defined there.
    pub value: Option<f64>,
    /// Percentile interval over resampled units; none with too few units or where resamples leave the metric undefined.
    pub interval: Option<Interval>,
    /// Standard deviation over the resamples.
    pub standard_error: Option<f64>,
    /// Variance with units resampled over the variance with rows resampled; none when the unit is the row.
    pub design_effect: Option<f64>,
    /// Resamples in which the metric was not defined.
    pub undefined_replicates: u32,
    /// Why there is no value or no interval.
    pub reason: Option<String>,
}

/// Every metric of a task with its uncertainty, and what that rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimates {
    /// Rows measured on.
    pub rows: u64,
    /// Units of dependence among them.
    pub units: u64,
    /// Whether every row is a unit of its own.
    pub unit_is_row: bool,
    /// Whether there are units enough for intervals.
    pub enough_units: bool,
    /// How it was resampled.
    pub resampling: Resampling,
    /// The metrics, in the order of reports.
    pub metrics: Vec<Estimate>,
}

impl Estimates {
    /// The estimate of `metric`, if it was asked for.
    pub fn get(&self, metric: Metric) -> Option<&Estimate> {
        self.metrics.iter().find(|estimate| estimate.metric == metric)
    }
}

/// Why there are no intervals.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IntervalError {
    /// One unit per row is needed.
    #[error("there are units for {units} rows, but {rows} rows")]
    Length {
        /// Rows that have a unit.
        units: usize,
        /// Rows of the scores.
        rows: usize,
    },
    /// The number of replicates is out of range.
    #[error("{0} replicates are not possible: choose 20 to 100000")]
    Replicates(u32),
    /// The confidence is out of range.
    #[error("a confidence of {0} is not possible: choose a number above 0.5 and below 1, such as 0.95")]
    Confidence(f64),
    /// Two sets of replicates do not come from the same resamples.
    #[error("the two models were not measured on the same rows and resamples, so they cannot be compared")]
    Unpaired,
    /// A metric cannot be computed.
    #[error(transparent)]
    Metric(#[from] MetricError),
}

/// Percentile interval of sorted values by linear interpolation (Hyndman and Fan's definition 7, NumPy's default).
pub(crate) fn percentile_interval(sorted: &[f64], confidence: f64) -> Option<Interval> {
    let tail = 0.5 * (1.0 - confidence);
    Some(Interval { low: quantile(sorted, tail)?, high: quantile(sorted, 1.0 - tail)? })
}

/// Quantile `q` of sorted values by linear interpolation; none of no values.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    Some(low + (place - below as f64) * (high - low))
}
