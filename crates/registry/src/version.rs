//! A registered version, and what is asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use gristmill_types::{ArtifactKind, ArtifactRef, Digest, Micros, Name, Project};
use serde::{Deserialize, Serialize};

use crate::RegistryError;

const MAX_TAGS: usize = 64;
const MAX_TAG_KEY: usize = 63;
const MAX_TAG_VALUE: usize = 1_024;
const MAX_DESCRIPTION: usize = 16 << 10;
const MAX_METRICS: usize = 1_024;
const MAX_METRIC_NAME: usize = 128;
const MAX_SEEN: usize = 64;
const MAX_RUN_ID: usize = 128;

/// What the gate said about a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every rule holds.
    Passed,
    /// A rule does not hold.
    Refused,
    /// Too few units for a verdict.
    NotEnoughData,
    /// The champion could not be measured on the same rows.
    NotComparable,
}

impl Verdict {
    const ALL: [Self; 4] = [Self::Passed, Self::Refused, Self::NotEnoughData, Self::NotComparable];

    /// The verdict's name in files, rows and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::NotEnoughData => "not_enough_data",
            Self::NotComparable => "not_comparable",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Verdict {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == text).ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            format!("`{text}` is not a verdict: write passed, refused, not_enough_data or not_comparable")
        })
    }
}

/// Whether a version may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It may.
    Ready,
    /// It is kept, but no alias may be moved to it.
    Retired,
}

impl Status {
    /// The status's name in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Retired => "retired",
        }
    }
}

impl FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Ready, Self::Retired].into_iter().find(|status| status.as_str() == text).ok_or(())
    }
}

/// One version of a model. Its number and artifacts never change; description, tags and status may.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// Where it belongs.
    pub project: Project,
    /// The model.
    pub name: Name,
    /// Counts up from 1 without gaps.
    pub version: u32,
    /// The model's bytes.
    pub model: ArtifactRef,
    /// Metrics and verdict of this model on a test split.
    pub evaluation: Option<ArtifactRef>,
    /// What the evaluation says.
    pub verdict: Option<Verdict>,
    /// Figures to list; the evaluation holds them with their intervals.
    pub metrics: BTreeMap<String, f64>,
    /// Whether it may be used.
    pub status: Status,
    /// For people.
    pub description: String,
    /// For programs.
    pub tags: BTreeMap<String, String>,
    /// Aliases that stand on it now.
    pub aliases: Vec<Name>,
    /// When it was registered.
    pub created_at: Micros,
    /// By whom.
    pub created_by: String,
    /// Prepared splits the model has seen.
    pub seen: Vec<ArtifactRef>,
    /// The pipeline run that made it, if one did.
    pub run_id: String,
}

/// A version to register.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewVersion {
    /// The model.
    pub name: Name,
    /// Its bytes.
    pub model: ArtifactRef,
    /// An evaluation of it.
    pub evaluation: Option<ArtifactRef>,
    /// What the caller believes the evaluation to say.
    pub verdict: Option<Verdict>,
    /// Figures to list.
    pub metrics: BTreeMap<String, f64>,
    /// For people.
    pub description: String,
    /// For programs.
    pub tags: BTreeMap<String, String>,
    /// Prepared splits the model has seen.
    pub seen: Vec<ArtifactRef>,
    /// The pipeline run that made it.
    pub run_id: String,
}

/// What may change of a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionChange {
    /// A new description.
    pub description: Option<String>,
    /// Tags to set; an empty value removes the tag.
    pub tags: BTreeMap<String, String>,
    /// A new status.
    pub status: Option<Status>,
}

impl NewVersion {
    /// The least a version needs.
    pub fn of(name: Name, model: ArtifactRef) -> Self {
        Self {
            name,
            model,
            evaluation: None,
            verdict: None,
            metrics: BTreeMap::new(),
            description: String::new(),
            tags: BTreeMap::new(),
            seen: Vec::new(),
            run_id: String::new(),
        }
    }

