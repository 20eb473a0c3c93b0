//! Stages around one server: mounted, their workers started, drained at the end.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use gristmill_jobs::{Running, Workers};
use gristmill_rpc::channel::LocalRoutes;
use gristmill_rpc::{Auth, Server, ServerConfig, Services, Surface};
use gristmill_runtime::slots::Slots;
use gristmill_runtime::{Process, Shutdown};
use gristmill_store::RootProvider;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::memory::{self, InEngineThreads};
use crate::{Assembled, Failure, LedgerRoots};

/// What stages bring to a process.
#[derive(Default)]
pub struct Mounted {
    /// gRPC services and HTTP routes.
    pub services: Services,
    /// Not started yet.
    pub workers: Vec<Workers>,
    /// What must have ended before the process does; each ends by itself once the shutdown is requested.
    pub last: Vec<BoxFuture<'static, ()>>,
    /// Everything that names artifacts, for whoever collects the others.
    pub roots: Vec<Arc<dyn RootProvider>>,
}

impl std::fmt::Debug for Mounted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mounted")
            .field("services", &self.services)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl Mounted {
    /// Adds a stage's services and workers.
    pub fn add(&mut self, services: Services, workers: Option<Workers>) {
        self.services = std::mem::take(&mut self.services).merge(services);
        self.workers.extend(workers);
    }
}

impl From<Assembled> for Mounted {
    fn from(stage: Assembled) -> Self {
        let roots: Vec<Arc<dyn RootProvider>> = vec![Arc::new(LedgerRoots::new(stage.ledger))];
        Self { services: stage.services, workers: vec![stage.workers], last: Vec::new(), roots }
    }
}

impl From<Services> for Mounted {
    fn from(services: Services) -> Self {
        Self { services, ..Self::default() }
    }
}

/// What a process has for all its stages.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// How callers over the network are told.
    pub auth: Auth,
    /// Bounds of the server.
    pub server: &'a ServerConfig,
    /// Clock, metrics and the wish to stop.
    pub process: &'a Process,
    /// CPU slots of the process.
    pub slots: Slots,
    /// How threads of an engine are reached when the process rests.
    pub engine: InEngineThreads,
}

/// Stages behind a server of this process.
pub struct Host {
    server: Arc<Server>,
    workers: Vec<Workers>,
    running: Vec<Running>,
    last: Vec<BoxFuture<'static, ()>>,
    shutdown: Shutdown,
    /// Ends with the host.
    _at_rest: JoinSet<()>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("server", &self.server).field("running", &self.running).finish_non_exhaustive()
    }
}

/// Ports that are bound and not served yet.
#[derive(Debug)]
pub struct Ports {
    /// gRPC.
    pub grpc: Option<TcpListener>,
    /// HTTP.
    pub http: Option<TcpListener>,
}

impl Ports {
    /// The address of gRPC, if it is served.
    ///
    /// # Errors
    /// The system does not say.
    pub fn grpc_address(&self) -> std::io::Result<Option<String>> {
        address(self.grpc.as_ref())
    }

    /// The address of HTTP, if it is served.
    ///
    /// # Errors
    /// The system does not say.
    pub fn http_address(&self) -> std::io::Result<Option<String>> {
        address(self.http.as_ref())
    }
}

fn address(listener: Option<&TcpListener>) -> std::io::Result<Option<String>> {
    listener.map(|listener| Ok(listener.local_addr()?.to_string())).transpose()
}

impl Host {
    /// Puts a server around `mounted` and opens `routes` to it. No worker runs yet.
    ///
    /// # Errors
    /// The server cannot be built.
    pub async fn build(mounted: Mounted, routes: &LocalRoutes, around: Surroundings<'_>) -> Result<Self, Failure> {
        let server = Server::build(mounted.services, around.auth, around.server, around.process).await?;
        let server = Arc::new(server);
        routes.open(&server);
        let mut at_rest = JoinSet::new();
        at_rest.spawn(memory::release_at_rest(around.slots, around.engine));
        let (workers, running, last) = (mounted.workers, Vec::new(), mounted.last);
        Ok(Self { server, workers, running, last, shutdown: around.process.shutdown.clone(), _at_rest: at_rest })
    }

    /// The server around the stages.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Lets the workers claim. A second call starts nothing.
    pub fn start(&mut self) {
        self.running.extend(std::mem::take(&mut self.workers).into_iter().map(Workers::start));
    }

    /// Binds the ports; an empty address is none.
    ///
    /// # Errors
    /// An address is in use, or needs protection that is not there.
    pub async fn listen(&self, grpc: &str, http: &str) -> Result<Ports, Failure> {
        let mut ports = Ports { grpc: None, http: None };
        if !grpc.is_empty() {
            ports.grpc = Some(self.server.listen(grpc).await?);
        }
        if !http.is_empty() {
            ports.http = Some(self.server.listen(http).await?);
        }
        Ok(ports)
    }

    /// Serves until the shutdown is requested, then drains calls and jobs side by side: no new job is
    /// claimed, what runs has `grace` to finish and is then given back.
    pub async fn serve(&self, ports: Ports, grace: Duration) {
        let serve = |listener: Option<TcpListener>, surface| async move {
            if let Some(listener) = listener {
                self.server.serve(listener, surface).await;
            }
        };
        let jobs = async {
            self.shutdown.requested().await;
            self.drain(grace).await;
        };
        tokio::join!(serve(ports.grpc, Surface::Grpc), serve(ports.http, Surface::Http), jobs);
    }

    /// Drains what runs and waits for the stages' last writes. After [`Host::serve`] only these are left.
    pub async fn stop(self, grace: Duration) {
        self.shutdown.request();
        self.drain(grace).await;
        join_all(self.last).await;
    }

    async fn drain(&self, grace: Duration) {
        join_all(self.running.iter().map(|running| running.drain(grace))).await;
    }
}
