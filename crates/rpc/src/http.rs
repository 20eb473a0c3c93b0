//! Problems as HTTP answers.

use ::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::error::Problem;

impl IntoResponse for Problem {
    /// `{"error": …, "reason": …}` as the Open Inference Protocol wants it, with facts and wrong fields
    /// where there are any.
    fn into_response(self) -> Response {
        // The standard's own status for a request that names a host this server is not.
        let status = if self.reason == "FOREIGN_HOST" { StatusCode::MISDIRECTED_REQUEST } else { self.http_status() };
        let mut body = Map::new();
        body.insert("error".into(), Value::String(self.message));
        body.insert("reason".into(), Value::String(self.reason.into_owned()));
        if !self.metadata.is_empty() {
            body.insert("metadata".into(), json!(self.metadata));
        }
        if !self.violations.is_empty() {
            body.insert("violations".into(), json!(self.violations));
        }
        let mut response = (status, axum::Json(Value::Object(body))).into_response();
        if let Some(delay) = self.retry_after {
            // Whole seconds, rounded up: less would bring the caller back too early.
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
