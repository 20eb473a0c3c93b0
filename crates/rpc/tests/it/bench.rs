//! A server with the probe on it, reachable both ways.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::Path;
use axum::routing::{get, post};
use gristmill_rpc::channel::LocalRoutes;
use gristmill_rpc::{
    Auth, AuthConfig, Caller, Channel, ClientTlsConfig, Problem, RemoteConfig, Server, ServerConfig, Services, Surface,
};
use gristmill_runtime::Process;
use gristmill_types::{Permission, Secret, SecretRef};

use super::probe::{PERMISSIONS, Probe};

pub(super) struct Bench {
    pub(super) process: Process,
    pub(super) server: Arc<Server>,
    pub(super) local: LocalRoutes,
    pub(super) address: SocketAddr,
    pub(super) serving: tokio::task::JoinHandle<()>,
    /// For files of its callers.
    folder: tempfile::TempDir,
}

impl Bench {
    pub(super) async fn start(auth: Auth, config: ServerConfig) -> Self {
        Self::start_in(Process::new(), auth, config).await
    }

    /// Callers are told as `auth` configures it.
    pub(super) async fn open_with(auth: &AuthConfig, config: ServerConfig) -> Self {
        let process = Process::new();
        let auth = auth.open(&process).await.unwrap();
        Self::start_in(process, auth, config).await
    }

    async fn start_in(process: Process, auth: Auth, config: ServerConfig) -> Self {
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
        let folder = tempfile::tempdir().unwrap();
        Self { process, server, local, address, serving, folder }
    }

    pub(super) async fn open() -> Self {
        Self::start(Auth::LoopbackOnly, ServerConfig::default()).await
    }

    pub(super) fn remote(&self, token: Option<&str>) -> Channel {
        Channel::remote(&self.address.to_string(), token.map(Secret::new).as_ref()).unwrap()
    }

    /// A channel over TLS.
    pub(super) fn secured(&self, tls: ClientTlsConfig, token: Option<&str>) -> Channel {
        let token = token.map(|token| {
            let file = self.folder.path().join(gristmill_rpc::auth::token_hash(token));
            std::fs::write(&file, token).unwrap();
            SecretRef::File(file.display().to_string())
        });
        let endpoint = format!("https://localhost:{}", self.address.port());
        Channel::open(&RemoteConfig { tls, token, ..RemoteConfig::new(endpoint) }).unwrap()
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
