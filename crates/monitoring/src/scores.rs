//! What the model answers: live scores against those of training and of validation.

use gristmill_model::{Model, ModelError, Predictions, Task};
use gristmill_stats::drift::{ColumnDrift, DriftOptions, DriftReport, DriftVerdict, drift, psi};
use gristmill_types::{Column, Columns, Values};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Rows predicted as one piece; pieces are independent.
const PIECE: usize = 8_192;

/// The comparison of the model's answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Where the live answers come from: `model` or `rows`.
    pub source: String,
    /// The score, and for several labels also the predicted label.
    pub columns: Vec<ScoreDrift>,
}

/// One column of answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreDrift {
    /// Drifted only if far from the training rows and from validation.
    pub verdict: DriftVerdict,
    /// Against the training rows, with the threshold for both.
    pub training: ColumnDrift,
    /// PSI against the score quantiles of validation; none for labels, or if the model carries none.
    #[serde(default)]
    pub validation_psi: Option<f64>,
}

impl ScoreDrift {
    /// The PSI that was judged: the smaller of the two.
    pub fn psi(&self) -> f64 {
        let training = self.training.psi.unwrap_or(0.0);
        self.validation_psi.map_or(training, |validation| validation.min(training))
    }
}

/// The answers of `model` to `table` as columns: `score` (the value, the positive probability, or the
/// greatest probability) and, with several labels, `label`.
///
/// # Errors
/// [`ModelError`] if the table does not fit the model.
pub(crate) fn computed(model: &Model, table: &Columns) -> Result<Vec<Column>, ModelError> {
    let starts: Vec<usize> = (0..table.rows()).step_by(PIECE).collect();
    let pieces: Vec<Predictions> = starts
        .par_iter()
        .map(|start| {
            let rows: Vec<usize> = (*start..(start + PIECE).min(table.rows())).collect();
            model.predict(&table.take(&rows))
        })
        .collect::<Result<_, _>>()?;
    let score = pieces.iter().flat_map(scores).collect();
    let mut columns = vec![Column::new("score", Values::Float(score))];
    if model.task() == Task::Multiclass {
        let labels = model.labels();
        let label = |code: &u32| labels.get(*code as usize).map(String::as_str);
        columns.push(Column::text("label", pieces.iter().flat_map(|piece| piece.predicted.iter().map(label))));
    }
    Ok(columns)
}

fn scores(predictions: &Predictions) -> Vec<f64> {
    match predictions.task {
        Task::Regression => predictions.values.clone(),
        Task::Binary => predictions.positive().collect(),
        Task::Multiclass => {
            let rows = predictions.probabilities.chunks_exact(predictions.labels.len().max(1));
            rows.map(|row| row.iter().copied().fold(0.0, f64::max)).collect()
        }
    }
}

/// The answers that a batch or online prediction wrote beside its rows, in the form of [`computed`].
pub(crate) fn written(model: &Model, table: &Columns) -> Option<Vec<Column>> {
    let named = |column: &Column, name: &str| Column { name: name.into(), ..column.clone() };
    let probability = |label: &String| table.get(&format!("probability_{label}")).map(|column| named(column, "score"));
    match model.task() {
        Task::Regression => table.get("prediction").map(|column| vec![named(column, "score")]),
        Task::Binary => model.labels().last().and_then(probability).map(|score| vec![score]),
        Task::Multiclass => table.get("prediction").map(|column| vec![named(column, "label")]),
    }
}

/// Compares live answers with those to the training rows.
pub(crate) fn compare(
    model: &Model,
    source: &str,
    reference: Vec<Column>,
    live: Vec<Column>,
    units: (Option<&Column>, Option<&Column>),
    options: &DriftOptions,
) -> Result<Scores, gristmill_types::ColumnsError> {
    let with = |mut columns: Vec<Column>, unit: Option<&Column>| {
        columns.extend(unit.cloned());
        Columns::new(columns)
    };
    let live = with(live, units.1)?;
    let report = drift(&with(reference, units.0)?, &live, options);
    let quantiles = model.proto().baseline.as_ref().map(|baseline| baseline.score_quantiles.as_slice());
    let quantiles = quantiles.unwrap_or_default();
    Ok(Scores { source: source.into(), columns: judge(report, &live, quantiles) })
}

fn judge(report: DriftReport, live: &Columns, quantiles: &[f64]) -> Vec<ScoreDrift> {
    let compared = report.columns.into_iter().filter(|column| column.verdict != DriftVerdict::Excluded);
    compared
        .map(|training| {
            let values = match live.get(&training.name).map(|column| &column.values) {
                Some(Values::Float(values)) if training.name == "score" => values.as_slice(),
                _ => &[],
            };
            let validation_psi = validation_psi(quantiles, values);
            let near = |threshold: f64| validation_psi.is_some_and(|psi| psi <= threshold);
            let verdict = match (training.verdict, training.threshold) {
                (DriftVerdict::Drifted, Some(threshold)) if near(threshold) => DriftVerdict::Stable,
                (verdict, _) => verdict,
            };
            ScoreDrift { verdict, training, validation_psi }
        })
        .collect()
}

/// PSI of live scores over the deciles of validation's quantiles (0, 1 %, …, 100 %), each of which stands
/// for one hundredth of the validation rows.
fn validation_psi(quantiles: &[f64], live: &[f64]) -> Option<f64> {
    /// Counts per quantile step: enough that the half added to each count does not matter.
    const WEIGHT: u64 = 100;
    if quantiles.len() < 11 || live.is_empty() {
        return None;
    }
    let step = (quantiles.len() - 1) / 10;
    let mut edges: Vec<f64> = quantiles.iter().copied().skip(step).step_by(step).take(9).collect();
    edges.dedup();
    let counts = |values: &mut dyn Iterator<Item = f64>, weight: u64| {
        let mut counts = vec![0_u64; edges.len() + 1];
        for value in values {
            if let Some(count) = counts.get_mut(edges.partition_point(|edge| *edge < value)) {
                *count += weight;
            }
        }
        counts
    };
    let before = counts(&mut quantiles.iter().copied().skip(1), WEIGHT);
    Some(psi(&before, &counts(&mut live.iter().copied().filter(|v| !v.is_nan()), 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_to_validation_is_small_for_rows_like_it_and_large_for_others() {
        let quantiles: Vec<f64> = (0..=100).map(|n| f64::from(n) / 100.0).collect();
        let uniform: Vec<f64> = (0..1_000).map(|n| (f64::from(n) + 0.5) / 1_000.0).collect();
        assert!(validation_psi(&quantiles, &uniform).unwrap() < 1e-3);
        let squared: Vec<f64> = uniform.iter().map(|v| v * v).collect();
        assert!(validation_psi(&quantiles, &squared).unwrap() > 0.1);
        let constant = vec![0.2; 101];
        assert!(validation_psi(&constant, &[0.2; 50]).unwrap() < 1e-9);
        assert!(validation_psi(&constant, &[0.9; 50]).unwrap() > 1.0);
        assert_eq!(validation_psi(&[], &uniform), None);
    }
}
