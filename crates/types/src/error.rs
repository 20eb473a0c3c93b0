//! What went wrong, in the few classes a caller acts on.

use serde::{Deserialize, Serialize};

/// The class of an error; each maps to one gRPC code and one HTTP status in `rpc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request can never succeed as it is: correct it.
    InvalidArgument,
    /// No such thing (or none the caller may know of).
    NotFound,
    /// It exists already with other content.
    AlreadyExists,
    /// The system is not in the state the request needs: change that first.
    FailedPrecondition,
    /// A concurrent change won: read again and retry.
    Aborted,
    /// A limit or a full queue: wait, or ask for less.
    ResourceExhausted,
    /// Known caller, no right.
    PermissionDenied,
    /// Unknown caller.
    Unauthenticated,
    /// Cancelled on request.
    Cancelled,
    /// Out of time.
    DeadlineExceeded,
    /// A part is down: retry later.
    Unavailable,
    /// Stored bytes are not what was written.
    DataLoss,
    /// A defect of ours.
    Internal,
}

/// One field of a request and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldViolation {
    /// Path of the field, such as `sources[2].format`.
    pub field: String,
    /// What was wrong and what to write instead.
    pub description: String,
}
