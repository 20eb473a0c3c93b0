//! What a model answers.

use std::sync::Arc;

use crate::output::{Output, Task};

/// Predictions of many rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// What was predicted.
    pub task: Task,
    /// Labels in the order of the probabilities; empty for regression.
    pub labels: Arc<[String]>,
    /// Regression: one value per row. Empty for classes.
    pub values: Vec<f64>,
    /// Classes: row-major, one probability per label. Empty for regression.
    pub probabilities: Vec<f64>,
    /// Classes: index of the predicted label per row. Empty for regression.
    pub predicted: Vec<u32>,
}

/// The prediction of one row, borrowed from the scratch it was made in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prediction<'a> {
    /// A number.
    Value(f64),
    /// A label.
    Label {
        /// Index of the predicted label.
        index: usize,
        /// The predicted label.
        label: &'a str,
        /// One probability per label, in the model's order.
        probabilities: &'a [f64],
    },
}

impl Predictions {
    pub(crate) fn with_capacity(output: &Output, rows: usize) -> Self {
        let labels = output.labels().len();
        Self {
            task: output.task(),
            labels: Arc::clone(output.labels()),
            values: Vec::with_capacity(if labels == 0 { rows } else { 0 }),
            probabilities: Vec::with_capacity(rows * labels),
            predicted: Vec::with_capacity(if labels == 0 { 0 } else { rows }),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.probabilities.clear();
        self.predicted.clear();
    }

    /// Appends a row given its value, positive probability or probabilities.
    pub(crate) fn push(&mut self, output: &Output, units: &[f64]) {
        match (self.task, units) {
            (Task::Regression, [value]) => self.values.push(*value),
            (Task::Binary, [p]) => {
                let p = output.calibrated(*p);
                self.probabilities.extend([1.0 - p, p]);
                self.predicted.push(u32::from(p >= output.threshold()));
            }
            (_, probabilities) => {
                self.probabilities.extend_from_slice(probabilities);
                self.predicted.push(greatest(probabilities));
            }
        }
    }

    /// Number of rows.
    pub const fn rows(&self) -> usize {
        if matches!(self.task, Task::Regression) { self.values.len() } else { self.predicted.len() }
    }

    /// The prediction of row `row`, if there is such a row.
    pub fn row(&self, row: usize) -> Option<Prediction<'_>> {
        if self.task == Task::Regression {
            return self.values.get(row).map(|value| Prediction::Value(*value));
        }
        let index = *self.predicted.get(row)? as usize;
        let width = self.labels.len();
        let probabilities = self.probabilities.get(row * width..(row + 1) * width)?;
        Some(Prediction::Label { index, label: self.labels.get(index)?, probabilities })
    }

    /// Probability of the positive class per row (binary), or nothing.
    pub fn positive(&self) -> impl Iterator<Item = f64> + '_ {
        let binary = self.task == Task::Binary;
        self.probabilities.chunks_exact(2).filter(move |_| binary).map(|row| row[1])
    }
}

impl<'a> Prediction<'a> {
    /// The numbers that examples and logs hold: the value, or the probabilities.
    pub fn outputs(&self) -> &[f64] {
        match self {
            Self::Value(value) => std::slice::from_ref(value),
            Self::Label { probabilities, .. } => probabilities,
        }
    }

    /// The predicted label of classes.
    pub const fn label(&self) -> Option<&'a str> {
        match self {
            Self::Value(_) => None,
            Self::Label { label, .. } => Some(label),
        }
    }
}

/// The first of the greatest.
fn greatest(probabilities: &[f64]) -> u32 {
    let start = (0_u32, f64::NEG_INFINITY);
    let best =
        (0_u32..).zip(probabilities).fold(start, |best, (index, p)| if *p > best.1 { (index, *p) } else { best });
    best.0
}
