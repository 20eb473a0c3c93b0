//! Resampled metrics of a regression task.

use super::plan::{ByUnit, UnitSums};
use crate::metric::{Metric, Regression, Scores, weighted_quantile};

#[derive(Debug)]
pub(crate) struct RegressionPlan {
    /// Weight, truth and its square (both about the mean), squared error, absolute error, relative error.
    sums: UnitSums<6>,
    /// Absolute error, unit and weight, in ascending order; empty if not asked for.
    errors: Vec<(f64, u32, f64)>,
    relative: bool,
}

impl RegressionPlan {
    pub(crate) fn new(data: &Regression, scores: &Scores, unit: &[u32], units: usize, metrics: &[Metric]) -> Self {
        let by_unit = ByUnit::new(unit, units, scores);
        let mean = crate::metric::mean_of(data, scores, |truth, _| truth);
        let sums = UnitSums::new(&by_unit, |row| {
            let (weight, truth) = (scores.weight(row), data.truth[row]);
            let (error, centred) = (truth - data.predicted[row], truth - mean);
            let relative = if truth == 0.0 { 0.0 } else { error.abs() / truth.abs() };
            [1.0, centred, centred * centred, error * error, error.abs(), relative].map(|term| weight * term)
        });
        let mut errors = Vec::new();
        if metrics.contains(&Metric::MedianAbsoluteError) {
            errors.extend(by_unit.rows.iter().map(|row| {
                let row = *row as usize;
                ((data.truth[row] - data.predicted[row]).abs(), unit[row], scores.weight(row))
            }));
            errors.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        Self { sums, errors, relative: Metric::Mape.compute(scores).is_ok() }
    }

    pub(crate) fn measure(&self, times: &[f64], metrics: &[Metric]) -> Vec<f64> {
        let [weight, sum, squares, squared, absolute, relative] = self.sums.total(times);
        let spread = squares - sum * sum / weight;
        let value = |metric: &Metric| match metric {
            Metric::Rmse => Some((squared / weight).sqrt()),
            Metric::Mae => Some(absolute / weight),
            // What rounding leaves of a constant is not a spread.
            Metric::R2 => (spread > squares * 1e-12).then(|| 1.0 - squared / spread),
            Metric::Mape => self.relative.then(|| relative / weight),
            Metric::MedianAbsoluteError => {
                let ascending =
                    self.errors.iter().map(|(error, unit, weight)| (*error, times[*unit as usize] * weight));
                weighted_quantile(ascending, weight, 0.5)
            }
            _ => None,
        };
        metrics.iter().map(|metric| value(metric).unwrap_or(f64::NAN)).collect()
    }
}
