//! References to artifacts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// What an artifact holds; its layout is documented with the crate that writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactKind {
    /// A source file as it was uploaded.
    Source,
    /// Integrated rows as Parquet, with the join report.
    Dataset,
    /// Statistics of every column of a dataset.
    Profile,
    /// Expected columns, types and domains.
    Schema,
    /// One split of a dataset: raw rows, and for train and validation the transformed blocks.
    Prepared,
    /// A fitted transform without a predictor.
    Transform,
    /// A leaderboard with its space and every trial.
    Study,
    /// A model file.
    Model,
    /// Metrics, intervals, verdict and report of one model on one test split.
    Evaluation,
    /// A model in a foreign format.
    Export,
    /// Scored rows.
    Predictions,
    /// Logged online requests and answers.
    InferenceLog,
    /// True values that arrived after prediction.
    Labels,
    /// Live rows against a baseline.
    DriftReport,
    /// A self-contained HTML report of a run.
    Report,
    /// How far an attempt at a job had got, for the next attempt; never an output.
    Checkpoint,
}

impl ArtifactKind {
    /// Every kind, in declaration order.
    pub const ALL: [Self; 16] = [
        Self::Source,
        Self::Dataset,
        Self::Profile,
        Self::Schema,
        Self::Prepared,
        Self::Transform,
        Self::Study,
        Self::Model,
        Self::Evaluation,
        Self::Export,
        Self::Predictions,
        Self::InferenceLog,
        Self::Labels,
        Self::DriftReport,
        Self::Report,
        Self::Checkpoint,
    ];

    /// The kind's name in manifests, keys and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Dataset => "dataset",
            Self::Profile => "profile",
            Self::Schema => "schema",
            Self::Prepared => "prepared",
            Self::Transform => "transform",
            Self::Study => "study",
            Self::Model => "model",
            Self::Evaluation => "evaluation",
            Self::Export => "export",
            Self::Predictions => "predictions",
            Self::InferenceLog => "inference-log",
            Self::Labels => "labels",
            Self::DriftReport => "drift-report",
            Self::Report => "report",
            Self::Checkpoint => "checkpoint",
        }
    }
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ArtifactKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not an artifact kind"))
    }
}

/// Names one artifact: its kind and the digest of its manifest's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// What it holds.
    pub kind: ArtifactKind,
    /// Digest of the manifest (I7).
    pub digest: Digest,
}

impl fmt::Display for ArtifactRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.digest)
    }
}
