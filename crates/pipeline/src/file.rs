//! The pipeline file: text to a checked [`Pipeline`].
//!
//! Text → tree with line numbers (`node`) → parameters put in (`parameters`) → sections (`de`, each
//! section a file) → checks across sections (`check`). Every error names a line, a path and what to
//! write instead.

mod check;
mod de;
mod duration;
mod node;
mod parameters;
mod section;

use std::collections::BTreeMap;

use gristmill_types::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use duration::Seconds;
pub use parameters::Scalar;
pub use section::{
    AsOf, Available, Basis, Csv, Dataset, Evaluation, Format, Join, Key, Monitoring, Named, Preparation, Refit,
    RefuseAnomalies, Register, Registry, Rule, Source, Split, SplitMethod, Step, Task, Threshold, Training, Treatment,
};

/// Most bytes of a file.
pub const FILE_BYTES: usize = 256 << 10;

/// The one version of the format.
pub const API_VERSION: &str = "gristmill/v1alpha1";

/// A checked pipeline: parameters put in, defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Gristmill pipeline")]
pub struct Pipeline {
    /// `gristmill/v1alpha1`.
    pub api_version: String,
    /// `Pipeline`.
    pub kind: String,
    /// 1 to 63 lower-case letters, digits, `-` or `_`.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Of splits, studies and intervals.
    #[serde(default = "section::seed")]
    pub seed: u64,
    /// Values of `${name}`; the default's type is the type, null has to be given.
    #[serde(default)]
    pub parameters: BTreeMap<String, Option<Scalar>>,
    /// Data interval.
    #[serde(default)]
    pub interval: Interval,
    /// By table name.
    pub sources: BTreeMap<String, Source>,
    /// How the sources become one table.
    #[serde(default)]
    pub dataset: Dataset,
    /// From the table to splits and a fitted transform.
    pub preparation: Preparation,
    /// The study.
    #[serde(default)]
    pub training: Training,
    /// The gate.
    #[serde(default)]
    pub evaluation: Evaluation,
    /// Version and alias.
    #[serde(default)]
    pub registry: Registry,
    /// What checks of live rows use.
    #[serde(default)]
    pub monitoring: Monitoring,
}

/// Data interval `[start, end)`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Interval {
    /// RFC 3339 or a day; empty for none.
    pub start: String,
    /// RFC 3339 or a day; empty for none.
    pub end: String,
}

/// What the caller gives beside the text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Given {
    /// Parameters by name.
    pub parameters: BTreeMap<String, String>,
    /// Data interval; empty texts leave the file's.
    pub interval: Interval,
}

/// What is wrong with a file, where, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(*line, path))]
pub struct FileError {
    /// Line of the file, from 1; 0 when no line is to blame.
    pub line: u64,
    /// Path of the key, such as `training.trials`; empty for the file.
    pub path: String,
    /// What and what instead.
    pub message: String,
}

fn place(line: u64, path: &str) -> String {
    match (line, path) {
        (0, "") => String::new(),
        (0, path) => format!("{path}: "),
        (line, "") => format!("line {line}: "),
        (line, path) => format!("line {line}, {path}: "),
    }
}

impl Pipeline {
    /// Reads and checks the text of a file.
    ///
    /// # Errors
    /// [`FileError`] names the first thing that is wrong.
    pub fn parse(text: &str, given: &Given) -> Result<Self, FileError> {
        let mut tree = node::parse(text)?;
        let (parameters, interval) = parameters::substitute(&mut tree, given)?;
        let mut pipeline: Self = de::read(&tree)?;
        pipeline.parameters = parameters.into_iter().map(|(name, value)| (name, Some(value))).collect();
        pipeline.interval = interval;
        check::check(&mut pipeline).map_err(|error| error.find_line(&tree))?;
        Ok(pipeline)
    }

    /// The file as the program understands it: JSON (which is YAML too), every default filled in, every
    /// parameter put in. Parsing it gives the same pipeline.
    pub fn canonical(&self) -> String {
        // Plain structs with text keys always serialize.
        let mut value = serde_json::to_value(self).unwrap_or_default();
        parameters::escape(&mut value);
        let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Digest of the canonical form.
    pub fn digest(&self) -> Digest {
        Digest::of(self.canonical().as_bytes())
    }

    /// The JSON Schema of the file, for editors.
    pub fn json_schema() -> String {
        let schema = schemars::schema_for!(Self);
        serde_json::to_string_pretty(&schema).unwrap_or_default()
    }
}

impl FileError {
    pub(crate) fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { line: 0, path: path.into(), message: message.into() }
    }

    fn find_line(self, tree: &node::Node) -> Self {
        Self { line: tree.line_of(&self.path), ..self }
    }
}

/// `name` and the nearest of `known`, as a hint at the end of a sentence.
pub(crate) fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.into_iter().collect();
    let nearest = known.iter().map(|word| (strsim::jaro_winkler(name, word), *word));
    match nearest.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((score, word)) if score >= 0.8 => format!("did you mean `{word}`?"),
        _ if known.is_empty() => "there is none".into(),
        _ => format!("write one of {}", known.join(", ")),
    }
}
