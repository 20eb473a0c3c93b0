//! The server around a process's services.

mod accept;
mod bind;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use gristmill_runtime::{Metrics, Process, Shutdown, metrics};
use gristmill_types::Permission;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::auth::Auth;
use crate::call::{Gate, GrpcGuard, HttpGuard, hosts::Hosts};
use crate::metrics::CallMetrics;
use crate::services::Services;
use crate::tls::{ServerTls, TlsConfig, TlsError};

pub(crate) use accept::TLS_WANTED;

/// Open to everyone: whether the server lives, and what it speaks.
const PUBLIC: [(&str, Permission); 5] = [
    ("/grpc.health.v1.Health/Check", Permission::Public),
    ("/grpc.health.v1.Health/List", Permission::Public),
    ("/grpc.health.v1.Health/Watch", Permission::Public),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Permission::Public),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Permission::Public),
];

/// How a server is bounded and whom it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Most calls under way at once; more are answered RESOURCE_EXHAUSTED.
    pub max_calls: usize,
    /// Most calls of one connection under way at once.
    pub max_calls_per_connection: u32,
    /// Seconds that calls under way have to finish once a drain has started.
    pub drain_seconds: u64,
    /// Host names of this server besides the loopback ones.
    pub allowed_hosts: Vec<String>,
    /// Certificate and key of this server, and whose client certificates it takes.
    pub tls: TlsConfig,
    /// Serve beyond loopback although callers are not told apart or nothing is encrypted. Say it only
    /// behind something that does both, or where everybody may do everything.
    pub insecure: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_calls: 1024,
            max_calls_per_connection: 256,
            drain_seconds: 3,
            allowed_hosts: Vec::new(),
            tls: TlsConfig::default(),
            insecure: false,
        }
    }
}

/// A server that cannot be built or cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address needs protection that is not there.
    #[error("refusing to serve on {address}: {reason}")]
    Unprotected {
        /// The address.
        address: SocketAddr,
        /// What is missing and what to do.
        reason: String,
    },
    /// Certificate, key or client CA cannot be used.
    #[error("tls cannot be offered")]
    Tls(#[from] TlsError),
    /// The address cannot be had.
    #[error("cannot listen on {address}: {message}")]
    Bind {
        /// The address as it was given.
        address: String,
        /// What was wrong and what to do.
        message: String,
    },
    /// The descriptor set of the contracts does not decode.
    #[error("reflection cannot be offered: {0}")]
    Reflection(String),
}

/// What one port offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// gRPC only.
    Grpc,
    /// HTTP routes only.
    Http,
    /// Both on one port.
    Both,
}

/// Services behind their guard, ready to be called in process and served on any number of ports.
#[derive(Debug)]
pub struct Server {
    grpc: Router,
    http: Router,
    health: HealthReporter,
    names: Vec<&'static str>,
    gate: Arc<Gate>,
    config: ServerConfig,
    tls: Option<Arc<ServerTls>>,
}

impl Server {
    /// Puts the guard, health, reflection and `/metrics` around `services`.
    ///
    /// # Errors
    /// [`ServerError::Reflection`] when the committed descriptors are broken, [`ServerError::Tls`] when the
    /// files of its TLS are.
    pub async fn build(
        services: Services,
        auth: Auth,
        config: &ServerConfig,
        process: &Process,
    ) -> Result<Self, ServerError> {
        let tls = ServerTls::open(&config.tls)?.map(Arc::new);
        let gate = Arc::new(gate(&services, auth, config, process));
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_service_status("", ServingStatus::Serving).await;
        for name in &services.names {
            health.set_service_status(*name, ServingStatus::Serving).await;
        }
        let mut routes = services.grpc.add_service(health_service);
        let broken = |error: tonic_reflection::server::Error| ServerError::Reflection(error.to_string());
        routes = routes.add_service(reflection().build_v1().map_err(broken)?);
        routes = routes.add_service(reflection().build_v1alpha().map_err(broken)?);
        let grpc = routes.prepare().into_axum_router().layer(GrpcGuard(Arc::clone(&gate)));

        let exported = process.metrics.clone();
        let mut http = Router::new().route(
            "/metrics",
            get(move || metrics_page(exported.clone())).layer(HttpGuard {
                gate: Arc::clone(&gate),
                route: "/metrics",
                permission: Permission::Read,
            }),
        );
        for route in services.http {
            let guard = HttpGuard { gate: Arc::clone(&gate), route: route.path, permission: route.permission };
            http = http.route(route.path, route.methods.layer(guard));
        }
        Ok(Self { grpc, http, health, names: services.names, gate, config: config.clone(), tls })
    }

