//! What an evaluation artifact holds: `evaluation.json` and `verdict.json`.

use std::collections::BTreeMap;

use gristmill_stats::compare::Comparison;
use gristmill_stats::curve::{CalibrationBin, CurvePoint, HistogramBin, ResidualBin};
use gristmill_stats::gate::{Finding, Rule, State};
use gristmill_stats::interval::Estimates;
use gristmill_stats::metric::{Confusion, Task};
use gristmill_types::ArtifactRef;
use serde::{Deserialize, Serialize};

/// `evaluation.json`: everything that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Raised when a reader of an earlier version would misread the file.
    pub format_version: u32,
    /// The model.
    pub model: ModelFacts,
    /// The champion, if there is one.
    pub champion: Option<ModelFacts>,
    /// Why the champion could not be compared, if so.
    pub not_comparable: Option<String>,
    /// Which rows were measured on.
    pub rows: RowFacts,
    /// How often a test split was opened for this model name, this time included.
    pub test_opened: u32,
    /// The model's metrics with their intervals.
    pub estimates: Estimates,
    /// The champion's on the same rows and resamples.
    pub champion_estimates: Option<Estimates>,
    /// The model against the best constant predictor, for the metrics that rules ask for.
    pub constant: Vec<Comparison>,
    /// The model against the champion.
    pub comparison: Vec<Comparison>,
    /// Curves of bounded size.
    pub curves: Curves,
}

/// What a report says about a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// The model artifact.
    pub artifact: ArtifactRef,
    /// Version number of a champion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Learner.
    pub learner: String,
    /// Parameters of the winning trial.
    pub parameters: BTreeMap<String, String>,
    /// Task.
    pub task: Task,
    /// Column that is predicted.
    pub target: String,
    /// Labels in the order of the probabilities; for a binary task the second is the positive one.
    pub labels: Vec<String>,
    /// Threshold of a binary model.
    pub threshold: Option<f64>,
    /// `none`, `platt` or `isotonic`.
    pub calibration: String,
    /// Raw input columns.
    pub inputs: Vec<String>,
}

/// Which rows were measured on, and which were left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowFacts {
    /// The test split.
    pub test: ArtifactRef,
    /// Rows in it.
    pub in_test: u64,
    /// Rows without a target, left out.
    pub without_target: u64,
    /// Rows that are in the model's training or validation data, left out.
    pub seen_by_model: u64,
    /// Rows that are in the champion's training or validation data, left out of both models' figures.
    pub seen_by_champion: u64,
    /// Rows measured on.
    pub measured: u64,
    /// Units of dependence among them.
    pub units: u64,
    /// What a unit is.
    pub unit: String,
}

/// Curves; empty where the task has none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Curves {
    /// ROC curve of the model.
    pub roc: Vec<CurvePoint>,
    /// ROC curve of the champion.
    pub champion_roc: Vec<CurvePoint>,
    /// Precision-recall curve of the model.
    pub precision_recall: Vec<CurvePoint>,
    /// Scores against outcomes.
    pub calibration: Vec<CalibrationBin>,
    /// Scores of either class, in equal intervals from 0 to 1.
    pub scores: Vec<HistogramBin>,
    /// Confusion matrix.
    pub confusion: Option<Confusion>,
    /// Residuals by prediction.
    pub residuals: Vec<ResidualBin>,
}

/// `verdict.json`: what the gate said, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictFile {
    /// Raised when a reader of an earlier version would misread the file.
    pub format_version: u32,
    /// The verdict.
    pub state: State,
    /// One sentence.
    pub summary: String,
    /// The reasons that decided, the gravest first.
    pub reasons: Vec<String>,
    /// Whether the rules are the default ones.
    pub default_rules: bool,
    /// The rules.
    pub rules: Vec<Rule>,
    /// Every bound of every rule.
    pub findings: Vec<Finding>,
}
