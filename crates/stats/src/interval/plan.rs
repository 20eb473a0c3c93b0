//! What a resample needs, computed once: sorted ranks and sums per unit.

use super::binary_plan::BinaryPlan;
use super::multiclass_plan::MulticlassPlan;
use super::regression_plan::RegressionPlan;
use crate::metric::{Data, Metric, Scores};

/// Everything about the scores that does not change from resample to resample.
#[derive(Debug)]
pub(crate) enum Plan {
    Binary(BinaryPlan),
    Multiclass(MulticlassPlan),
    Regression(RegressionPlan),
}

impl Plan {
    /// `unit[row]` is below `units`; `metrics` are of the scores' task.
    pub(crate) fn new(scores: &Scores, unit: &[u32], units: usize, metrics: &[Metric]) -> Self {
        match scores.data() {
            Data::Binary(data) => Self::Binary(BinaryPlan::new(data, scores, unit, units, metrics)),
            Data::Multiclass(data) => Self::Multiclass(MulticlassPlan::new(data, scores, unit, units, metrics)),
            Data::Regression(data) => Self::Regression(RegressionPlan::new(data, scores, unit, units, metrics)),
        }
    }

    /// The metrics with unit u counted `times[u]` times; NaN where a metric is not defined.
    pub(crate) fn measure(&self, times: &[f64], metrics: &[Metric]) -> Vec<f64> {
        match self {
            Self::Binary(plan) => plan.measure(times, metrics),
            Self::Multiclass(plan) => plan.measure(times, metrics),
            Self::Regression(plan) => plan.measure(times, metrics),
        }
    }
}

/// Rows of positive weight, those of a unit together and in row order.
#[derive(Debug)]
pub(crate) struct ByUnit {
    /// Row numbers, unit after unit.
    pub(crate) rows: Vec<u32>,
    /// Where the rows of unit u begin; one more entry than units.
    pub(crate) starts: Vec<u32>,
}

impl ByUnit {
    pub(crate) fn new(unit: &[u32], units: usize, scores: &Scores) -> Self {
        let mut starts = vec![0_u32; units + 1];
        let counted = |row: &usize| scores.weight(*row) > 0.0;
        for row in (0..unit.len()).filter(counted) {
            starts[unit[row] as usize + 1] += 1;
        }
        for u in 0..units {
            starts[u + 1] += starts[u];
        }
        let mut next = starts.clone();
        let mut rows = vec![0_u32; starts[units] as usize];
        for row in (0..unit.len()).filter(counted) {
            let place = &mut next[unit[row] as usize];
            rows[*place as usize] = row as u32;
            *place += 1;
        }
        Self { rows, starts }
    }

    /// Places (in `rows`) of the rows of `unit`.
    pub(crate) fn places(&self, unit: usize) -> std::ops::Range<usize> {
        self.starts[unit] as usize..self.starts[unit + 1] as usize
    }
}

/// Sums of `N` quantities per unit, so that a resample costs one pass over the units.
#[derive(Debug)]
pub(crate) struct UnitSums<const N: usize>(Vec<[f64; N]>);

impl<const N: usize> UnitSums<N> {
    /// Adds `terms(row)` over the rows of every unit.
    pub(crate) fn new(by_unit: &ByUnit, terms: impl Fn(usize) -> [f64; N]) -> Self {
        let units = by_unit.starts.len().saturating_sub(1);
        let sum = |unit: usize| {
            let mut sums = [0.0; N];
            for row in &by_unit.rows[by_unit.places(unit)] {
                for (sum, term) in sums.iter_mut().zip(terms(*row as usize)) {
                    *sum += term;
                }
            }
            sums
        };
        Self((0..units).map(sum).collect())
    }

    /// The sums with unit u counted `times[u]` times.
    pub(crate) fn total(&self, times: &[f64]) -> [f64; N] {
        let mut totals = [0.0; N];
        for (sums, times) in self.0.iter().zip(times) {
            if *times != 0.0 {
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total += times * sum;
                }
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::evaluate;
    use crate::random::{Generator, below, generator, uniform};

    /// Every plan gives what the metric itself gives on rows weighted by the unit's count.
    fn check(scores: &Scores, unit: &[u32], units: usize, generator: &mut Generator) {
        let metrics: Vec<Metric> = Metric::of(scores.task()).filter(|metric| *metric != Metric::Ece).collect();
        let plan = Plan::new(scores, unit, units, &metrics);
        for _ in 0..50 {
            let mut times = vec![0.0; units];
            for _ in 0..units {
                times[below(generator, units as u64) as usize] += 1.0;
            }
            let weights = (0..scores.rows()).map(|row| scores.weight(row) * times[unit[row] as usize]).collect();
            let direct = evaluate(scores.task(), &scores.clone().with_weights(weights).unwrap()).unwrap();
            let planned = plan.measure(&times, &metrics);
            for (metric, planned) in metrics.iter().zip(planned) {
                let direct = direct.iter().find(|value| value.metric == *metric).unwrap().value.clone().unwrap();
                assert!((planned - direct).abs() < 1e-9 * (1.0 + direct.abs()), "{metric}: {planned} {direct}");
            }
        }
    }

    #[test]
    fn a_resample_is_the_metric_with_weights() {
        let mut generator = generator(11, "plan", 0);
        let rows = 400;
        let mut draw = || uniform(&mut generator);
        let p: Vec<f64> = (0..rows).map(|_| (draw() * 50.0).round() / 50.0).collect();
        let truth: Vec<bool> = p.iter().map(|p| draw() < 0.2 + 0.6 * p).collect();
        let weights: Vec<f64> = (0..rows).map(|row| if row % 7 == 0 { 0.0 } else { 0.5 + draw() }).collect();
        let unit: Vec<u32> = (0..rows).map(|_| (draw() * 40.0) as u32).collect();
        let y: Vec<f64> = (0..rows).map(|_| 1e3 + draw()).collect();
        let predicted: Vec<f64> = y.iter().map(|y| y + 0.3 * (draw() - 0.5)).collect();
        let table: Vec<f64> = (0..rows)
            .flat_map(|_| {
                let a = draw() * 0.5;
                let b = draw() * 0.5;
                [a, b, 1.0 - a - b]
            })
            .collect();
        let class: Vec<u32> = (0..rows).map(|_| (draw() * 3.0) as u32).collect();
        for scores in [
            Scores::binary(truth.clone(), p.clone(), 0.5).unwrap(),
            Scores::binary(truth, p, 0.5).unwrap().with_weights(weights.clone()).unwrap(),
            Scores::multiclass(class, table, 3).unwrap().with_weights(weights.clone()).unwrap(),
            Scores::regression(y, predicted).unwrap().with_weights(weights).unwrap(),
        ] {
            check(&scores, &unit, 40, &mut generator);
            let every_row: Vec<u32> = (0..rows as u32).collect();
            check(&scores, &every_row, rows, &mut generator);
        }
    }
}
