//! Opens what the settings name. Each kind of thing has one place here where another kind of it joins.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use gristmill_rpc::ServerConfig;
use gristmill_runtime::Process;
use gristmill_runtime::slots::Slots;
use gristmill_store::{Store, StoreConfig};

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

/// The store's settings: the folder `store` beside the data directory unless another place is named.
fn store<K: Keys>(config: &Config<K>) -> Result<StoreConfig, Failure> {
    let data_dir = absolute(config.data_dir.clone())?;
    let beside = data_dir.parent().map(|above| above.join("store"));
    let beside = beside.ok_or_else(|| Failure::usage("store.url: name the place of artifacts"))?;
    config.store.located(beside, &data_dir)
}

fn absolute(path: PathBuf) -> Result<PathBuf, Failure> {
    Ok(std::path::absolute(path)?)
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
