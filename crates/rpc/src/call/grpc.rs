//! The guard before gRPC services, the same for local and remote calls.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::{Request, Response};
use axum::response::IntoResponse;
use futures::FutureExt;
use futures::future::{BoxFuture, Either, select};
use gristmill_types::{ErrorCode, Permission};
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument, field};

use super::body::{Call, GuardedBody, Limits, code_of};
use super::{Gate, LocalCall, panicked, trace};
use crate::error::Problem;
use crate::metrics::{OTHER, code_name};

/// Puts the guard before a router.
#[derive(Clone)]
pub(crate) struct GrpcGuard(pub(crate) Arc<Gate>);

impl<S> Layer<S> for GrpcGuard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, gate: Arc::clone(&self.0) }
    }
}

/// A service behind the guard.
#[derive(Clone)]
pub(crate) struct Guarded<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S, B> Service<Request<axum::body::Body>> for Guarded<S>
where
    S: Service<Request<axum::body::Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Infallible>,
    S::Future: Send,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<axum::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<axum::body::Body>) -> Self::Future {
        // The service that was polled ready must be the one that is called.
        let ready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, ready);
        let gate = Arc::clone(&self.gate);
        let known = gate.permissions.get_key_value(request.uri().path());
        let method = known.map_or(OTHER, |(path, _)| path.trim_start_matches('/'));
        let permission = known.map(|(_, permission)| *permission);
        let span = tracing::info_span!(
            "rpc",
            otel.name = method,
            otel.kind = "server",
            rpc.system.name = "grpc",
            rpc.method = method,
            rpc.response.status_code = field::Empty,
            principal = field::Empty,
        );
        trace::extract(&span, request.headers());
        Box::pin(async move { Ok(handle(gate, inner, request, method, permission).await) }.instrument(span))
    }
}

/// One call: 1. it is let in, 2. its caller is known and allowed, 3. the handler runs under the
/// deadline, 4. its answer leaves under the same limits.
async fn handle<S, B>(
    gate: Arc<Gate>,
    mut inner: S,
    mut request: Request<axum::body::Body>,
    method: &'static str,
    permission: Option<Permission>,
) -> Response<axum::body::Body>
where
    S: Service<Request<axum::body::Body>, Response = Response<B>>,
    S::Error: Into<Infallible>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let local = request.extensions().get::<LocalCall>().is_some();
    let admitted = gate.admit(local);
    let (permit, refused) = match admitted {
        Ok(permit) => (permit, None),
        Err(problem) => (None, Some(problem)),
    };
    let mut call = Call::new(Arc::clone(&gate), method, permit);
    if let Some(problem) = refused {
        return refuse(&mut call, problem);
    }
    let Some(permission) = permission else {
        return unknown(&mut call, &request);
    };
    let authorized = gate.authorize(permission, request.extensions(), request.uri(), request.headers()).await;
    let (caller, standing) = match authorized {
        Ok(authorized) => authorized,
        Err(problem) => return refuse(&mut call, problem),
    };
    tracing::Span::current().record("principal", field::display(caller.principal().audit_name()));
    let deadline = caller.deadline().map(|at| Box::pin(tokio::time::sleep_until(at)));
    let mut limits = Limits { deadline, cutoff: Box::pin(gate.cutoff.clone().cancelled_owned()), standing };
    request.extensions_mut().insert(caller);

    let answer = AssertUnwindSafe(async { inner.call(request).await }).catch_unwind();
    let over = poll_fn(|cx| limits.poll_over(cx));
    let answer = match select(std::pin::pin!(answer), over).await {
        Either::Left((answer, _)) => answer,
        Either::Right((problem, _)) => return refuse(&mut call, problem),
    };
    match answer {
        Ok(Ok(response)) => {
            if let Some(code) = code_of(response.headers()) {
                note(&mut call, code);
            }
            response.map(|body| axum::body::Body::new(GuardedBody::new(axum::body::Body::new(body), limits, call)))
        }
        Ok(Err(never)) => match never.into() {},
        Err(panic) => {
            let problem = panicked(call.method(), panic.as_ref());
            refuse(&mut call, problem)
        }
    }
}

fn note(call: &mut Call, code: Code) {
    tracing::Span::current().record("rpc.response.status_code", code_name(code));
    call.ends_with(code);
}

fn refuse(call: &mut Call, status: impl Into<Status>) -> Response<axum::body::Body> {
    let status = status.into();
    note(call, status.code());
    status.into_http::<axum::body::Body>()
}

/// Answers a path that is not in the table. UNIMPLEMENTED has no error class of ours: it says that
/// client and server are of different versions. A browser on a gRPC port is told in HTTP's terms.
fn unknown(call: &mut Call, request: &Request<axum::body::Body>) -> Response<axum::body::Body> {
    let path: String = request.uri().path().chars().take(200).collect();
    let kind = request.headers().get(::http::header::CONTENT_TYPE).map(|value| value.as_bytes());
    if !kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
        note(call, Code::NotFound);
        return Problem::not_found("UNKNOWN_PATH", format!("nothing is served under {path}")).into_response();
    }
    let message = format!("no such rpc: {path}; is the client newer than the server?");
    let status = Status::from(Problem::new(ErrorCode::FailedPrecondition, "UNKNOWN_RPC", message));
    let details = bytes::Bytes::copy_from_slice(status.details());
    refuse(call, Status::with_details(Code::Unimplemented, status.message(), details))
}
