//! Paired comparison of a candidate with a champion: the same rows, the same resamples.

use serde::{Deserialize, Serialize};

use crate::interval::{Interval, IntervalError, Replicates, percentile_interval};
use crate::metric::Metric;

/// Share of resamples in which both must be defined.
const MIN_DEFINED: f64 = 0.95;

/// One metric of two models on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The metric.
    pub metric: Metric,
    /// Its value for the candidate.
    pub candidate: f64,
    /// Its value for the champion.
    pub champion: f64,
    /// Candidate minus champion.
    pub difference: f64,
    /// Interval of the difference; none with too few units.
    pub difference_interval: Option<Interval>,
    /// How much better the candidate is: the difference with its sign turned where less is better, or how much nearer
    /// to the target it is.
    pub gain: f64,
    /// Interval of the gain; none with too few units.
    pub gain_interval: Option<Interval>,
}

/// Compares every metric that both models have a value for.
///
/// Resamples are shared, so what makes a resample hard for both models cancels, and the interval of the difference is
/// narrower than the models' own intervals suggest.
///
/// # Errors
/// [`IntervalError::Unpaired`] unless both were measured on the same rows, units and resamples.
pub fn compare(candidate: &Replicates, champion: &Replicates) -> Result<Vec<Comparison>, IntervalError> {
    if !candidate.paired_with(champion) {
        return Err(IntervalError::Unpaired);
    }
    Ok(candidate.metrics().iter().filter_map(|metric| one(*metric, candidate, champion)).collect())
}

fn one(metric: Metric, candidate: &Replicates, champion: &Replicates) -> Option<Comparison> {
    let ours = *candidate.point(metric)?.as_ref().ok()?;
    let theirs = *champion.point(metric)?.as_ref().ok()?;
    let pairs: Vec<(f64, f64)> = candidate.values(metric)?.into_iter().zip(champion.values(metric)?).collect();
    let confidence = candidate.resampling().confidence;
    let interval = |of: &dyn Fn(f64, f64) -> f64| {
        let mut values: Vec<f64> = pairs.iter().map(|(a, b)| of(*a, *b)).filter(|value| !value.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        let enough = values.len() as f64 >= MIN_DEFINED * pairs.len() as f64;
        if enough { percentile_interval(&values, confidence) } else { None }
    };
    Some(Comparison {
        metric,
        candidate: ours,
        champion: theirs,
        difference: ours - theirs,
        difference_interval: interval(&|a, b| a - b),
        gain: metric.gain(ours, theirs),
        gain_interval: interval(&|a, b| metric.gain(a, b)),
    })
}
