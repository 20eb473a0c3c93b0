//! Training and validation rows, with the forms learners read made once and shared by every trial.

use std::sync::{Arc, OnceLock};

use hessboost::data::DMatrix;

use crate::learners::{Design, tree_matrix};
use crate::{LearnError, Matrix, Task};

/// How a regression target is brought to mean 0 and spread 1 for learners whose penalties depend on
/// its size; the identity for classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub mean: f64,
    pub spread: f64,
}

impl Scale {
    fn of(matrix: &Matrix) -> Self {
        if matrix.task != Task::Regression {
            return Self { mean: 0.0, spread: 1.0 };
        }
        let n = matrix.rows().max(1) as f64;
        let mean = matrix.target.iter().sum::<f64>() / n;
        let variance = matrix.target.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / n;
        Self { mean, spread: if variance > 0.0 { variance.sqrt() } else { 1.0 } }
    }

    pub(crate) fn to_unit(self, value: f64) -> f64 {
        (value - self.mean) / self.spread
    }

    pub(crate) fn of_unit(self, value: f64) -> f64 {
        self.mean + self.spread * value
    }
}

/// Rows to fit on, and rows to stop and judge by. Cheap to share: wrap it in an [`Arc`].
#[derive(Debug)]
pub struct TrainingSet {
    train: Arc<Matrix>,
    validation: Option<Arc<Matrix>>,
    trees: OnceLock<Result<DMatrix, String>>,
    validation_trees: OnceLock<Result<DMatrix, String>>,
    design: OnceLock<Design>,
    scale: Scale,
}

impl TrainingSet {
    /// Pairs training rows with validation rows of the same transform.
    ///
    /// # Errors
    /// [`LearnError::Matrix`] if there is no training row, or the two differ in shape.
    pub fn new(train: Arc<Matrix>, validation: Option<Arc<Matrix>>) -> Result<Self, LearnError> {
        if train.rows() == 0 {
            return Err(LearnError::Matrix("there is no training row".into()));
        }
        if let Some(validation) = &validation {
            train.same_shape(validation)?;
            if validation.rows() == 0 {
                return Err(LearnError::Matrix("there is no validation row".into()));
            }
        }
        let scale = Scale::of(&train);
        Ok(Self {
            scale,
            train,
            validation,
            trees: OnceLock::new(),
            validation_trees: OnceLock::new(),
            design: OnceLock::new(),
        })
    }

    /// The rows to fit on.
    pub fn train(&self) -> &Matrix {
        &self.train
    }

    /// The rows to stop and judge by.
    pub fn validation(&self) -> Option<&Matrix> {
        self.validation.as_deref()
    }

    /// Both as training rows of a set without validation rows, for the last fit of a study.
    ///
    /// # Errors
    /// [`LearnError::Matrix`] if there are no validation rows to join.
    pub fn joined(&self) -> Result<Self, LearnError> {
        let validation =
            self.validation().ok_or_else(|| LearnError::Matrix("there are no validation rows to join".into()))?;
        Self::new(Arc::new(self.train.joined(validation)?), None)
    }

    /// Bytes of memory that the rows and their shared forms take, about.
    pub fn memory(&self) -> usize {
        let one = |matrix: &Matrix| {
            let cells = matrix.numeric.len() + matrix.category.len();
            // As stored, as the trees' rows, as bins, as the linear design.
            matrix.rows() * (cells * (4 + 4 + 2 + 4) + 32)
        };
        one(&self.train) + self.validation().map_or(0, one)
    }

    /// The scale of a regression target.
    pub(crate) const fn scale(&self) -> Scale {
        self.scale
    }

    /// The training rows as trees read them.
    pub(crate) fn trees(&self) -> Result<&DMatrix, LearnError> {
        shared(self.trees.get_or_init(|| tree_matrix(&self.train, self.scale)))
    }

    /// The validation rows as trees read them.
    pub(crate) fn validation_trees(&self) -> Result<Option<&DMatrix>, LearnError> {
        let Some(validation) = self.validation() else { return Ok(None) };
        shared(self.validation_trees.get_or_init(|| tree_matrix(validation, self.scale))).map(Some)
    }

    /// The training rows as linear learners read them.
    pub(crate) fn design(&self) -> &Design {
        self.design.get_or_init(|| Design::of(&self.train))
    }
}

fn shared(made: &Result<DMatrix, String>) -> Result<&DMatrix, LearnError> {
    made.as_ref().map_err(|reason| LearnError::fit("trees", reason))
}
