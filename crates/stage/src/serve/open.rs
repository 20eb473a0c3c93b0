//! Opens what the settings name. Each kind of thing has one place here where another kind of it joins.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use gristmill_rpc::ServerConfig;
use gristmill_rpc::error::chain;
use gristmill_runtime::Process;
use gristmill_runtime::config::resolve;
use gristmill_runtime::database::{DataDir, Database, PostgresConfig};
use gristmill_runtime::slots::Slots;
use gristmill_store::{Location, Store, StoreConfig};

use super::{Config, Keys};
use crate::Failure;

/// What a process has that needs no database.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Artifacts.
    pub store: Store,
    /// CPU slots of the process.
    pub slots: Slots,
    /// Clock, metrics and the wish to stop.
    pub process: Process,
}

impl Parts {
    /// Opens the store, and the slots.
    ///
    /// # Errors
    /// The store's address is none, or it cannot be opened.
    pub(super) async fn open<K: Keys>(config: &Config<K>, process: &Process) -> Result<Self, Failure> {
        let store = crate::open_store(&store(config)?, process).await?;
        let slots = NonZeroUsize::new(config.slots).map_or_else(Slots::detected, Slots::new);
        Ok(Self { store, slots, process: process.clone() })
    }
}

/// The store's settings. Which kinds of address there are is the store's to say.
fn store<K: Keys>(config: &Config<K>) -> Result<StoreConfig, Failure> {
    let told = &config.store;
    let data_dir = absolute(config.data_dir.clone())?;
    let url = if told.url.is_empty() {
        let beside = data_dir.parent().map(|above| above.join("store"));
        Location::Local(beside.ok_or_else(|| Failure::usage("store.url: name the place of artifacts"))?)
    } else {
        told.url.parse().map_err(|error| Failure::usage(format!("store.url: {error}")))?
    };
    let cache_dir = told.cache_dir.clone().unwrap_or_else(|| data_dir.join("cache"));
    let bounds = StoreConfig::new(url, cache_dir);
    Ok(StoreConfig {
        cache_bytes: told.cache_bytes,
        grace_seconds: told.grace_seconds,
        remote: told.remote.clone(),
        ..bounds
    })
}

fn absolute(path: PathBuf) -> Result<PathBuf, Failure> {
    Ok(std::path::absolute(path)?)
}

/// The database: a PostgreSQL server, or SQLite in the data directory.
pub(super) async fn database<K: Keys>(config: &Config<K>, dir: &Arc<DataDir>) -> Result<Database, Failure> {
    let Some(url) = &config.database else { return crate::open_database(dir).await };
    let url = PostgresConfig::new(resolve(url)?);
    Database::connect(&url).await.map_err(|error| Failure::failed(format!("database: {}", chain(&error))))
}

/// A worker elsewhere has none.
pub(super) fn no_database<K: Keys>(config: &Config<K>) -> Result<(), Failure> {
    match &config.database {
        None => Ok(()),
        Some(_) => Err(Failure::usage("database: a worker needs none; leave the key out")),
    }
}

/// The server's settings, with the process's certificates unless it has its own.
pub(super) fn server<K: Keys>(config: &Config<K>) -> ServerConfig {
    let own = config.server.clone();
    if own.tls.is_on() { own } else { ServerConfig { tls: config.tls.of_server(), ..own } }
}
