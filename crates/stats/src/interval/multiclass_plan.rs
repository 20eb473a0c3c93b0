//! Resampled metrics of a multiclass task.

use super::plan::{ByUnit, UnitSums};
use crate::metric::{Confusion, Metric, Multiclass, Ranking, Scores, clipped_log};

#[derive(Debug)]
pub(crate) struct MulticlassPlan {
    classes: usize,
    /// One ranking per class, that class against the rest; empty if not asked for.
    rankings: Vec<Ranking>,
    /// Weight and log loss.
    sums: UnitSums<2>,
    /// Cell of the confusion matrix and weight of each row, unit after unit.
    cells: Vec<(u32, f64)>,
    starts: Vec<u32>,
}

impl MulticlassPlan {
    pub(crate) fn new(data: &Multiclass, scores: &Scores, unit: &[u32], units: usize, metrics: &[Metric]) -> Self {
        let classes = data.classes;
        let by_unit = ByUnit::new(unit, units, scores);
        let ranking = |class: usize| {
            let column: Vec<f64> = data.probabilities.chunks_exact(classes).map(|row| row[class]).collect();
            Ranking::new(&column, |row| (unit[row], data.truth[row] as usize == class, scores.weight(row)))
        };
        let wanted = if metrics.contains(&Metric::MacroAuc) { classes } else { 0 };
        let sums = UnitSums::new(&by_unit, |row| {
            let weight = scores.weight(row);
            [weight, weight * clipped_log(data.probabilities[row * classes + data.truth[row] as usize])]
        });
        let predicted = data.predicted();
        let cell = |row: &u32| {
            let row = *row as usize;
            (data.truth[row] * classes as u32 + predicted[row], scores.weight(row))
        };
        Self {
            classes,
            rankings: (0..wanted).map(ranking).collect(),
            sums,
            cells: by_unit.rows.iter().map(cell).collect(),
            starts: by_unit.starts,
        }
    }

    pub(crate) fn measure(&self, times: &[f64], metrics: &[Metric]) -> Vec<f64> {
        let [weight, log_loss] = self.sums.total(times);
        let confusion = self.confusion(times);
        let value = |metric: &Metric| match metric {
            Metric::LogLoss => Some(log_loss / weight),
            Metric::MacroAuc => self.macro_auc(times),
            other => other.of_confusion(&confusion).and_then(Result::ok),
        };
        metrics.iter().map(|metric| value(metric).unwrap_or(f64::NAN)).collect()
    }

    fn confusion(&self, times: &[f64]) -> Confusion {
        let mut cells = vec![0.0; self.classes * self.classes];
        for (bounds, times) in self.starts.windows(2).zip(times) {
            if *times != 0.0 {
                for (cell, weight) in &self.cells[bounds[0] as usize..bounds[1] as usize] {
                    cells[*cell as usize] += times * weight;
                }
            }
        }
        Confusion::from_cells(self.classes, cells)
    }

    fn macro_auc(&self, times: &[f64]) -> Option<f64> {
        let mut sum = 0.0;
        for ranking in &self.rankings {
            sum += ranking.areas(|unit| times[unit as usize])?.roc_auc;
        }
        Some(sum / self.classes as f64)
    }
}
