//! Weighted confusion matrix and what follows from it.

use serde::{Deserialize, Serialize};

use super::scores::{Data, Scores};
use super::{MetricError, Sum, Task};

/// Weight of the rows of each true class (outer) predicted as each class (inner).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    classes: usize,
    /// Row-major: `[truth][predicted]`.
    cells: Vec<f64>,
}

impl Confusion {
    /// Counts the rows of a classification task.
    ///
    /// # Errors
    /// [`MetricError::Task`] for a regression.
    pub fn of(scores: &Scores) -> Result<Self, MetricError> {
        let (classes, truth, predicted): (usize, Vec<u32>, Vec<u32>) = match scores.data() {
            Data::Binary(data) => (
                2,
                data.truth.iter().map(|positive| u32::from(*positive)).collect(),
                data.probability.iter().map(|p| u32::from(*p >= data.threshold)).collect(),
            ),
            Data::Multiclass(data) => (data.classes, data.truth.clone(), data.predicted()),
            Data::Regression(_) => {
                return Err(MetricError::Task { metric: super::Metric::Accuracy, task: Task::Regression });
            }
        };
        let mut sums = vec![Sum::default(); classes * classes];
        for (row, (truth, predicted)) in truth.iter().zip(&predicted).enumerate() {
            sums[*truth as usize * classes + *predicted as usize].add(scores.weight(row));
        }
        Ok(Self::from_cells(classes, sums.into_iter().map(Sum::value).collect()))
    }

    /// Wraps counted cells, `[truth][predicted]`.
    pub(crate) fn from_cells(classes: usize, cells: Vec<f64>) -> Self {
        Self { classes, cells }
    }

    /// Number of classes.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// Weight of the rows of class `truth` predicted as `predicted`.
    pub fn cell(&self, truth: usize, predicted: usize) -> f64 {
        let inside = truth < self.classes && predicted < self.classes;
        // A matrix read from a file may lack cells.
        let cell = if inside { self.cells.get(truth * self.classes + predicted) } else { None };
        cell.copied().unwrap_or(0.0)
    }

    fn true_weight(&self, class: usize) -> f64 {
        (0..self.classes).map(|other| self.cell(class, other)).sum()
    }

    fn predicted_weight(&self, class: usize) -> f64 {
        (0..self.classes).map(|other| self.cell(other, class)).sum()
    }

    fn total(&self) -> f64 {
        self.cells.iter().sum()
    }

    fn right(&self) -> f64 {
        (0..self.classes).map(|class| self.cell(class, class)).sum()
    }

    /// Share of the weight predicted right.
    pub fn accuracy(&self) -> f64 {
        self.right() / self.total()
    }

    /// Mean recall of the classes that occur.
    ///
    /// # Errors
    /// [`MetricError::OneClass`] if only one occurs.
    pub fn balanced_accuracy(&self) -> Result<f64, MetricError> {
        let (mut recalls, mut occurring) = (0.0, 0_u32);
        for class in 0..self.classes {
            let weight = self.true_weight(class);
            if weight > 0.0 {
                recalls += self.cell(class, class) / weight;
                occurring += 1;
            }
        }
        if occurring < 2 { Err(MetricError::OneClass) } else { Ok(recalls / f64::from(occurring)) }
    }

    /// Share of the rows predicted as `class` that are of it; 0 when none is predicted.
    pub fn precision(&self, class: usize) -> f64 {
        ratio(self.cell(class, class), self.predicted_weight(class))
    }

    /// Share of the rows of `class` that are predicted as it.
    ///
    /// # Errors
    /// [`MetricError::MissingClass`] if it does not occur.
    pub fn recall(&self, class: usize) -> Result<f64, MetricError> {
        let weight = self.true_weight(class);
        if weight > 0.0 { Ok(self.cell(class, class) / weight) } else { Err(MetricError::MissingClass { class }) }
    }

    /// Harmonic mean of precision and recall of `class`.
    ///
    /// # Errors
    /// [`MetricError::MissingClass`] if the class neither occurs nor is predicted.
    pub fn f1(&self, class: usize) -> Result<f64, MetricError> {
        let weight = self.true_weight(class) + self.predicted_weight(class);
        if weight > 0.0 { Ok(2.0 * self.cell(class, class) / weight) } else { Err(MetricError::MissingClass { class }) }
    }

    /// Mean F1 of the classes that occur or are predicted.
    pub fn macro_f1(&self) -> f64 {
        let (mut sum, mut classes) = (0.0, 0_u32);
        for f1 in (0..self.classes).filter_map(|class| self.f1(class).ok()) {
            sum += f1;
            classes += 1;
        }
        ratio(sum, f64::from(classes))
    }

    /// Matthews' correlation coefficient (Gorodkin, 2004); 0 when one class only is predicted.
    ///
    /// # Errors
    /// [`MetricError::OneClass`] if only one class occurs.
    pub fn mcc(&self) -> Result<f64, MetricError> {
        let total = self.total();
        let (mut both, mut truth, mut predicted) = (0.0, 0.0, 0.0);
        for class in 0..self.classes {
            let (t, p) = (self.true_weight(class), self.predicted_weight(class));
            both += t * p;
            truth += t * t;
            predicted += p * p;
        }
        let truth = total * total - truth;
        if truth <= 0.0 {
            return Err(MetricError::OneClass);
        }
        let square = truth * (total * total - predicted);
        Ok(if square > 0.0 { (self.right() * total - both) / square.sqrt() } else { 0.0 })
    }
}

fn ratio(top: f64, bottom: f64) -> f64 {
    if bottom > 0.0 { top / bottom } else { 0.0 }
}