    /// The guarded gRPC services, for [`crate::channel::LocalRoutes::open`].
    pub(crate) fn routes(&self) -> Routes {
        Routes::from(self.grpc.clone())
    }

    /// Reports one gRPC service as ready or not, such as serving before its first model.
    pub async fn set_ready(&self, service: &'static str, ready: bool) {
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.health.set_service_status(service, status).await;
    }

    /// Listens on `address`, after checking that this server may be reached there.
    ///
    /// # Errors
    /// [`ServerError`] names the address and what to do: a port in use, an address that needs tokens and
    /// TLS.
    pub async fn listen(&self, address: &str) -> Result<TcpListener, ServerError> {
        let safety = bind::Safety {
            told: self.gate.auth.tells_callers(),
            tls: self.tls.is_some(),
            insecure: self.config.insecure,
        };
        bind::listen(address, safety).await
    }

    /// `http` or `https`: how clients write this server's address.
    pub const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Serves `surface` on `listener` until the process's shutdown is requested, then drains: health
    /// says NOT_SERVING, nothing new is accepted, calls under way have the configured grace, and what
    /// is left after it is ended. Any number of listeners may be served at once.
    pub async fn serve(&self, listener: TcpListener, surface: Surface) {
        let router = match surface {
            Surface::Grpc => self.grpc.clone(),
            Surface::Http => self.http.clone(),
            // The guard of the gRPC side answers every path that is no HTTP route.
            Surface::Both => self.grpc.clone().merge(self.http.clone()),
        };
        let drain = accept::Drain {
            shutdown: self.gate.shutdown.clone(),
            cutoff: self.gate.cutoff.clone(),
            grace: Duration::from_secs(self.config.drain_seconds),
        };
        let serving = accept::run(listener, router, self.tls.clone(), drain, self.config.max_calls_per_connection);
        let not_serving = async {
            self.gate.shutdown.requested().await;
            self.health.set_service_status("", ServingStatus::NotServing).await;
            for name in &self.names {
                self.health.set_service_status(*name, ServingStatus::NotServing).await;
            }
        };
        tokio::join!(serving, not_serving);
    }

    /// The wish to stop, as every part of this server sees it.
    pub fn shutdown(&self) -> &Shutdown {
        &self.gate.shutdown
    }
}

fn gate(services: &Services, auth: Auth, config: &ServerConfig, process: &Process) -> Gate {
    let mut permissions = BTreeMap::new();
    let known = services.permissions.iter().chain(&PUBLIC).chain(gristmill_proto::PERMISSIONS);
    for (path, permission) in known {
        // Later entries win: the contracts' own have the last word.
        permissions.insert(*path, *permission);
    }
    let hosts = Hosts::new(!auth.tells_callers(), &config.allowed_hosts);
    Gate {
        auth,
        insecure: config.insecure,
        permissions,
        metrics: CallMetrics::new(&process.metrics),
        calls: Arc::new(Semaphore::new(config.max_calls.min(Semaphore::MAX_PERMITS))),
        max_calls: config.max_calls,
        hosts,
        shutdown: process.shutdown.clone(),
        cutoff: CancellationToken::new(),
    }
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(gristmill_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

async fn metrics_page(metrics: Metrics) -> impl axum::response::IntoResponse {
    ([(::http::header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.encode())
}
