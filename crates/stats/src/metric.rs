//! Weighted metrics for binary, multiclass and regression tasks, equal to scikit-learn's.

mod confusion;
mod evaluate;
mod probability;
mod rank;
mod recalibration;
mod regression;
mod scores;
mod sum;
mod threshold;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use confusion::Confusion;
pub use evaluate::{MetricValue, evaluate};
pub use probability::{ECE_BINS, expected_calibration_error};
pub(crate) use probability::{clipped_log, row_brier, row_log_loss};
pub(crate) use rank::Ranking;
pub use recalibration::{LogisticFit, calibration_intercept, calibration_line};
pub(crate) use recalibration::{Point, fit_line};
pub(crate) use regression::{mean_of, weighted_quantile};
pub use scores::Scores;
pub(crate) use scores::{Binary, Data, Multiclass, Regression};
pub use sum::Sum;
pub use threshold::{ThresholdChoice, ThresholdRule, choose_threshold};

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One of two classes; scores are probabilities of the positive one.
    Binary,
    /// One of three or more classes; scores are one probability per class.
    Multiclass,
    /// A number.
    Regression,
}

impl Task {
    /// The task's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Multiclass => "multiclass",
            Self::Regression => "regression",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which values of a metric are good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Direction {
    /// The greater the better.
    Higher,
    /// The smaller the better.
    Lower,
    /// The nearer to this value the better.
    Target(f64),
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean negative log likelihood, probabilities held within one rounding unit of 0 and 1.
    LogLoss,
    /// Area under the ROC curve, ties count one half.
    RocAuc,
    /// Area under the precision-recall steps.
    AveragePrecision,
    /// Mean squared difference of probability and outcome.
    Brier,
    /// Share of rows predicted right.
    Accuracy,
    /// Mean recall of the classes that occur.
    BalancedAccuracy,
    /// Share of predicted positives that are positive; 0 when none is predicted.
    Precision,
    /// Share of positives that are predicted.
    Recall,
    /// Harmonic mean of precision and recall.
    F1,
    /// Matthews' correlation of prediction and truth; 0 when one class only is predicted.
    Mcc,
    /// Shift on the logit scale that makes the mean risk right, slope held at 1 (Van Calster et al., 2016); 0 is right.
    CalibrationIntercept,
    /// Slope of the outcome on the logit of the score; 1 is right, below 1 the scores are too extreme.
    CalibrationSlope,
    /// Expected calibration error over equal-width bins: shown, never gated, since a constant predictor scores about 0.
    Ece,
    /// Mean F1 of the classes that occur or are predicted.
    MacroF1,
    /// Mean over the classes of the area under the ROC curve of that class against the rest.
    MacroAuc,
    /// Root of the mean squared error.
    Rmse,
    /// Mean absolute error.
    Mae,
    /// Share of the variance explained.
    R2,
    /// Median absolute error.
    MedianAbsoluteError,
    /// Mean absolute error relative to the true value, as a fraction.
    Mape,
}

impl Metric {
    /// Every metric, in the order in which reports show them.
    pub const ALL: [Self; 20] = [
        Self::LogLoss,
        Self::RocAuc,
        Self::AveragePrecision,
        Self::Brier,
        Self::CalibrationIntercept,
        Self::CalibrationSlope,
        Self::Accuracy,
        Self::BalancedAccuracy,
        Self::Precision,
        Self::Recall,
        Self::F1,
        Self::Mcc,
        Self::MacroF1,
        Self::MacroAuc,
        Self::Ece,
        Self::Rmse,
        Self::Mae,
        Self::R2,
        Self::MedianAbsoluteError,
        Self::Mape,
    ];

