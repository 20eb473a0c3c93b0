//! The guard before HTTP routes.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use ::http::{Request, Response};
use axum::response::IntoResponse;
use futures::FutureExt;
use futures::future::BoxFuture;
use gristmill_types::Permission;
use tower::{Layer, Service};
use tracing::{Instrument, field};

use super::{Gate, draining, panicked, trace};

/// Puts the guard before the methods of one path.
#[derive(Clone)]
pub(crate) struct HttpGuard {
    pub(crate) gate: Arc<Gate>,
    pub(crate) route: &'static str,
    pub(crate) permission: Permission,
}

impl<S> Layer<S> for HttpGuard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: self.clone() }
    }
}

/// A route behind the guard.
#[derive(Clone)]
pub(crate) struct Guarded<S> {
    inner: S,
    guard: HttpGuard,
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<axum::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let ready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, ready);
        let guard = self.guard.clone();
        let span = tracing::info_span!(
            "http",
            otel.name = guard.route,
            otel.kind = "server",
            http.request.method = %request.method(),
            http.route = guard.route,
            http.response.status_code = field::Empty,
        );
        trace::extract(&span, request.headers());
        Box::pin(async move { Ok(handle(guard, inner, request).await) }.instrument(span))
    }
}

/// One request: admitted, identified, allowed, then handled until the drain's grace is over.
async fn handle<S, B>(guard: HttpGuard, mut inner: S, mut request: Request<B>) -> Response<axum::body::Body>
where
    S: Service<Request<B>, Error = Infallible>,
    S::Response: IntoResponse,
{
    let HttpGuard { gate, route, permission } = guard;
    let began = Instant::now();
    let method = request.method().clone();
    let counted = Counted::new(&gate);
    let admitted = match gate.admit(false) {
        Ok(permit) => {
            let authorized = gate.authorize(permission, request.extensions(), request.uri(), request.headers()).await;
            // Answers here are short: what ends a stream early has nothing to end.
            authorized.map(|(caller, _)| (permit, caller))
        }
        Err(problem) => Err(problem),
    };
    let response = match admitted {
        Err(problem) => problem.into_response(),
        Ok((_permit, caller)) => {
            request.extensions_mut().insert(caller);
            let answer = AssertUnwindSafe(async { inner.call(request).await }).catch_unwind();
            tokio::select! {
                biased;
                answer = answer => match answer {
                    Ok(Ok(response)) => response.into_response(),
                    Ok(Err(never)) => match never {},
                    Err(panic) => panicked(route, panic.as_ref()).into_response(),
                },
                () = gate.cutoff.cancelled() => draining().into_response(),
            }
        }
    };
    drop(counted);
    tracing::Span::current().record("http.response.status_code", response.status().as_u16());
    gate.metrics.http(&method, route, response.status().as_u16(), began.elapsed());
    response
}

/// One request under way, counted also when its caller goes away.
struct Counted<'a>(&'a Gate);

impl<'a> Counted<'a> {
    fn new(gate: &'a Gate) -> Self {
        gate.metrics.started();
        Self(gate)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.metrics.ended();
    }
}
