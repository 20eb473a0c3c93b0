//! What a request, a deployment or the log can fail on.

use gristmill_model::ModelError;
use gristmill_rpc::error::Problem;
use gristmill_runtime::database::DatabaseError;
use gristmill_store::StoreError;
use gristmill_types::ErrorCode;

use crate::json::JsonError;

/// Why something is not served. Messages say what was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// The body is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The body is JSON, but not a request.
    #[error("{at}: {problem}")]
    Request {
        /// Where in the request.
        at: String,
        /// What was wrong and what to write.
        problem: String,
    },
    /// A limit of requests.
    #[error("the request has more than {limit} {what}: send fewer at a time, or use a batch prediction job")]
    Limit {
        /// What is too much.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// The rows do not fit the model, or the file is not a model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Nothing of that name is loaded.
    #[error("no model `{name}` is loaded here: deploy it, or move the alias that this server follows")]
    NotLoaded {
        /// The name.
        name: String,
    },
    /// Another version is loaded.
    #[error("model `{name}` is loaded in version {loaded}, not {asked}")]
    OtherVersion {
        /// The name.
        name: String,
        /// The version that is loaded.
        loaded: u32,
        /// The version that was asked for.
        asked: String,
    },
    /// The registry refused or does not answer.
    #[error("the registry: {}", .0.message)]
    Registry(Box<Problem>),
    /// An artifact cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stage's tables cannot be read or written.
    #[error("the serving tables cannot be used")]
    Database(#[from] DatabaseError),
    /// Rows cannot be read or written as a file.
    #[error(transparent)]
    Frame(#[from] gristmill_frame::Error),
    /// A thread of ours ended.
    #[error("the computation ended without an answer")]
    Thread,
}

impl ServingError {
    /// A field of a request and what is wrong with it.
    pub fn request(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Request { at: at.into(), problem: problem.into() }
    }

    /// The stable reason, listed in the README.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Json(_) => "INVALID_JSON",
            Self::Request { .. } => "INVALID_REQUEST",
            Self::Limit { .. } => "TOO_LARGE",
            Self::Model(ModelError::MissingColumns(_)) => "MISSING_COLUMNS",
            Self::Model(ModelError::WrongType { .. } | ModelError::BadValue { .. } | ModelError::CellCount { .. }) => {
                "WRONG_TYPE"
            }
            Self::Model(_) => "MODEL_UNUSABLE",
            Self::NotLoaded { .. } => "MODEL_NOT_LOADED",
            Self::OtherVersion { .. } => "VERSION_NOT_LOADED",
            Self::Registry(_) => "REGISTRY",
            Self::Store(_) => "ARTIFACT_STORE",
            Self::Database(_) => "DATABASE",
            Self::Frame(_) => "ROWS_UNREADABLE",
            Self::Thread => "INTERNAL",
        }
    }
}

impl From<ServingError> for Problem {
    fn from(error: ServingError) -> Self {
        let code = match &error {
            ServingError::Json(_)
            | ServingError::Request { .. }
            | ServingError::Limit { .. }
            | ServingError::Frame(_) => ErrorCode::InvalidArgument,
            ServingError::Model(model) => model.code(),
            ServingError::NotLoaded { .. } | ServingError::OtherVersion { .. } => ErrorCode::NotFound,
            ServingError::Registry(problem) => return problem.as_ref().clone(),
            ServingError::Store(_) => {
                let ServingError::Store(error) = error else { return Self::internal(&error) };
                return gristmill_stage::store_problem(error);
            }
            ServingError::Database(_) | ServingError::Thread => return Self::internal(&error),
        };
        Self::new(code, error.reason(), error.to_string())
    }
}

impl From<ServingError> for tonic::Status {
    fn from(error: ServingError) -> Self {
        Problem::from(error).into()
    }
}

impl From<tonic::Status> for ServingError {
    fn from(status: tonic::Status) -> Self {
        Self::Registry(Box::new(status.into()))
    }
}
