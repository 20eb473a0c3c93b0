//! The last steps of a study: calibration, threshold, refit, and the model message.

use gristmill_model::{Model, Predictions, file, proto};
use gristmill_stats::metric::{ThresholdRule, choose_threshold};
use gristmill_types::{Columns, Limits};

use crate::judge::{judge, output};
use crate::learner::{Fitted, Importance};
use crate::study::{Trial, TrialReport};
use crate::training_set::TrainingSet;
use crate::transform::model;
use crate::{LearnError, Matrix, Task};

mod calibrate;

/// Rows of the model's example at most.
const EXAMPLE_ROWS: usize = 5;

/// What a model is finished from.
#[derive(Debug, Clone, Copy)]
pub struct Finish<'a> {
    /// Signature and transform.
    pub transform: &'a proto::Model,
    /// The rows of the study.
    pub set: &'a TrainingSet,
    /// The winning trial.
    pub winner: &'a TrialReport,
    /// Its predictor, fitted on the training rows alone.
    pub fitted: &'a Fitted,
    /// The winner fitted again on training and validation rows together (see [`crate::refit`]); none to
    /// keep `fitted`.
    pub refitted: Option<&'a Fitted>,
    /// Whether a calibrator may be kept.
    pub calibrate: bool,
    /// What the threshold of a binary task is chosen for.
    pub threshold: ThresholdRule,
    /// Digests of the artifacts that monitoring compares live rows with.
    pub baseline: (&'a str, &'a str),
    /// Raw rows to take the example from.
    pub example: Option<&'a Columns>,
    /// CPU feature class of this machine.
    pub cpu_class: &'a str,
}

/// A finished model.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedModel {
    /// The bytes of `model.gmm`.
    pub bytes: Vec<u8>,
    /// The message in them.
    pub message: proto::Model,
    /// What was done about calibration, in words.
    pub calibration: String,
    /// The decision threshold of a binary task.
    pub threshold: f64,
    /// Features by falling importance, of the final fit.
    pub importance: Vec<Importance>,
}

/// Finishes the winner of a study.
///
/// Calibration and threshold are chosen on the validation rows, scored by the predictor that has not
/// seen them; a refitted predictor takes the threshold over, and no calibrator.
///
/// # Errors
/// [`LearnError`] if no threshold can be chosen, or if the interpreter refuses the model.
pub fn finish(from: &Finish<'_>) -> Result<FinishedModel, LearnError> {
    let validation =
        from.set.validation().ok_or_else(|| LearnError::Matrix("a model is finished on validation rows".into()))?;
    let judged = judge(from.fitted, validation, None)?;
    let (calibration, words) = match (from.calibrate, from.refitted) {
        (true, None) => calibrate::choose(&judged.scores, validation),
        // Measured on the flights: a calibrator fitted on two quiet autumn months, carried over to the model
        // that had since learned from them, cost 0.04 of log loss in the months after.
        (true, Some(_)) => {
            let words = "none: the model was fitted again on training and validation rows, and a calibrator of the earlier fit would not be its own";
            (None, words.to_owned())
        }
        (false, _) => (None, "calibration was not asked for".to_owned()),
    };
    let judged = match &calibration {
        Some(_) => judge(from.fitted, validation, calibration.as_ref())?,
        None => judged,
    };
    let threshold = match validation.task {
        Task::Binary => choose_threshold(&judged.scores, from.threshold)
            .map_err(|error| LearnError::Matrix(format!("no threshold can be chosen: {error}")))?
            .threshold
            .clamp(0.0, 1.0),
        _ => 0.5,
    };
    let last = from.refitted.unwrap_or(from.fitted);
    let mut message = proto::Model {
        predictor: Some(last.predictor.clone()),
        output: Some(output(validation, last.link, calibration, threshold)),
        baseline: Some(proto::Baseline {
            train: from.baseline.0.to_owned(),
            dataset: from.baseline.1.to_owned(),
            score_quantiles: quantiles(&judged.predictions),
        }),
        origin: Some(origin(&from.winner.trial(), from.cpu_class)),
        ..from.transform.clone()
    };
    let compiled = Model::from_proto(message.clone()).map_err(model)?;
    if let Some(table) = from.example {
        let rows: Vec<usize> = (0..table.rows().min(EXAMPLE_ROWS)).collect();
        message.example = Some(compiled.example(table, &rows).map_err(model)?);
        // What every reader will check is checked here first.
        Model::from_proto(message.clone()).and_then(|m| m.check_example()).map_err(model)?;
    }
    Ok(FinishedModel {
        bytes: file::write(&message),
        message,
        calibration: words,
        threshold,
        importance: last.importance.clone(),
    })
}

/// The predictor of one trial as a model file: uncalibrated, threshold one half, without a baseline.
///
/// # Errors
/// [`LearnError::Model`] if the interpreter refuses it.
pub fn trial_model(
    transform: &proto::Model,
    matrix: &Matrix,
    trial: &Trial,
    fitted: &Fitted,
    cpu_class: &str,
) -> Result<Vec<u8>, LearnError> {
    let message = proto::Model {
        predictor: Some(fitted.predictor.clone()),
        output: Some(output(matrix, fitted.link, None, 0.5)),
        origin: Some(origin(trial, cpu_class)),
        ..transform.clone()
    };
    Model::from_proto(message.clone()).map_err(model)?;
    Ok(file::write(&message))
}

/// The predictor in a file that [`trial_model`] wrote; rounds and importance are in the trial's report.
///
/// # Errors
/// [`LearnError::Model`] if the bytes are no model file.
pub fn trial_fitted(bytes: &[u8]) -> Result<Fitted, LearnError> {
    let message = file::read(bytes, Limits::DEFAULT.model_bytes).map_err(model)?;
    let incomplete = || LearnError::Model("it has no predictor or no link".into());
    let link = message.output.as_ref().and_then(|output| proto::output::Link::try_from(output.link).ok());
    Ok(Fitted {
        predictor: message.predictor.ok_or_else(incomplete)?,
        link: link.ok_or_else(incomplete)?,
        rounds: None,
        importance: Vec::new(),
    })
}

fn origin(trial: &Trial, cpu_class: &str) -> proto::Origin {
    proto::Origin {
        learner: trial.learner.to_string(),
        parameters: trial.params.0.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
        cpu_class: cpu_class.to_owned(),
    }
}

/// Quantiles 0, 1 %, … 100 % of the prediction, the positive probability, or the greatest of several.
fn quantiles(predictions: &Predictions) -> Vec<f64> {
    let mut values: Vec<f64> = match predictions.task {
        gristmill_model::Task::Regression => predictions.values.clone(),
        gristmill_model::Task::Binary => predictions.positive().collect(),
        gristmill_model::Task::Multiclass => {
            let rows = predictions.probabilities.chunks_exact(predictions.labels.len().max(1));
            rows.map(|row| row.iter().copied().fold(0.0, f64::max)).collect()
        }
    };
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return Vec::new() };
    let at = |percent: usize| {
        let place = last as f64 * percent as f64 / 100.0;
        let (low, share) = (place.floor() as usize, place.fract());
        let low_value = values.get(low).copied().unwrap_or(0.0);
        let high_value = values.get(low + 1).copied().unwrap_or(low_value);
        low_value + (high_value - low_value) * share
    };
    (0..=100).map(at).collect()
}
