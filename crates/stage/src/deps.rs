//! What a stage is given to run on, and what it gives back to be mounted and started.

use std::path::Path;
use std::sync::Arc;

use gristmill_jobs::{Ledger, LedgerError, Options, SqlLedger, Workers};
use gristmill_rpc::Services;
use gristmill_rpc::error::chain;
use gristmill_runtime::Process;
use gristmill_runtime::database::{DataDir, Database, DatabaseError};
use gristmill_runtime::slots::Slots;
use gristmill_store::{Store, StoreConfig};
use gristmill_types::Name;

use crate::Failure;

/// The database of a process in its data directory.
pub const DATABASE: &str = "gristmill";

/// The process's parts, shared by its stages. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StageDeps {
    /// Artifacts.
    pub store: Store,
    /// One writer for all stages of the process.
    pub database: Database,
    /// CPU slots of the process.
    pub slots: Slots,
    /// Clock, metrics and the wish to stop.
    pub process: Process,
}

/// Opens and locks a data directory.
///
/// # Errors
/// Another process has it, or it cannot be written.
pub fn data_dir(path: &Path) -> Result<Arc<DataDir>, Failure> {
    DataDir::open(path).map_err(|error| match error {
        DatabaseError::Held { holder } => {
            let at = holder.and_then(|holder| holder.endpoint).map(|at| format!(" by the server on {at}"));
            Failure::failed(format!("the data directory {} is in use{}", path.display(), at.unwrap_or_default()))
        }
        other => Failure::failed(chain(&other)),
    })
}

/// Opens a store.
///
/// # Errors
/// Its settings are wrong, or it cannot be reached.
pub async fn open_store(config: &StoreConfig, process: &Process) -> Result<Store, Failure> {
    let opened = Store::open(config, Arc::clone(&process.clock)).await;
    opened.map_err(|error| Failure::failed(chain(&error)))
}

/// The database in a data directory.
///
/// # Errors
/// The file cannot be opened, or a newer program wrote it.
pub async fn open_database(dir: &Arc<DataDir>) -> Result<Database, Failure> {
    dir.database(DATABASE).await.map_err(|error| Failure::failed(chain(&error)))
}

impl StageDeps {
    /// Opens the ledger of `stage`, its tables migrated.
    ///
    /// # Errors
    /// [`LedgerError`] if the database cannot be used.
    pub async fn ledger(&self, stage: &Name) -> Result<Arc<dyn Ledger>, LedgerError> {
        self.ledger_with(stage, self.ledger_options()).await
    }

    /// What a ledger of this process is told unless something else is said.
    pub fn ledger_options(&self) -> Options {
        Options::new(Arc::clone(&self.process.clock))
    }

    /// As [`StageDeps::ledger`], told `options`.
    ///
    /// # Errors
    /// [`LedgerError`] if the database cannot be used.
    pub async fn ledger_with(&self, stage: &Name, options: Options) -> Result<Arc<dyn Ledger>, LedgerError> {
        let ledger: Arc<dyn Ledger> = SqlLedger::open(self.database.clone(), stage, options).await?;
        Ok(ledger)
    }
}

/// A wired stage: its services are mounted on a server, its workers started when the server answers.
#[derive(Debug)]
pub struct Assembled {
    /// gRPC services and HTTP routes.
    pub services: Services,
    /// Not started yet.
    pub workers: Workers,
    /// For a garbage collector to ask what its jobs hold.
    pub ledger: Arc<dyn Ledger>,
}
