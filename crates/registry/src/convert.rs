//! Between contract messages and the domain (I3).

use gristmill_proto::ConvertError;
use gristmill_proto::registry as message;
use gristmill_types::Name;

use crate::{
    AliasChange, AliasMove, Expected, Lineage, LineageNode, ModelEntry, NewVersion, RegistryError, Status, Version,
    VersionChange,
};

impl From<ConvertError> for RegistryError {
    fn from(error: ConvertError) -> Self {
        Self::Invalid { field: error.field, message: error.message }
    }
}

pub(crate) fn name(field: &str, text: &str) -> Result<Name, RegistryError> {
    Name::new(text).map_err(|error| RegistryError::invalid(field, error.to_string()))
}

pub(crate) fn new_version(m: &message::CreateModelVersionRequest) -> Result<NewVersion, RegistryError> {
    let evaluation = m.evaluation.as_ref().map(|_| gristmill_proto::artifact_ref("evaluation", m.evaluation.as_ref()));
    let verdict = (!m.verdict.is_empty()).then(|| m.verdict.parse()).transpose();
    let seen = m.seen.iter().enumerate().map(|(at, seen)| {
        gristmill_proto::artifact_ref(&format!("seen[{at}]"), Some(seen)).map_err(RegistryError::from)
    });
    Ok(NewVersion {
        name: name("name", &m.name)?,
        model: gristmill_proto::artifact_ref("model", m.model.as_ref())?,
        evaluation: evaluation.transpose()?,
        verdict: verdict.map_err(|error| RegistryError::invalid("verdict", error))?,
        metrics: m.metrics.clone(),
        description: m.description.clone(),
        tags: m.tags.clone(),
        seen: seen.collect::<Result<_, _>>()?,
        run_id: m.run_id.clone(),
    })
}

pub(crate) fn version_change(m: &message::UpdateModelVersionRequest) -> VersionChange {
    VersionChange { description: m.description.clone(), tags: m.tags.clone(), status: None }
}

pub(crate) fn alias_change(m: &message::SetModelAliasRequest) -> Result<AliasChange, RegistryError> {
    let some = |version: u32| (version != 0).then_some(version);
    Ok(AliasChange {
        name: name("name", &m.name)?,
        alias: name("alias", &m.alias)?,
        to: some(m.version),
        expected: m.expected_version.map_or(Expected::Any, |version| Expected::At(some(version))),
        reason: m.reason.clone(),
        override_verdict: m.override_verdict,
    })
}

pub(crate) fn version(version: Version) -> message::ModelVersion {
    let status = match version.status {
        Status::Ready => message::VersionStatus::Ready,
        Status::Retired => message::VersionStatus::Retired,
    };
    message::ModelVersion {
        project: version.project.to_string(),
        name: version.name.to_string(),
        version: version.version,
        model: Some(version.model.into()),
        evaluation: version.evaluation.map(Into::into),
        verdict: version.verdict.map(|verdict| verdict.to_string()).unwrap_or_default(),
        metrics: version.metrics,
        status: status.into(),
        description: version.description,
        tags: version.tags,
        aliases: version.aliases.iter().map(Name::to_string).collect(),
        created_at: version.created_at,
        created_by: version.created_by,
        seen: version.seen.into_iter().map(Into::into).collect(),
        run_id: version.run_id,
    }
}

pub(crate) fn model(entry: ModelEntry) -> message::Model {
    message::Model {
        name: entry.name.to_string(),
        latest_version: entry.latest,
        aliases: entry.aliases.into_iter().map(|(alias, version)| (alias.to_string(), version)).collect(),
    }
}

pub(crate) fn alias_move(moved: AliasMove) -> message::AliasMove {
    message::AliasMove {
        sequence: moved.sequence,
        name: moved.name.to_string(),
        alias: moved.alias.to_string(),
        from_version: moved.from.unwrap_or(0),
        to_version: moved.to.unwrap_or(0),
        at: moved.at,
        by: moved.by,
        reason: moved.reason,
        verdict: moved.verdict.map(|verdict| verdict.to_string()).unwrap_or_default(),
    }
}

pub(crate) fn lineage(lineage: Lineage) -> message::GetLineageResponse {
    let node = |node: LineageNode| message::LineageNode {
        artifact: Some(node.artifact.into()),
        stage: node.stage,
        inputs: node.inputs.into_iter().map(Into::into).collect(),
    };
    message::GetLineageResponse {
        ancestors: lineage.ancestors.into_iter().map(node).collect(),
        versions: lineage.versions.into_iter().map(version).collect(),
    }
}
