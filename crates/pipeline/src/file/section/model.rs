//! Preparation, training, evaluation, registry and monitoring.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::file::{Scalar, Seconds};

/// From the table to splits and a fitted transform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// Column that is predicted.
    pub target: String,
    /// Kind of prediction.
    #[serde(default)]
    pub task: Task,
    /// Text of the positive class; empty: true, 1 or yes.
    #[serde(default)]
    pub positive: String,
    /// How rows are split.
    #[serde(default)]
    pub split: Split,
    /// Columns that name a row for people.
    #[serde(default)]
    pub ids: Vec<String>,
    /// Columns that may be features; empty: all that remain.
    #[serde(default)]
    pub features: Vec<String>,
    /// Columns that must not be features.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// What to do with a column, instead of what the recipe would do.
    #[serde(default)]
    pub columns: BTreeMap<String, Treatment>,
    /// Zone of date parts, where the column declares none.
    #[serde(default)]
    pub zone: String,
}

/// Kind of prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// By the target's values.
    #[default]
    Auto,
    /// Two classes.
    Binary,
    /// More classes.
    Multiclass,
    /// A number.
    Regression,
}

/// How rows are split.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Split {
    /// By what.
    pub method: SplitMethod,
    /// Time or group column.
    pub column: String,
    /// Share of training rows; the three shares are given together or not at all (0.6, 0.2, 0.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<f64>,
    /// Share of validation rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Share of test rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<f64>,
    /// Time split: last local day (inclusive) of training.
    pub train_until: String,
    /// Time split: last local day (inclusive) of validation.
    pub validation_until: String,
    /// Time split: left out between the splits.
    pub gap: Seconds,
}

/// By what rows are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitMethod {
    /// Time if there is a usable timestamp, group if an entity key repeats, else stratified.
    #[default]
    Auto,
    /// Earlier rows train.
    Time,
    /// A group is in one split only.
    Group,
    /// Equal shares of the classes.
    Stratified,
    /// By chance.
    Random,
    /// By a hash of the row's key: a row keeps its split when others come or go.
    Hash,
}

/// What to do with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// A number.
    Number,
    /// A category.
    Category,
    /// A category by the target's mean, cross-fitted.
    TargetEncoding,
    /// Parts of a date.
    DateParts,
    /// Not a feature.
    Drop,
}

/// The study; a 0 stands for the stage's default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Training {
    /// Learners to try; empty: all that fit the task.
    pub learners: Vec<String>,
    /// Trials in all.
    pub trials: u32,
    /// No new trial after this.
    pub time_budget: Seconds,
    /// Boosting rounds at the most.
    pub max_rounds: u32,
    /// Rounds without improvement before a trial stops.
    pub early_stopping_rounds: u32,
    /// Trial n is proposed from trials up to n − lag.
    pub lag: u32,
    /// Refit the winner on train and validation.
    pub refit: Refit,
    /// What the decision threshold is chosen for.
    pub threshold: Threshold,
    /// Parameters that are not searched, such as `boosting.max_depth: 6`.
    pub fixed: BTreeMap<String, Scalar>,
}

/// Refit the winner on train and validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refit {
    /// On for time splits.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// What the decision threshold is chosen for: `f1`, or the cost of each error.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Threshold {
    /// The F1 measure.
    #[default]
    F1,
    /// Least cost.
    Cost {
        /// Of a false positive.
        false_positive: f64,
        /// Of a false negative.
        false_negative: f64,
    },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Cost {
    false_positive: f64,
    false_negative: f64,
}

/// The gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Evaluation {
    /// Empty: better than the constant predictor and not worse than the champion.
    pub gate: Vec<Rule>,
    /// Alias of the version to compare with; empty: none.
    pub champion: String,
    /// Bootstrap replicates; 0: the stage's default.
    pub replicates: u32,
    /// Two-sided confidence of intervals.
    pub confidence: f64,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self { gate: Vec::new(), champion: "champion".into(), replicates: 0, confidence: 0.95 }
    }
}

/// One condition of deployment; bounds that are absent do not apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Metric by name, such as `log_loss`.
    pub metric: String,
    /// At least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// At most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Better than the constant predictor.
    #[serde(default)]
    pub better_than_constant: bool,
    /// Worse than the champion by at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion_margin: Option<f64>,
    /// Better than the champion by more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion_gain: Option<f64>,
    /// Better than the champion by more than this is suspected of a leak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspicious_gain: Option<f64>,
    /// What the bounds are held against.
    #[serde(default)]
    pub basis: Basis,
}

/// What a rule's bounds are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The end of the interval that is worse for the model.
    #[default]
    Interval,
    /// The value itself.
    Point,
}

/// Version and alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Registry {
    /// Model name; empty: the pipeline's.
    pub model: String,
    /// Of the version.
    pub description: String,
    /// Of the version.
    pub tags: BTreeMap<String, String>,
    /// When a version is registered.
    pub register: Register,
    /// Alias moved to the version when the verdict is `passed`; empty: none.
    pub promote: String,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            model: String::new(),
            description: String::new(),
            tags: BTreeMap::new(),
            register: Register::Always,
            promote: "champion".into(),
        }
    }
}

/// When a version is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Register {
    /// Whatever the verdict; it is recorded with the version.
    #[default]
    Always,
    /// When the verdict is `passed`.
    Passed,
    /// Never.
    Never,
}

/// What checks of live rows use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Monitoring {
    /// Least rows for a verdict; 0: the stage's default.
    pub min_rows: u32,
    /// Columns that are not compared.
    pub exclude: Vec<String>,
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::F1 => serializer.serialize_str("f1"),
            Self::Cost { false_positive, false_negative } => {
                Cost { false_positive, false_negative }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Threshold;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("f1, or { false_positive: 1, false_negative: 5 }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Threshold, E> {
                if text == "f1" { Ok(Threshold::F1) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Threshold, A::Error> {
                let cost = Cost::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Threshold::Cost { false_positive: cost.false_positive, false_negative: cost.false_negative })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Threshold {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Threshold".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let cost = generator.subschema_for::<Cost>();
        schemars::json_schema!({ "anyOf": [{ "const": "f1" }, cost] })
    }
}
