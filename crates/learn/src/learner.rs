//! What a learner is: data and parameters in, a predictor of the model message out.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::str::FromStr;

use gristmill_model::proto;
use serde::{Deserialize, Serialize};

use crate::learners;
use crate::search::Space;
use crate::training_set::TrainingSet;
use crate::{LearnError, Task};

/// The learners there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearnerKind {
    /// The same answer for every row: what any other learner must beat.
    Constant,
    /// Least squares with an L2 penalty.
    Linear,
    /// Least squares with L1 and L2 penalties.
    ElasticNet,
    /// Logistic regression with an L2 penalty, softmax for several classes.
    Logistic,
    /// Gaussian naive Bayes.
    NaiveBayes,
    /// Random forest.
    RandomForest,
    /// Gradient-boosted trees.
    Boosting,
}

impl LearnerKind {
    /// Every learner, the simplest first.
    pub const ALL: [Self; 7] = [
        Self::Constant,
        Self::Linear,
        Self::ElasticNet,
        Self::Logistic,
        Self::NaiveBayes,
        Self::RandomForest,
        Self::Boosting,
    ];

    /// The learner's name in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Linear => "linear",
            Self::ElasticNet => "elastic_net",
            Self::Logistic => "logistic",
            Self::NaiveBayes => "naive_bayes",
            Self::RandomForest => "random_forest",
            Self::Boosting => "boosting",
        }
    }

    /// Whether it can learn `task`.
    pub const fn supports(self, task: Task) -> bool {
        match self {
            Self::Constant | Self::RandomForest | Self::Boosting => true,
            Self::Linear | Self::ElasticNet => matches!(task, Task::Regression),
            Self::Logistic | Self::NaiveBayes => !matches!(task, Task::Regression),
        }
    }

    /// The learner.
    pub fn learner(self) -> &'static dyn Learner {
        match self {
            Self::Constant => &learners::Constant,
            Self::Linear => &learners::Linear,
            Self::ElasticNet => &learners::ElasticNet,
            Self::Logistic => &learners::Logistic,
            Self::NaiveBayes => &learners::NaiveBayes,
            Self::RandomForest => &learners::RandomForest,
            Self::Boosting => &learners::Boosting,
        }
    }
}

impl std::fmt::Display for LearnerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LearnerKind {
    type Err = LearnError;

    fn from_str(text: &str) -> Result<Self, LearnError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            let text: String = text.chars().take(40).collect();
            LearnError::Study(format!("`{text}` is not a learner: choose {}", known.join(", ")))
        })
    }
}

/// The value of one parameter: a number or a text in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "serde_json::Value", try_from = "serde_json::Value")]
pub enum ParamValue {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// One of several names.
    Text(String),
}

impl From<ParamValue> for serde_json::Value {
    fn from(value: ParamValue) -> Self {
        match value {
            ParamValue::Int(v) => v.into(),
            ParamValue::Float(v) => v.into(),
            ParamValue::Text(v) => v.into(),
        }
    }
}

impl TryFrom<serde_json::Value> for ParamValue {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        if let Some(v) = value.as_i64() {
            return Ok(Self::Int(v));
        }
        match value {
            serde_json::Value::Number(v) => v.as_f64().map(Self::Float).ok_or_else(|| format!("{v} is not a number")),
            serde_json::Value::String(v) => Ok(Self::Text(v)),
            other => Err(format!("a parameter is a number or a text, not {other}")),
        }
    }
}

impl std::fmt::Display for ParamValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v}"),
            Self::Text(v) => f.write_str(v),
        }
    }
}

/// Parameters by name; what is not named has the learner's default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Params(pub BTreeMap<String, ParamValue>);

impl Params {
    /// The number called `name`, or `default`.
    ///
    /// # Errors
    /// [`LearnError::Parameter`] if it is not a finite number.
    pub fn float(&self, kind: LearnerKind, name: &str, default: f64) -> Result<f64, LearnError> {
        match self.0.get(name) {
            None => Ok(default),
            Some(ParamValue::Float(v)) if v.is_finite() => Ok(*v),
            Some(ParamValue::Int(v)) => Ok(*v as f64),
            Some(other) => Err(refused(kind, name, format!("`{other}` is not a finite number"))),
        }
    }

    /// The whole number called `name`, or `default`.
    ///
    /// # Errors
    /// [`LearnError::Parameter`] if it is not a whole number between 0 and 2^31.
    pub fn count(&self, kind: LearnerKind, name: &str, default: u32) -> Result<u32, LearnError> {
        match self.0.get(name) {
            None => Ok(default),
            Some(ParamValue::Int(v)) if (0..=i64::from(i32::MAX)).contains(v) => Ok(*v as u32),
            Some(other) => Err(refused(kind, name, format!("`{other}` is not a whole number from 0"))),
        }
    }
}

