//! What the registry can refuse.

use gristmill_rpc::error::Problem;
use gristmill_runtime::database::DatabaseError;
use gristmill_stage::store_problem;
use gristmill_store::StoreError;
use gristmill_types::{ArtifactRef, ErrorCode, Name, RequestId};

use crate::version::{Verdict, show};

/// Errors of the registry; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The configuration cannot work.
    #[error("the registry cannot start: {0}")]
    Config(String),
    /// A field of a request is wrong.
    #[error("{field}: {message}")]
    Invalid {
        /// Path of the field.
        field: String,
        /// What was wrong and what to write.
        message: String,
    },
    /// No model has this name.
    #[error("no model `{0}` is registered in this project: list the models")]
    NoModel(Name),
    /// The model has no such version.
    #[error("model `{name}` has no version {version}: list its versions")]
    NoVersion {
        /// The model.
        name: Name,
        /// The number asked for.
        version: u32,
    },
    /// The alias stands nowhere.
    #[error("model `{name}` has no alias `{alias}`: set it, or ask for a version by number")]
    NoAlias {
        /// The model.
        name: Name,
        /// The alias asked for.
        alias: Name,
    },
    /// One request id, two requests.
    #[error("request id `{}` was used for another request: choose a new one", .0.as_str())]
    RequestReused(RequestId),
    /// An artifact that a version names cannot be used.
    #[error("{field}: {source}")]
    Artifact {
        /// The field that names it.
        field: String,
        /// What the store says.
        source: StoreError,
    },
    /// An artifact is of a kind that does not belong there.
    #[error("{field}: {artifact} is a {}, a {expected} is needed", artifact.kind)]
    Kind {
        /// The field that names it.
        field: String,
        /// The artifact.
        artifact: ArtifactRef,
        /// What belongs there.
        expected: &'static str,
    },
    /// The evaluation judged something else.
    #[error("evaluation {evaluation} was not made from model {model}: evaluate this model")]
    OtherModel {
        /// The evaluation.
        evaluation: ArtifactRef,
        /// The model to register.
        model: ArtifactRef,
    },
    /// The evaluation's verdict cannot be read.
    #[error("evaluation {0} holds no readable verdict: evaluate the model again")]
    NoVerdict(ArtifactRef),
    /// The caller claims another verdict than the evaluation holds.
    #[error("verdict: the evaluation says `{found}`, not `{claimed}`: leave the field empty or evaluate again")]
    VerdictDiffers {
        /// What the caller says.
        claimed: Verdict,
        /// What the evaluation says.
        found: Verdict,
    },
    /// Too many artifacts lead to the model.
    #[error("more than {0} artifacts lead to this one: register models of shorter lineage")]
    LineageTooLong(usize),
    /// The alias stands elsewhere.
    #[error(
        "alias `{alias}` of `{name}` stands on {}, not on {}: read it again and decide anew",
        show(*.found), show(*.expected)
    )]
    AliasMoved {
        /// The model.
        name: Name,
        /// The alias.
        alias: Name,
        /// Where the caller believed it to stand.
        expected: Option<u32>,
        /// Where it stands.
        found: Option<u32>,
    },
    /// The version has not passed its gate.
    #[error(
        "version {version} of `{name}` has {}: evaluate it, or override with a reason",
        verdict.map_or_else(|| "no verdict".to_owned(), |verdict| format!("the verdict `{verdict}`"))
    )]
    NotPassed {
        /// The model.
        name: Name,
        /// The version.
        version: u32,
        /// Its verdict.
        verdict: Option<Verdict>,
    },
    /// The version is not to be used any more.
    #[error("version {version} of `{name}` is retired: choose another one")]
    Retired {
        /// The model.
        name: Name,
        /// The version.
        version: u32,
    },
    /// The bound on watches.
    #[error("{limit} watches are open already: end one")]
    TooManyWatches {
        /// The bound.
        limit: usize,
    },
    /// A page token that no page gave.
    #[error("the page token is not one of ours: start from the first page")]
    PageToken,
    /// Concurrent changes won several times over.
    #[error("other registrations were faster several times: try again")]
    Contended,
    /// Not every stage that names artifacts is known.
    #[error("this server is still starting and does not know yet who is to be asked: nothing was collected; try again")]
    HoldersUnknown,
    /// A stored row cannot be read.
    #[error("a stored row cannot be read: column `{0}`")]
    Row(&'static str),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RegistryError {
    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// The class of the error.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid { .. } | Self::PageToken | Self::Kind { .. } => ErrorCode::InvalidArgument,
            Self::NoModel(_) | Self::NoVersion { .. } | Self::NoAlias { .. } => ErrorCode::NotFound,
            Self::RequestReused(_) => ErrorCode::AlreadyExists,
            Self::Artifact { source, .. } | Self::Store(source) => match source.code() {
                // The thing asked for is the version; a missing artifact is a precondition of it.
                ErrorCode::NotFound => ErrorCode::FailedPrecondition,
                code => code,
            },
            Self::Config(_)
            | Self::OtherModel { .. }
            | Self::NoVerdict(_)
            | Self::VerdictDiffers { .. }
            | Self::LineageTooLong(_)
            | Self::NotPassed { .. }
            | Self::HoldersUnknown
            | Self::Retired { .. } => ErrorCode::FailedPrecondition,
            Self::AliasMoved { .. } | Self::Contended => ErrorCode::Aborted,
            Self::TooManyWatches { .. } => ErrorCode::ResourceExhausted,
            Self::Row(_) => ErrorCode::Internal,
            Self::Database(error) => error.code(),
        }
    }

    /// The stable reason, listed in the README.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Config(_) => "INVALID_CONFIG",
            Self::Invalid { .. } => "INVALID_REQUEST",
            Self::NoModel(_) => "MODEL_NOT_FOUND",
            Self::NoVersion { .. } => "VERSION_NOT_FOUND",
            Self::NoAlias { .. } => "ALIAS_NOT_FOUND",
            Self::RequestReused(_) => "REQUEST_ID_REUSED",
            Self::Artifact { source: StoreError::DataLoss { .. }, .. } | Self::Store(StoreError::DataLoss { .. }) => {
                "ARTIFACT_DAMAGED"
            }
            Self::Artifact { .. } | Self::Store(_) => "ARTIFACT_UNUSABLE",
            Self::Kind { .. } => "ARTIFACT_KIND",
            Self::OtherModel { .. } => "EVALUATION_OF_ANOTHER_MODEL",
            Self::NoVerdict(_) => "VERDICT_UNREADABLE",
            Self::VerdictDiffers { .. } => "VERDICT_DIFFERS",
            Self::LineageTooLong(_) => "LINEAGE_TOO_LONG",
            Self::AliasMoved { .. } => "ALIAS_MOVED",
            Self::NotPassed { .. } => "VERDICT_NOT_PASSED",
            Self::Retired { .. } => "VERSION_RETIRED",
            Self::TooManyWatches { .. } => "TOO_MANY_WATCHES",
            Self::PageToken => "INVALID_PAGE_TOKEN",
            Self::Contended => "CONTENDED",
            Self::HoldersUnknown => "HOLDERS_UNKNOWN",
            Self::Row(_) | Self::Database(_) => "DATABASE",
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let code = error.code();
        let reason = error.reason();
        match error {
            RegistryError::Store(error) => store_problem(error),
            error if code == ErrorCode::Internal => Self::internal(&error),
            RegistryError::Invalid { field, message } => {
                Self::new(code, reason, format!("{field}: {message}")).violation(field, message)
            }
            RegistryError::Artifact { field, source } if code != ErrorCode::Unavailable => {
                let message = source.to_string();
                Self::new(code, reason, format!("{field}: {message}")).violation(field, message)
            }
            RegistryError::AliasMoved { found, .. } => {
                Self::new(code, reason, error.to_string()).with("version", found.unwrap_or(0))
            }
            error => {
                if let Some(source) = std::error::Error::source(&error) {
                    tracing::warn!(error = %gristmill_rpc::error::chain(source), reason, "request failed");
                }
                Self::new(code, reason, error.to_string())
            }
        }
    }
}

impl From<RegistryError> for tonic::Status {
    fn from(error: RegistryError) -> Self {
        Problem::from(error).into()
    }
}