    /// The metric's name in files, rules and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogLoss => "log_loss",
            Self::RocAuc => "roc_auc",
            Self::AveragePrecision => "average_precision",
            Self::Brier => "brier",
            Self::Accuracy => "accuracy",
            Self::BalancedAccuracy => "balanced_accuracy",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::F1 => "f1",
            Self::Mcc => "mcc",
            Self::CalibrationIntercept => "calibration_intercept",
            Self::CalibrationSlope => "calibration_slope",
            Self::Ece => "ece",
            Self::MacroF1 => "macro_f1",
            Self::MacroAuc => "macro_auc",
            Self::Rmse => "rmse",
            Self::Mae => "mae",
            Self::R2 => "r2",
            Self::MedianAbsoluteError => "median_absolute_error",
            Self::Mape => "mape",
        }
    }

    /// Which values are good.
    pub const fn direction(self) -> Direction {
        match self {
            Self::LogLoss | Self::Brier | Self::Ece => Direction::Lower,
            Self::Rmse | Self::Mae | Self::MedianAbsoluteError | Self::Mape => Direction::Lower,
            Self::CalibrationIntercept => Direction::Target(0.0),
            Self::CalibrationSlope => Direction::Target(1.0),
            _ => Direction::Higher,
        }
    }

    /// Whether a greater value is always the better one.
    pub const fn higher_is_better(self) -> bool {
        matches!(self.direction(), Direction::Higher)
    }

    /// How much better `candidate` is than `champion`: positive is better, in the metric's own unit.
    pub fn gain(self, candidate: f64, champion: f64) -> f64 {
        match self.direction() {
            Direction::Higher => candidate - champion,
            Direction::Lower => champion - candidate,
            Direction::Target(target) => (champion - target).abs() - (candidate - target).abs(),
        }
    }

    /// Whether the metric is defined for `task`.
    pub const fn applies_to(self, task: Task) -> bool {
        match self {
            Self::LogLoss | Self::Accuracy | Self::BalancedAccuracy => !matches!(task, Task::Regression),
            Self::MacroF1 | Self::MacroAuc => matches!(task, Task::Multiclass),
            Self::Rmse | Self::Mae | Self::R2 | Self::MedianAbsoluteError | Self::Mape => {
                matches!(task, Task::Regression)
            }
            _ => matches!(task, Task::Binary),
        }
    }

    /// Whether a gate may decide by it.
    pub const fn gateable(self) -> bool {
        !matches!(self, Self::Ece)
    }

    /// Whether it depends on the decision threshold.
    pub const fn needs_threshold(self) -> bool {
        matches!(self, Self::Precision | Self::Recall | Self::F1 | Self::Mcc)
    }

    /// The metrics of `task`, in the order in which reports show them.
    pub fn of(task: Task) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |metric| metric.applies_to(task))
    }

    /// The metric that studies optimise and gates judge by default: log loss for classes, RMSE for numbers.
    pub const fn primary(task: Task) -> Self {
        match task {
            Task::Binary | Task::Multiclass => Self::LogLoss,
            Task::Regression => Self::Rmse,
        }
    }

    pub(crate) fn of_confusion(self, confusion: &Confusion) -> Option<Result<f64, MetricError>> {
        evaluate::from_confusion(self, confusion)
    }

    /// The metric's value on `scores`.
    ///
    /// # Errors
    /// [`MetricError`] if the metric is not of this task or not defined on these rows.
    pub fn compute(self, scores: &Scores) -> Result<f64, MetricError> {
        evaluate::compute(self, scores)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = MetricError;

    fn from_str(text: &str) -> Result<Self, MetricError> {
        let known = Self::ALL.into_iter().find(|metric| metric.name() == text);
        known.ok_or_else(|| MetricError::Unknown(text.chars().take(80).collect()))
    }
}

/// Why a metric has no value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// No row.
    #[error("there is no row to measure on")]
    Empty,
    /// Two columns of a different number of rows.
    #[error("{what} has {found} values where {expected} are needed")]
    Length {
        /// Which column.
        what: &'static str,
        /// Its values.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// NaN, an infinity, or a number outside of its range.
    #[error("{what} of row {row} is {value}: {need}")]
    Value {
        /// Which column.
        what: &'static str,
        /// First such row.
        row: usize,
        /// What stands there.
        value: f64,
        /// What is needed instead.
        need: &'static str,
    },
    /// Every weight is zero.
    #[error("every row has weight zero")]
    NoWeight,
    /// A class number beyond the number of classes.
    #[error("the true class of row {row} is number {class}, but there are {classes} classes")]
    Class {
        /// First such row.
        row: usize,
        /// The class.
        class: u32,
        /// Number of classes.
        classes: usize,
    },
    /// The rows hold one class.
    #[error("all rows are of one class: the metric needs both")]
    OneClass,
    /// A class does not occur.
    #[error("class number {class} does not occur in these rows: the metric needs every class")]
    MissingClass {
        /// Number of the first class that is missing.
        class: usize,
    },
    /// The true values do not vary.
    #[error("the true value is the same in all rows: explained variance is not defined")]
    ConstantTruth,
    /// The scores do not vary.
    #[error("the score is the same in all rows: a slope is not defined")]
    ConstantScore,
    /// A true value is zero.
    #[error("the true value of row {row} is 0: relative error is not defined")]
    ZeroTruth {
        /// First such row.
        row: usize,
    },
    /// The fit has no finite solution.
    #[error("the scores separate the classes perfectly: the calibration fit has no finite solution")]
    Separated,
    /// The metric belongs to another task.
    #[error("{metric} is not a metric of a {task} task")]
    Task {
        /// The metric.
        metric: Metric,
        /// The task of the scores.
        task: Task,
    },
    /// No such metric.
    #[error("`{0}` is not a metric: use a name such as log_loss, roc_auc, macro_f1 or rmse")]
    Unknown(String),
}
