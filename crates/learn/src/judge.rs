//! A fitted predictor scored on a matrix, by the one interpreter and the one set of metrics.

use std::collections::BTreeMap;

use gristmill_model::{Cost, Output, Predictions, Predictor, SlotShape, proto};
use gristmill_stats::metric::{Metric, Scores, evaluate};

use crate::learner::Fitted;
use crate::transform::model;
use crate::{LearnError, Matrix, Task};

/// What a predictor gives on known rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Its predictions.
    pub predictions: Predictions,
    /// The same as `stats` reads them.
    pub scores: Scores,
    /// The loss studies minimise: log loss for classes, root mean squared error for numbers.
    pub loss: f64,
    /// Every metric of the task that is defined on these rows, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Cost of one row.
    pub cost: Cost,
}

/// Scores `fitted` on the rows of `matrix`, with `calibration` if there is one.
///
/// # Errors
/// [`LearnError::Model`] if the interpreter refuses the predictor, [`LearnError::Matrix`] if the rows
/// cannot be scored.
pub fn judge(fitted: &Fitted, matrix: &Matrix, calibration: Option<&proto::Calibration>) -> Result<Judged, LearnError> {
    let message = output(matrix, fitted.link, calibration.cloned(), 0.5);
    let output = Output::compile(&message).map_err(model)?;
    let predictor = Predictor::compile(&fitted.predictor, &shape(matrix), &output).map_err(model)?;
    let scores = predictor.scores(&matrix.view()?).map_err(model)?;
    let predictions = output.finish(matrix.rows(), &scores).map_err(model)?;
    let scores = scores_of(matrix, &predictions)?;
    let values = evaluate(matrix.task, &scores).map_err(|error| LearnError::Matrix(error.to_string()))?;
    let primary = Metric::primary(matrix.task);
    let loss = primary.compute(&scores).map_err(|error| LearnError::Matrix(error.to_string()))?;
    let metrics = values.into_iter().filter_map(|m| Some((m.metric.name().to_owned(), m.value.ok()?))).collect();
    Ok(Judged { predictions, scores, loss, metrics, cost: predictor.cost() })
}

/// Predictions beside the target.
pub(crate) fn scores_of(matrix: &Matrix, predictions: &Predictions) -> Result<Scores, LearnError> {
    let made = match matrix.task {
        Task::Regression => Scores::regression(matrix.target.clone(), predictions.values.clone()),
        Task::Binary => {
            let truth = matrix.target.iter().map(|class| *class == 1.0).collect();
            Scores::binary(truth, predictions.positive().collect(), 0.5)
        }
        Task::Multiclass => {
            let truth = matrix.target.iter().map(|class| *class as u32).collect();
            Scores::multiclass(truth, predictions.probabilities.clone(), matrix.labels.len())
        }
    };
    let made = match &matrix.weight {
        Some(weight) => made.and_then(|scores| scores.with_weights(weight.clone())),
        None => made,
    };
    made.map_err(|error| LearnError::Matrix(error.to_string()))
}

/// The slots of `matrix`, as a predictor is checked against them.
pub(crate) fn shape(matrix: &Matrix) -> SlotShape {
    let numeric = matrix.numeric.last().map_or(0, |slot| slot.slot as usize + 1);
    let mut category_sizes = vec![0; matrix.category.last().map_or(0, |slot| slot.slot as usize + 1)];
    for slot in &matrix.category {
        if let Some(size) = category_sizes.get_mut(slot.slot as usize) {
            *size = slot.ids as usize;
        }
    }
    SlotShape { numeric, category_sizes }
}

/// The output of a model of this target.
pub(crate) fn output(
    matrix: &Matrix,
    link: proto::output::Link,
    calibration: Option<proto::Calibration>,
    threshold: f64,
) -> proto::Output {
    let task = match matrix.task {
        Task::Regression => proto::output::Task::Regression,
        Task::Binary => proto::output::Task::Binary,
        Task::Multiclass => proto::output::Task::Multiclass,
    };
    proto::Output { task: task.into(), link: link.into(), labels: matrix.labels.clone(), threshold, calibration }
}
