//! The settings of a stage's process, and where each comes from.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use gristmill_rpc::auth::AuthConfig;
use gristmill_rpc::{ClientTlsConfig, ServerConfig, TlsConfig};
use gristmill_runtime::telemetry::{ENDPOINT_VARIABLE, LogFormat, TelemetryConfig};
use gristmill_store::{Location, RemoteConfig, StoreConfig};
use gristmill_types::SecretRef;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Keys;
use crate::Failure;

/// The folder of all stages' data on a machine. Not the all-in-one's: its garbage collection asks only the stages
/// of its own process, and is refused where others are registered in the store.
const BASE: &str = ".gristmill-stages";

/// Everything that can be said about a process; `K` are the program's own keys, under its section's name.
///
/// Unknown keys are refused when the sources are merged, since a flattened struct cannot do it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Config<K: Keys> {
    /// Address of gRPC; empty for none.
    pub grpc: String,
    /// Address of `/metrics`, `/health` and the stage's own HTTP; empty for none.
    pub http: String,
    /// This process's own folder: database, lock and temporary files.
    pub data_dir: PathBuf,
    /// Where the URL of a database server is; none for SQLite in the data directory.
    pub database: Option<SecretRef>,
    /// Where artifacts are: the same place for all stages.
    pub store: StoreSettings,
    /// How callers are told.
    pub auth: AuthConfig,
    /// Certificates: the server shows them to callers, and the client to the stages that this one calls.
    pub tls: TlsSettings,
    /// Bounds of the server.
    pub server: ServerConfig,
    /// Log lines and spans.
    pub telemetry: TelemetrySettings,
    /// CPU slots for jobs; 0 for one per CPU.
    pub slots: usize,
    /// Seconds that jobs under way have to finish once a drain has started; then they are given back.
    pub drain_seconds: u64,
    /// Endpoints of the stages that this one calls.
    pub peers: BTreeMap<String, String>,
    /// Where the token that it shows them is.
    pub token: Option<SecretRef>,
    /// The program's own keys.
    #[serde(flatten, with = "section")]
    pub own: K,
}

/// Where artifacts are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// Such as `file:///var/lib/gristmill/store`; empty for the folder `store` beside the data directory.
    pub url: String,
    /// Temporary files and cached parts; `cache` in the data directory if none.
    pub cache_dir: Option<PathBuf>,
    /// Most bytes of cached parts.
    pub cache_bytes: u64,
    /// How long an object is spared by garbage collection after it was put.
    pub grace_seconds: u64,
    /// How a bucket's service is reached and with which keys.
    pub remote: RemoteConfig,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            cache_dir: None,
            cache_bytes: 10 << 30,
            grace_seconds: 24 * 3600,
            remote: RemoteConfig::default(),
        }
    }
}

impl StoreSettings {
    /// The store that is meant: that of the URL, else the folder `local`; its cache in `data_dir` unless
    /// another folder is named.
    ///
    /// # Errors
    /// The URL is none. Which there are is the store's to say.
    pub fn located(&self, local: PathBuf, data_dir: &Path) -> Result<StoreConfig, Failure> {
        let at = match self.url.as_str() {
            "" => Location::Local(local),
            url => url.parse().map_err(|error| Failure::usage(format!("store.url: {error}")))?,
        };
        let cache_dir = self.cache_dir.clone().unwrap_or_else(|| data_dir.join("cache"));
        Ok(StoreConfig {
            cache_bytes: self.cache_bytes,
            grace_seconds: self.grace_seconds,
            remote: self.remote.clone(),
            ..StoreConfig::new(at, cache_dir)
        })
    }
}

/// Certificates of this process, PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// The chain that it shows.
    pub cert: Option<PathBuf>,
    /// The key to it.
    pub key: Option<PathBuf>,
    /// Whose certificates callers and peers must have.
    pub ca: Option<PathBuf>,
    /// Take callers without a certificate too: people with tokens beside stages with certificates.
    pub client_optional: bool,
}

/// Log lines and spans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Filter directives, such as `info` or `warn,gristmill_jobs=debug`.
    pub log: String,
    /// `text` or `json`; by default text for a terminal and JSON for everything else.
    pub log_format: LogFormat,
    /// OpenTelemetry collector; without it the variable that OpenTelemetry defines.
    pub endpoint: Option<String>,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        let log_format = if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
        Self { log: "info".into(), log_format, endpoint: None }
    }
}

impl TlsSettings {
    /// As the server is told, where nothing else is said of it.
    pub(super) fn of_server(&self) -> TlsConfig {
        TlsConfig {
            cert: self.cert.clone(),
            key: self.key.clone(),
            client_ca: self.ca.clone(),
            client_optional: self.client_optional,
        }
    }

    /// As channels to other stages are told.
    pub(super) fn of_client(&self) -> ClientTlsConfig {
        ClientTlsConfig { ca: self.ca.clone(), cert: self.cert.clone(), key: self.key.clone(), domain: None }
    }
}

impl TelemetrySettings {
    /// The log lines' form and the collector.
    pub(super) fn read(&self) -> (TelemetryConfig, Option<String>) {
        let lines = TelemetryConfig { log: self.log.clone(), log_format: self.log_format };
        (lines, self.endpoint.clone().or_else(|| std::env::var(ENDPOINT_VARIABLE).ok()))
    }
}

impl<K: Keys> Default for Config<K> {
    fn default() -> Self {
        let at = |port: u16| format!("127.0.0.1:{port}");
        let (grpc, http) = K::PORTS.map_or_else(Default::default, |(grpc, http)| (at(grpc), at(http)));
        Self {
            grpc,
            http,
            data_dir: PathBuf::from(BASE).join(K::FOLDER),
            database: None,
            store: StoreSettings::default(),
            auth: AuthConfig::default(),
            tls: TlsSettings::default(),
            server: ServerConfig::default(),
            telemetry: TelemetrySettings::default(),
            slots: 0,
            drain_seconds: 10,
            peers: K::PEERS.iter().chain(K::HOLDERS).map(|p| (p.stage.to_owned(), p.default_endpoint())).collect(),
            token: None,
            own: K::default(),
        }
    }
}

/// A program's own keys below its section's name.
mod section {
    use super::{BTreeMap, Deserialize, Deserializer, Keys, Serialize, Serializer};
    use serde::ser::SerializeMap;
    use serde_json::Value;

    pub(super) fn serialize<K: Keys, S: Serializer>(own: &K, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(K::SECTION, &Own(own))?;
        map.end()
    }

    struct Own<'a, K>(&'a K);

    impl<K: Keys> Serialize for Own<'_, K> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer)
        }
    }

    pub(super) fn deserialize<'de, K: Keys, D: Deserializer<'de>>(deserializer: D) -> Result<K, D::Error> {
        let mut map = BTreeMap::<String, Value>::deserialize(deserializer)?;
        match map.remove(K::SECTION) {
            Some(own) => K::deserialize(own).map_err(|error| super::in_section::<D::Error>(K::SECTION, &error)),
            None => Ok(K::default()),
        }
    }
}

fn in_section<E: serde::de::Error>(section: &str, error: &serde_json::Error) -> E {
    E::custom(format!("{section}: {error}"))
}
