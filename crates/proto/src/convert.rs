//! Conversions between contract messages and the nouns of `gristmill-types`.

use gristmill_types::{ArtifactRef, ColumnType, Field, JobId, JobState, Project, RequestId};

use crate::{artifact, job, table};

/// A field of a message that does not hold what its contract says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvertError {
    /// Path of the field.
    pub field: String,
    /// What was wrong and what to write.
    pub message: String,
}

impl ConvertError {
    /// Names a field and what is wrong with it.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// The same error under a parent field.
    #[must_use]
    pub fn within(self, parent: &str) -> Self {
        Self { field: format!("{parent}.{}", self.field), message: self.message }
    }
}

impl std::fmt::Display for ConvertError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl std::error::Error for ConvertError {}

impl From<ArtifactRef> for artifact::ArtifactRef {
    fn from(artifact: ArtifactRef) -> Self {
        Self { kind: artifact.kind.as_str().into(), digest: artifact.digest.to_string() }
    }
}

impl TryFrom<&artifact::ArtifactRef> for ArtifactRef {
    type Error = ConvertError;

    fn try_from(message: &artifact::ArtifactRef) -> Result<Self, ConvertError> {
        let kind = message.kind.parse().map_err(|error: String| ConvertError::new("kind", error))?;
        let digest = message
            .digest
            .parse()
            .map_err(|error: gristmill_types::DigestError| ConvertError::new("digest", error.to_string()))?;
        Ok(Self { kind, digest })
    }
}

/// Reads a required artifact reference of field `field`.
///
/// # Errors
/// [`ConvertError`] if it is absent or malformed.
pub fn artifact_ref(field: &str, message: Option<&artifact::ArtifactRef>) -> Result<ArtifactRef, ConvertError> {
    let message = message.ok_or_else(|| ConvertError::new(field, "name an artifact by kind and digest"))?;
    message.try_into().map_err(|error: ConvertError| error.within(field))
}

/// Reads a project; empty is `default`.
///
/// # Errors
/// [`ConvertError`] if it is not a project name.
pub fn project(text: &str) -> Result<Project, ConvertError> {
    if text.is_empty() {
        return Ok(Project::default());
    }
    Project::new(text).map_err(|error| ConvertError::new("project", error.to_string()))
}

/// Reads a job id.
///
/// # Errors
/// [`ConvertError`] if it is not one.
pub fn job_id(text: &str) -> Result<JobId, ConvertError> {
    text.parse().map_err(|error: String| ConvertError::new("id", error))
}

/// Reads an optional request id; empty is none.
///
/// # Errors
/// [`ConvertError`] if it is not 1 to 128 visible ASCII characters.
pub fn request_id(text: &str) -> Result<Option<RequestId>, ConvertError> {
    if text.is_empty() {
        return Ok(None);
    }
    RequestId::new(text).map(Some).map_err(|error| ConvertError::new("request_id", error))
}

impl From<JobState> for job::JobState {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Queued => Self::Queued,
            JobState::Running => Self::Running,
            JobState::Succeeded => Self::Succeeded,
            JobState::Failed => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
        }
    }
}

impl TryFrom<job::JobState> for JobState {
    type Error = ConvertError;

    fn try_from(state: job::JobState) -> Result<Self, ConvertError> {
        match state {
            job::JobState::Queued => Ok(Self::Queued),
            job::JobState::Running => Ok(Self::Running),
            job::JobState::Succeeded => Ok(Self::Succeeded),
            job::JobState::Failed => Ok(Self::Failed),
            job::JobState::Cancelled => Ok(Self::Cancelled),
            job::JobState::Unspecified => Err(ConvertError::new("state", "a job state is required")),
        }
    }
}

impl From<&Field> for table::Field {
    fn from(field: &Field) -> Self {
        Self { name: field.name.clone(), r#type: field.column_type.to_string() }
    }
}

impl TryFrom<&table::Field> for Field {
    type Error = ConvertError;

    fn try_from(message: &table::Field) -> Result<Self, ConvertError> {
        let column_type: ColumnType =
            message.r#type.parse().map_err(|error: String| ConvertError::new("type", error))?;
        Ok(Self { name: message.name.clone(), column_type })
    }
}
