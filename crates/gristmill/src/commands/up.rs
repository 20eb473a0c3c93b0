//! `up`: every stage in one process, on two ports.

use gristmill_rpc::{AuthConfig, ServerConfig};
use gristmill_runtime::Process;
use gristmill_runtime::config::{Loaded, Sources, load};
use gristmill_runtime::database::DataDir;
use gristmill_runtime::telemetry::{self, ENDPOINT_VARIABLE, LogFormat, TelemetryConfig};
use gristmill_stage::serve::StoreSettings;
use gristmill_types::SecretRef;
use serde::{Deserialize, Serialize};

use crate::cli::{Global, Up};
use crate::failure::{Exit, Failure};
use crate::node::{Node, NodeOptions};
use crate::output;
use crate::session::data_dir;

/// Variables that the command line reads itself.
const ELSEWHERE: [&str; 6] = [
    "GRISTMILL_DATA_DIR",
    "GRISTMILL_ENDPOINT",
    "GRISTMILL_TOKEN_FROM",
    "GRISTMILL_PROJECT",
    "GRISTMILL_LOG",
    "GRISTMILL_CONFIG",
];

/// The settings of a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct UpConfig {
    /// Address of the gRPC services.
    grpc: String,
    /// Address of REST predictions and metrics.
    http: String,
    /// Trials at a time; 0 for one per CPU.
    workers: usize,
    /// Where the URL of a database server is; none for SQLite in the data directory.
    pub(super) database: Option<SecretRef>,
    /// Where artifacts are: in the data directory unless said.
    pub(super) store: StoreSettings,
    /// How callers are told.
    auth: AuthConfig,
    server: ServerConfig,
    telemetry: TelemetryConfig,
}

impl Default for UpConfig {
    fn default() -> Self {
        Self {
            grpc: "127.0.0.1:7700".into(),
            http: "127.0.0.1:7780".into(),
            workers: 0,
            database: None,
            store: StoreSettings::default(),
            auth: AuthConfig::default(),
            server: ServerConfig::default(),
            telemetry: TelemetryConfig { log: "info".into(), log_format: LogFormat::Text },
        }
    }
}

/// Serves until told to end, then drains.
///
/// # Errors
/// The settings are wrong, a port is taken, or the data directory is held by another process.
pub async fn run(global: &Global, up: Up, process: Process) -> Result<Exit, Failure> {
    let loaded = settings(global, &up)?;
    if up.explain {
        output::text(&loaded.explain())?;
        return Ok(Exit::Done);
    }
    let config = loaded.value;
    let endpoint = std::env::var(ENDPOINT_VARIABLE).ok();
    let _telemetry = telemetry::init("gristmill", &config.telemetry, endpoint.as_deref()).map_err(Failure::usage)?;
    process.shutdown.listen()?;
    let auth = config.auth.open(&process).await.map_err(Failure::usage)?;
    let dir = gristmill_stage::data_dir(&data_dir(global.data_dir.as_deref())?)?;
    let options = NodeOptions {
        workers: (config.workers > 0).then_some(config.workers),
        database: config.database.clone(),
        store: config.store.clone(),
        auth,
        server: config.server.clone(),
        serving: true,
    };
    let node = Node::start(std::sync::Arc::clone(&dir), options, &process).await?;
    let served = serve(&node, &config, &dir).await;
    node.stop().await;
    served
}

async fn serve(node: &Node, config: &UpConfig, dir: &DataDir) -> Result<Exit, Failure> {
    let ports = node.listen(&config.grpc, &config.http).await?;
    let (grpc_at, http_at) = (ports.grpc_address()?, ports.http_address()?);
    let endpoint = grpc_at.as_ref().map(|at| format!("{}://{at}", node.scheme()));
    dir.announce(endpoint.as_deref()).map_err(Failure::failed)?;
    tracing::info!(grpc = grpc_at.as_deref().map(tracing::field::display), http = http_at.as_deref().map(tracing::field::display), data_dir = %dir.path().display(), "ready");
    node.serve(ports).await;
    dir.announce(None).map_err(Failure::failed)?;
    Ok(Exit::Done)
}

pub(super) fn settings(global: &Global, up: &Up) -> Result<Loaded<UpConfig>, Failure> {
    let mut flags = Vec::new();
    let mut flag = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            flags.push((key.to_owned(), value));
        }
    };
    flag("grpc", up.grpc.clone());
    flag("http", up.http.clone());
    flag("workers", up.workers.map(|workers| workers.to_string()));
    flag("auth.tokens", up.tokens.as_ref().map(|path| path.display().to_string()));
    flag("server.insecure", up.insecure.then(|| "true".to_owned()));
    flag("telemetry.log", global.log.clone());
    let sources =
        Sources { file: up.config.as_deref(), environment: std::env::vars().collect(), elsewhere: &ELSEWHERE, flags };
    load(&sources).map_err(Failure::usage)
}