    /// Checks what needs no store.
    pub(crate) fn check(&self) -> Result<(), RegistryError> {
        let kind = |field: &str, artifact: ArtifactRef, kind: ArtifactKind| {
            if artifact.kind == kind {
                return Ok(());
            }
            Err(RegistryError::Kind { field: field.into(), artifact, expected: kind.as_str() })
        };
        kind("model", self.model, ArtifactKind::Model)?;
        if let Some(evaluation) = self.evaluation {
            kind("evaluation", evaluation, ArtifactKind::Evaluation)?;
        } else if self.verdict.is_some() {
            return Err(RegistryError::invalid("verdict", "a verdict needs the evaluation that holds it"));
        }
        for (at, seen) in self.seen.iter().enumerate() {
            kind(&format!("seen[{at}]"), *seen, ArtifactKind::Prepared)?;
        }
        if self.seen.len() > MAX_SEEN {
            return Err(RegistryError::invalid("seen", format!("at most {MAX_SEEN} splits")));
        }
        if self.metrics.len() > MAX_METRICS {
            return Err(RegistryError::invalid("metrics", format!("at most {MAX_METRICS} metrics")));
        }
        for (name, value) in &self.metrics {
            if name.is_empty() || name.len() > MAX_METRIC_NAME || !value.is_finite() {
                let name: String = name.chars().take(40).collect();
                let message = format!(
                    "a metric has a name of 1 to {MAX_METRIC_NAME} bytes and a finite value: leave out one without value"
                );
                return Err(RegistryError::invalid(format!("metrics[{name}]"), message));
            }
        }
        if self.run_id.len() > MAX_RUN_ID {
            return Err(RegistryError::invalid("run_id", format!("at most {MAX_RUN_ID} bytes")));
        }
        check_description(&self.description)?;
        check_tags(&self.tags)
    }

    /// Tells whether two requests ask for the same.
    pub(crate) fn digest(&self) -> Digest {
        #[expect(clippy::expect_used, reason = "names, texts and finite numbers under text keys have a JSON form")]
        let bytes = serde_json::to_vec(self).expect("a version is plain JSON");
        Digest::of(&bytes)
    }
}

impl VersionChange {
    pub(crate) fn check(&self) -> Result<(), RegistryError> {
        check_description(self.description.as_deref().unwrap_or_default())?;
        check_tags(&self.tags)
    }

    /// The tags of a version after this change.
    pub(crate) fn apply(&self, mut tags: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, RegistryError> {
        for (key, value) in &self.tags {
            if value.is_empty() {
                tags.remove(key);
            } else {
                tags.insert(key.clone(), value.clone());
            }
        }
        check_tags(&tags)?;
        Ok(tags)
    }
}

fn check_description(text: &str) -> Result<(), RegistryError> {
    if text.len() > MAX_DESCRIPTION {
        return Err(RegistryError::invalid("description", format!("at most {MAX_DESCRIPTION} bytes")));
    }
    Ok(())
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), RegistryError> {
    if tags.len() > MAX_TAGS {
        return Err(RegistryError::invalid("tags", format!("at most {MAX_TAGS} tags")));
    }
    for (key, value) in tags {
        let good = !key.is_empty() && key.len() <= MAX_TAG_KEY && key.bytes().all(|b| b.is_ascii_graphic());
        if !good || value.len() > MAX_TAG_VALUE {
            let key: String = key.chars().take(40).collect();
            let message = format!(
                "a tag has a name of 1 to {MAX_TAG_KEY} visible ASCII characters and at most {MAX_TAG_VALUE} bytes"
            );
            return Err(RegistryError::invalid(format!("tags[{key}]"), message));
        }
    }
    Ok(())
}

/// A version number for people.
pub(crate) fn show(version: Option<u32>) -> String {
    version.map_or_else(|| "no version".to_owned(), |version| format!("version {version}"))
}
