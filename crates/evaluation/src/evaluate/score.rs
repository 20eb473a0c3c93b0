//! True values beside a model's predictions.

use std::collections::BTreeMap;

use gristmill_model::{Calibration, Model, Predictions, write_text};
use gristmill_stats::metric::{Scores, Task};
use gristmill_types::{Cell, Columns};

use crate::EvaluationError;

/// The task in the words of the metrics.
pub(crate) const fn task(model: &Model) -> Task {
    match model.task() {
        gristmill_model::Task::Binary => Task::Binary,
        gristmill_model::Task::Multiclass => Task::Multiclass,
        gristmill_model::Task::Regression => Task::Regression,
    }
}

/// The column that a model predicts.
pub(crate) fn target(model: &Model) -> &str {
    model.proto().signature.as_ref().map_or("", |signature| signature.target.as_str())
}

/// How a model's probabilities are calibrated.
pub(crate) const fn calibration(model: &Model) -> &'static str {
    match model.output().calibration() {
        None => "none",
        Some(Calibration::Platt { .. }) => "platt",
        Some(Calibration::Isotonic { .. }) => "isotonic",
    }
}

/// Whether two models answer the same question; if not, why.
pub(crate) fn same_question(candidate: &Model, champion: &Model) -> Result<(), String> {
    if target(candidate) != target(champion) {
        return Err(format!("it predicts `{}`, the model predicts `{}`", target(champion), target(candidate)));
    }
    if task(candidate) != task(champion) {
        return Err(format!("its task is {}, the model's is {}", task(champion), task(candidate)));
    }
    if candidate.labels() != champion.labels() {
        let (theirs, ours) = (champion.labels().join(", "), candidate.labels().join(", "));
        return Err(format!("its labels are {theirs}, the model's are {ours}"));
    }
    Ok(())
}

/// True values by row; none where the row has none.
#[derive(Debug, Clone)]
pub(crate) enum Truth {
    /// Number of the label.
    Class(Vec<Option<u32>>),
    /// The number.
    Number(Vec<Option<f64>>),
}

impl Truth {
    /// Reads the target of `model` from raw rows.
    pub(crate) fn read(model: &Model, rows: &Columns) -> Result<Self, EvaluationError> {
        let name = target(model);
        let column = rows.get(name).ok_or_else(|| EvaluationError::NoTarget(name.to_owned()))?;
        let cells = (0..rows.rows()).map(|row| column.cell(row));
        let truth = if task(model) == Task::Regression {
            let column_type = column.column_type();
            if !column_type.is_numeric() {
                return Err(EvaluationError::Target { column: name.to_owned(), found: column_type.to_string() });
            }
            Self::Number(cells.map(number).collect())
        } else {
            Self::Class(classes(name, model.labels(), cells)?)
        };
        if (0..rows.rows()).any(|row| truth.is_known(row)) {
            Ok(truth)
        } else {
            Err(EvaluationError::NoTruth(name.to_owned()))
        }
    }

    /// Whether row `row` has a true value.
    pub(crate) fn is_known(&self, row: usize) -> bool {
        match self {
            Self::Class(classes) => classes.get(row).is_some_and(Option::is_some),
            Self::Number(numbers) => numbers.get(row).is_some_and(Option::is_some),
        }
    }

    /// The rows `rows`, in that order.
    pub(crate) fn take(&self, rows: &[usize]) -> Self {
        match self {
            Self::Class(classes) => Self::Class(rows.iter().map(|row| classes.get(*row).copied().flatten()).collect()),
            Self::Number(numbers) => {
                Self::Number(rows.iter().map(|row| numbers.get(*row).copied().flatten()).collect())
            }
        }
    }

    /// The true values beside predictions of the same rows, all of which have one.
    pub(crate) fn scores(&self, model: &Model, predictions: &Predictions) -> Result<Scores, EvaluationError> {
        let scores = match self {
            Self::Class(classes) if task(model) == Task::Binary => {
                let truth = classes.iter().flatten().map(|class| *class == 1).collect();
                Scores::binary(truth, predictions.positive().collect(), model.output().threshold())
            }
            Self::Class(classes) => {
                let truth = classes.iter().flatten().copied().collect();
                Scores::multiclass(truth, predictions.probabilities.clone(), model.labels().len())
            }
            Self::Number(numbers) => {
                Scores::regression(numbers.iter().flatten().copied().collect(), predictions.values.clone())
            }
        };
        Ok(scores?)
    }
}

/// Labels by their text form, as training compared them.
fn classes<'a>(
    name: &str,
    labels: &[String],
    cells: impl Iterator<Item = Cell<'a>>,
) -> Result<Vec<Option<u32>>, EvaluationError> {
    let numbers: BTreeMap<&str, u32> = labels.iter().map(String::as_str).zip(0..).collect();
    let mut unknown: BTreeMap<String, usize> = BTreeMap::new();
    let mut text = String::new();
    let mut class = |cell: Cell<'_>| {
        if matches!(cell, Cell::Float(value) if value.is_nan()) || !write_text(&mut text, cell) {
            return None;
        }
        let class = numbers.get(text.as_str()).copied();
        if class.is_none() {
            *unknown.entry(text.clone()).or_default() += 1;
        }
        class
    };
    let classes = cells.map(&mut class).collect();
    match unknown.into_iter().max_by_key(|(_, rows)| *rows) {
        None => Ok(classes),
        Some((label, rows)) => {
            let label = label.chars().take(80).collect();
            Err(EvaluationError::UnknownLabel { column: name.to_owned(), label, rows })
        }
    }
}

/// A cell as a finite number.
fn number(cell: Cell<'_>) -> Option<f64> {
    let value = match cell {
        Cell::Int(value) => value as f64,
        Cell::Float(value) => value,
        // Written out and read back: rounded once, whatever the scale.
        Cell::Decimal { scale, unscaled } => format!("{unscaled}e-{scale}").parse().ok()?,
        _ => return None,
    };
    value.is_finite().then_some(value)
}
