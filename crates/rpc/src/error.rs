//! Errors for callers: one shape for gRPC, HTTP and the command line.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::http::StatusCode;
use gristmill_types::{ErrorCode, FieldViolation};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of every reason in `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "gristmill";

/// What went wrong, for the one who asked: what to do about it, and nothing about the server's inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The class a program acts on.
    pub code: ErrorCode,
    /// A stable name, listed in the README of the crate that made it.
    pub reason: Cow<'static, str>,
    /// What was wrong, where, and what to do.
    pub message: String,
    /// Facts for programs, such as the name of the limit that was hit.
    pub metadata: BTreeMap<String, String>,
    /// Fields of the request that were wrong.
    pub violations: Vec<FieldViolation>,
    /// When it makes sense to try again.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// A problem of class `code`.
    pub fn new(code: ErrorCode, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            message: message.into(),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            retry_after: None,
        }
    }

    /// A request that can never succeed as it is.
    pub fn invalid(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, reason, message)
    }

    /// No such thing.
    pub fn not_found(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, reason, message)
    }

    /// A defect or a failure of the system below. `error` goes to the log with its causes; the caller
    /// gets a correlation id to ask the operator about.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let id = correlation_id();
        tracing::error!(correlation_id = %id, error = %chain(error), "internal error");
        Self::internal_as("INTERNAL", &id)
    }

    pub(crate) fn internal_as(reason: &'static str, id: &str) -> Self {
        let message = format!("internal error; the operator finds its cause in the log under {id}");
        Self::new(ErrorCode::Internal, reason, message).with("correlation_id", id)
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.metadata.insert(key.into(), value.to_string());
        self
    }

    /// Adds a wrong field.
    #[must_use]
    pub fn violation(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.violations.push(FieldViolation { field: field.into(), description: description.into() });
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The HTTP status of this class of problem.
    pub fn http_status(&self) -> StatusCode {
        http_status(self.code)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for violation in &self.violations {
            write!(f, "\n  {}: {}", violation.field, violation.description)?;
        }
        if let Some(delay) = self.retry_after {
            write!(f, "\n  try again in {:.1} s", delay.as_secs_f64())?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            problem.reason,
            DOMAIN,
            problem.metadata.into_iter().collect::<std::collections::HashMap<_, _>>(),
        );
        for violation in problem.violations {
            details.add_bad_request_violation(violation.field, violation.description);
        }
        if let Some(delay) = problem.retry_after {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(grpc_code(problem.code), problem.message, details)
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        Self::from(&status)
    }
}

impl From<&Status> for Problem {
    fn from(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let reason = match info {
            Some(info) => Cow::Owned(info.reason.clone()),
            None => Cow::Owned(format!("{:?}", status.code())),
        };
        let violations = details.bad_request().map(|bad| {
            let each = bad.field_violations.iter();
            each.map(|v| FieldViolation { field: v.field.clone(), description: v.description.clone() }).collect()
        });
        Self {
            code: error_code(status.code()),
            reason,
            message: if status.message().is_empty() { format!("{:?}", status.code()) } else { status.message().into() },
            metadata: info.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default(),
            violations: violations.unwrap_or_default(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }
}

/// A status for people: the message, each wrong field on its own line, when to try again.
pub fn describe(status: &Status) -> String {
    Problem::from(status).to_string()
}

/// The gRPC code of an error class.
pub const fn grpc_code(code: ErrorCode) -> Code {
    match code {
        ErrorCode::InvalidArgument => Code::InvalidArgument,
        ErrorCode::NotFound => Code::NotFound,
        ErrorCode::AlreadyExists => Code::AlreadyExists,
        ErrorCode::FailedPrecondition => Code::FailedPrecondition,
        ErrorCode::Aborted => Code::Aborted,
        ErrorCode::ResourceExhausted => Code::ResourceExhausted,
        ErrorCode::PermissionDenied => Code::PermissionDenied,
        ErrorCode::Unauthenticated => Code::Unauthenticated,
        ErrorCode::Cancelled => Code::Cancelled,
        ErrorCode::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorCode::Unavailable => Code::Unavailable,
        ErrorCode::DataLoss => Code::DataLoss,
        ErrorCode::Internal => Code::Internal,
    }
}

/// The error class of a gRPC code. Codes that have no class of their own join the one a caller would
/// act on in the same way.
pub const fn error_code(code: Code) -> ErrorCode {
    match code {
        Code::InvalidArgument | Code::OutOfRange => ErrorCode::InvalidArgument,
        Code::NotFound => ErrorCode::NotFound,
        Code::AlreadyExists => ErrorCode::AlreadyExists,
        Code::FailedPrecondition | Code::Unimplemented => ErrorCode::FailedPrecondition,
        Code::Aborted => ErrorCode::Aborted,
        Code::ResourceExhausted => ErrorCode::ResourceExhausted,
        Code::PermissionDenied => ErrorCode::PermissionDenied,
        Code::Unauthenticated => ErrorCode::Unauthenticated,
        Code::Cancelled => ErrorCode::Cancelled,
        Code::DeadlineExceeded => ErrorCode::DeadlineExceeded,
        Code::Unavailable => ErrorCode::Unavailable,
        Code::DataLoss => ErrorCode::DataLoss,
        Code::Ok | Code::Unknown | Code::Internal => ErrorCode::Internal,
    }
}

/// The HTTP status of an error class, as `google.rpc.Code` documents the mapping.
pub const fn http_status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidArgument | ErrorCode::FailedPrecondition => StatusCode::BAD_REQUEST,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::AlreadyExists | ErrorCode::Aborted => StatusCode::CONFLICT,
        ErrorCode::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        // 499 is nginx's «client closed request», which every proxy and dashboard knows.
        ErrorCode::Cancelled => match StatusCode::from_u16(499) {
            Ok(status) => status,
            Err(_) => StatusCode::BAD_REQUEST,
        },
        ErrorCode::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::DataLoss | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error with its causes, one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A name for one failure, unique in practice: never part of a result, so it needs no injected
/// randomness (I8).
pub(crate) fn correlation_id() -> String {
    static PROCESS: OnceLock<RandomState> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}", PROCESS.get_or_init(RandomState::new).hash_one(next))
}
