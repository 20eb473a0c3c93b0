//! What a stage is given to run on, and what it gives back to be mounted and started.

use std::sync::Arc;

use gristmill_jobs::{Ledger, LedgerError, Options, SqlLedger, Workers};
use gristmill_rpc::Services;
use gristmill_runtime::Process;
use gristmill_runtime::database::Database;
use gristmill_runtime::slots::Slots;
use gristmill_store::Store;
use gristmill_types::Name;

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

impl StageDeps {
    /// Opens the ledger of `stage`, its tables migrated.
    ///
    /// # Errors
    /// [`LedgerError`] if the database cannot be used.
    pub async fn ledger(&self, stage: &Name) -> Result<Arc<dyn Ledger>, LedgerError> {
        let options = Options::new(Arc::clone(&self.process.clock));
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
