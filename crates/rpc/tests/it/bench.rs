//! A server with the probe on it, reachable both ways.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::Path;
use axum::routing::{get, post};
use gristmill_rpc::channel::LocalRoutes;
use gristmill_rpc::{Auth, Caller, Channel, Problem, Server, ServerConfig, Services, Surface};
use gristmill_runtime::Process;
use gristmill_types::{Permission, Secret};

use super::probe::{PERMISSIONS, Probe};

pub(super) struct Bench {
    pub(super) process: Process,
    pub(super) server: Arc<Server>,
    pub(super) local: LocalRoutes,
    pub(super) address: SocketAddr,
    pub(super) serving: tokio::task::JoinHandle<()>,
}

impl Bench {
    pub(super) async fn start(auth: Auth, config: ServerConfig) -> Self {
        let process = Process::new();
        let local = LocalRoutes::new();
        let services = Services::new()
            .merge(Services::new().add(Probe { next: local.channel("probe") }).permit(PERMISSIONS))
            .route("/grain/{project}", post(grain).get(grain), Permission::Predict)
            .route("/stone", get(stone), Permission::Public);
        let server = Arc::new(Server::build(services, auth, &config, &process).await.unwrap());
        assert!(local.open(&server));
        assert!(!local.open(&server), "routes are opened once");
        let listener = server.listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn({
            let server = Arc::clone(&server);
            async move { server.serve(listener, Surface::Both).await }
        });
        Self { process, server, local, address, serving }
    }

    pub(super) async fn open() -> Self {
        Self::start(Auth::LoopbackOnly, ServerConfig::default()).await
    }

    pub(super) fn remote(&self, token: Option<&str>) -> Channel {
        Channel::remote(&self.address.to_string(), token.map(Secret::new).as_ref()).unwrap()
    }

    /// A channel of each transport, as the machine's owner.
    pub(super) fn both(&self) -> [Channel; 2] {
        [self.local.channel("local"), self.remote(None)]
    }
}

async fn grain(Extension(caller): Extension<Caller>, Path(project): Path<String>) -> Result<String, Problem> {
    Ok(format!("{} grinds in {}", caller.principal().name(), caller.project(&project)?))
}

async fn stone() -> String {
    panic!("the stone cracked")
}