pub(crate) fn refused(kind: LearnerKind, name: &str, reason: String) -> LearnError {
    LearnError::Parameter { learner: kind.to_string(), parameter: name.into(), reason }
}

/// Told about every round; answers whether to go on, and keeps checkpoints for a later attempt.
///
/// A fit that goes on from a checkpoint gives the bytes of one that was never interrupted, wherever
/// checkpoints were taken; learners without long fits take none.
pub trait Hook: Sync {
    /// Round `round` of at most `of` is done; `score` is the validation loss if it was measured.
    fn round(&self, round: u32, of: u32, score: Option<f64>) -> ControlFlow<()>;

    /// Whether to hand in a checkpoint after this round, also after one that answered to stop.
    fn checkpoint_due(&self) -> bool {
        false
    }

    /// Takes a checkpoint; bytes that only the same learner on the same set, parameters and seed reads.
    fn keep(&self, checkpoint: Vec<u8>) {
        let _ = checkpoint;
    }

    /// The checkpoint of an earlier attempt at the same fit. What cannot be read is passed over: the fit
    /// begins anew.
    fn checkpoint(&self) -> Option<&[u8]> {
        None
    }
}

/// Never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHook;

impl Hook for NoHook {
    fn round(&self, _round: u32, _of: u32, _score: Option<f64>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// How one fit is to be run.
#[derive(Clone, Copy)]
pub struct FitContext<'a> {
    /// Seed of everything random.
    pub seed: u64,
    /// Exactly this many rounds; none stops by the validation rows.
    pub rounds: Option<u32>,
    /// Told about every round.
    pub hook: &'a dyn Hook,
}

impl Debug for FitContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FitContext").field("seed", &self.seed).field("rounds", &self.rounds).finish_non_exhaustive()
    }
}

impl FitContext<'_> {
    /// Reports a round.
    ///
    /// # Errors
    /// [`LearnError::Cancelled`] if the hook asks to stop.
    pub fn round(&self, round: u32, of: u32, score: Option<f64>) -> Result<(), LearnError> {
        match self.hook.round(round, of, score) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(LearnError::Cancelled),
        }
    }
}

/// How much a feature mattered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// The feature's name.
    pub feature: String,
    /// Share of the total gain (trees) or of the summed absolute standardised coefficients (linear).
    pub share: f64,
}

/// A fitted predictor.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The predictor.
    pub predictor: proto::Predictor,
    /// What turns its scores into an answer.
    pub link: proto::output::Link,
    /// Rounds kept, of learners that have rounds.
    pub rounds: Option<u32>,
    /// Features by falling importance; empty where the learner has none to give.
    pub importance: Vec<Importance>,
}

/// Fits predictors.
///
/// The same data, parameters and seed give the same predictor, to the byte, at any number of threads
/// of the rayon pool it runs in (within one CPU feature class).
pub trait Learner: Debug + Sync {
    /// Which learner this is.
    fn kind(&self) -> LearnerKind;

    /// The space its parameters are searched in, for data of this shape.
    fn space(&self, task: Task, rows: usize) -> Space;

    /// Why it cannot learn from this set, if it cannot.
    fn refusal(&self, set: &TrainingSet) -> Option<String> {
        let _ = set;
        None
    }

    /// Fits on the training rows; validation rows serve early stopping alone.
    ///
    /// # Errors
    /// [`LearnError::Parameter`] for parameters out of range, [`LearnError::Fit`] if the data cannot be
    /// learned from, [`LearnError::Cancelled`] if the hook said so.
    fn fit(&self, set: &TrainingSet, params: &Params, context: &FitContext<'_>) -> Result<Fitted, LearnError>;
}

/// Shares by name, greatest first, zero ones left out.
pub(crate) fn shares(gains: impl IntoIterator<Item = (String, f64)>) -> Vec<Importance> {
    let mut by_name: BTreeMap<String, f64> = BTreeMap::new();
    for (name, gain) in gains {
        if gain.is_finite() && gain > 0.0 {
            *by_name.entry(name).or_default() += gain;
        }
    }
    let total: f64 = by_name.values().sum();
    let mut out: Vec<Importance> =
        by_name.into_iter().map(|(feature, gain)| Importance { feature, share: gain / total }).collect();
    out.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.feature.cmp(&b.feature)));
    out
}
