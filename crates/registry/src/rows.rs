//! Stored rows as domain values.

use std::collections::BTreeMap;

use gristmill_runtime::database::Row;
use gristmill_types::{ArtifactRef, Name};
use serde::de::DeserializeOwned;

use crate::{AliasMove, RegistryError, Version};

/// A statement that reads versions, with the columns that [`version`] needs.
macro_rules! select_version {
    ($rest:literal) => {
        concat!(
            "select project, name, version, model, evaluation, verdict, metrics, status, description, tags, seen, ",
            "run_id, created_at, created_by from {s}version ",
            $rest
        )
    };
}
pub(crate) use select_version;

/// An artifact as a row holds it.
pub(crate) fn artifact_text(artifact: &ArtifactRef) -> String {
    artifact.to_string()
}

fn artifact(column: &'static str, text: &str) -> Result<ArtifactRef, RegistryError> {
    let read = || {
        let (kind, digest) = text.split_once('/')?;
        Some(ArtifactRef { kind: kind.parse().ok()?, digest: digest.parse().ok()? })
    };
    read().ok_or(RegistryError::Row(column))
}

fn json<T: DeserializeOwned>(row: &Row, column: &'static str) -> Result<T, RegistryError> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|_| RegistryError::Row(column))
}

fn optional<T: std::str::FromStr>(row: &Row, column: &'static str) -> Result<Option<T>, RegistryError> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|_| RegistryError::Row(column))).transpose()
}

/// Reads a version; its aliases are read apart.
pub(crate) fn version(row: &Row) -> Result<Version, RegistryError> {
    let evaluation: Option<String> = row.get("evaluation")?;
    let seen: Vec<String> = json(row, "seen")?;
    Ok(Version {
        project: row.get("project")?,
        name: row.get("name")?,
        version: row.get("version")?,
        model: artifact("model", &row.get::<String>("model")?)?,
        evaluation: evaluation.map(|text| artifact("evaluation", &text)).transpose()?,
        verdict: optional(row, "verdict")?,
        metrics: json::<BTreeMap<String, f64>>(row, "metrics")?,
        status: optional(row, "status")?.ok_or(RegistryError::Row("status"))?,
        description: row.get("description")?,
        tags: json(row, "tags")?,
        aliases: Vec::new(),
        created_at: row.get("created_at")?,
        created_by: row.get("created_by")?,
        seen: seen.iter().map(|text| artifact("seen", text)).collect::<Result<_, _>>()?,
        run_id: row.get("run_id")?,
    })
}

pub(crate) fn alias_move(row: &Row) -> Result<AliasMove, RegistryError> {
    Ok(AliasMove {
        sequence: row.get("sequence")?,
        name: row.get("name")?,
        alias: row.get("alias")?,
        from: row.get("from_version")?,
        to: row.get("to_version")?,
        at: row.get("at")?,
        by: row.get("moved_by")?,
        reason: row.get("reason")?,
        verdict: optional(row, "verdict")?,
    })
}

/// Who stands on which version: `(name, alias, version)`.
pub(crate) fn standing(row: &Row) -> Result<(Name, Name, u32), RegistryError> {
    Ok((row.get("name")?, row.get("alias")?, row.get("version")?))
}

/// A version as audits name it: `fraud/versions/3`.
pub(crate) fn version_subject(name: &Name, version: u32) -> String {
    format!("{name}/versions/{version}")
}

/// As [`version_subject`], of an alias.
pub(crate) fn alias_subject(name: &Name, alias: &Name) -> String {
    format!("{name}/aliases/{alias}")
}

/// The texts of artifacts as a row holds them.
pub(crate) fn artifacts_text(artifacts: &[ArtifactRef]) -> Vec<String> {
    artifacts.iter().map(artifact_text).collect()
}
