//! What a stage brings to a server: its gRPC services and its HTTP routes.

use std::convert::Infallible;

use axum::Router;
use axum::routing::MethodRouter;
use gristmill_types::Permission;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::Service;

/// Services and routes, collected from the stages before the server is built.
#[derive(Debug, Default)]
pub struct Services {
    pub(crate) grpc: Routes,
    /// Fully qualified names, for health.
    pub(crate) names: Vec<&'static str>,
    pub(crate) http: Vec<HttpRoute>,
    /// Permissions of services whose contracts are not in `gristmill_proto`.
    pub(crate) permissions: Vec<(&'static str, Permission)>,
}

/// One HTTP path with what it needs.
#[derive(Debug)]
pub(crate) struct HttpRoute {
    pub(crate) path: &'static str,
    pub(crate) methods: MethodRouter,
    pub(crate) permission: Permission,
}

impl Services {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a generated gRPC server. Its rpcs need the permissions its contract declares.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "the word routers use, and services are no numbers")]
    pub fn add<S>(mut self, service: S) -> Self
    where
        S: Service<::http::Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.grpc = self.grpc.add_service(service);
        self.names.push(S::NAME);
        self
    }

    /// Adds an HTTP path in axum's syntax, open to callers with `permission`. The handler finds its
    /// [`crate::Caller`] as an `Extension` and turns the project into a checked one with it.
    #[must_use]
    pub fn route(mut self, path: &'static str, methods: MethodRouter, permission: Permission) -> Self {
        self.http.push(HttpRoute { path, methods, permission });
        self
    }

    /// Declares the permissions of rpcs (`/package.Service/Method`) that `gristmill_proto` does not
    /// know, such as those of a foreign contract. Those it does know cannot be changed.
    #[must_use]
    pub fn permit(mut self, rpcs: &[(&'static str, Permission)]) -> Self {
        self.permissions.extend_from_slice(rpcs);
        self
    }

    /// Adds everything of another stage.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        // A router's fallback cannot be merged with another's; the routes are all that matters here.
        let add: Router = other.grpc.into_axum_router().reset_fallback();
        self.grpc = Routes::from(self.grpc.into_axum_router().merge(add));
        self.names.extend(other.names);
        self.http.extend(other.http);
        self.permissions.extend(other.permissions);
        self
    }
}
