//! Error classes there and back, and as HTTP.

use std::time::Duration;

use axum::response::IntoResponse;
use gristmill_rpc::error::{chain, describe, error_code, grpc_code, http_status};
use gristmill_rpc::{Problem, Status};
use gristmill_types::ErrorCode;
use tonic::Code;

const ALL: [ErrorCode; 13] = [
    ErrorCode::InvalidArgument,
    ErrorCode::NotFound,
    ErrorCode::AlreadyExists,
    ErrorCode::FailedPrecondition,
    ErrorCode::Aborted,
    ErrorCode::ResourceExhausted,
    ErrorCode::PermissionDenied,
    ErrorCode::Unauthenticated,
    ErrorCode::Cancelled,
    ErrorCode::DeadlineExceeded,
    ErrorCode::Unavailable,
    ErrorCode::DataLoss,
    ErrorCode::Internal,
];

#[test]
fn a_problem_survives_the_way_as_a_status() {
    for code in ALL {
        let sent = Problem::new(code, "GRAIN", "what and where")
            .with("limit", 7)
            .violation("a[1].b", "write c")
            .retry_after(Duration::from_millis(1500));
        let status = Status::from(sent.clone());
        assert_eq!(status.code(), grpc_code(code));
        assert_eq!(error_code(status.code()), code);
        assert_eq!(Problem::from(&status), sent);
        assert_eq!(describe(&status), "what and where\n  a[1].b: write c\n  try again in 1.5 s");
        assert!(http_status(code).is_client_error() || http_status(code).is_server_error());
    }
}

#[test]
fn a_status_of_somebody_else_is_described_all_the_same() {
    let plain = Status::new(Code::Unavailable, "tcp connect error");
    assert_eq!(describe(&plain), "tcp connect error");
    assert_eq!(Problem::from(&plain).reason, "Unavailable");
    assert_eq!(describe(&Status::new(Code::Unimplemented, "")), "Unimplemented");
}

#[test]
fn an_internal_error_tells_the_caller_only_its_id() {
    let cause = std::io::Error::other("disk /var/lib/x is full");
    let problem = Problem::internal(&cause);
    let again = Problem::internal(&cause);
    assert!(!problem.to_string().contains("/var/lib"), "{problem}");
    assert_ne!(problem.metadata["correlation_id"], again.metadata["correlation_id"]);
    assert_eq!(chain(&cause), "disk /var/lib/x is full");
}

#[test]
fn http_answers_carry_status_and_retry() {
    let busy = Problem::new(ErrorCode::ResourceExhausted, "BUSY", "x").retry_after(Duration::from_millis(1100));
    let response = busy.into_response();
    assert_eq!(response.status().as_u16(), 429);
    assert_eq!(response.headers()["retry-after"], "2");
    let who = Problem::new(ErrorCode::Unauthenticated, "NO_TOKEN", "x").into_response();
    assert_eq!((who.status().as_u16(), &who.headers()["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
}
