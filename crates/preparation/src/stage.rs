//! The only wiring of the stage.

use std::sync::Arc;

use gristmill_jobs::{LedgerError, LocalLeases, Workers};
use gristmill_proto::preparation::preparation_service_server::PreparationServiceServer;
use gristmill_rpc::Services;
use gristmill_stage::{Assembled, JobVerbs, StageDeps};
use gristmill_types::{ErrorCode, Name};

use crate::config::PreparationConfig;
use crate::run::PreparationWork;
use crate::service::{Preparation, Service};

/// Raised when the same spec would give other bytes; part of every cache key.
pub const LOGIC_VERSION: u32 = 2;

/// Wires the stage with the default settings.
///
/// # Errors
/// [`LedgerError`] if the tables can't be opened.
pub async fn open(deps: &StageDeps) -> Result<Assembled, LedgerError> {
    open_with(deps, &PreparationConfig::default()).await
}

/// Wires the stage: its ledger, its service and its workers.
///
/// # Errors
/// [`LedgerError`] if the ledger's tables can't be opened.
pub async fn open_with(deps: &StageDeps, config: &PreparationConfig) -> Result<Assembled, LedgerError> {
    let name = Name::new("preparation")
        .map_err(|error| LedgerError::Remote { code: ErrorCode::Internal, message: error.to_string() })?;
    let ledger = deps.ledger(&name).await?;
    let service = Service(JobVerbs::new(Arc::clone(&ledger), Preparation));
    let work = Arc::new(PreparationWork { store: deps.store.clone() });
    let workers = Workers::new("preparation", deps.slots.clone()).serve(
        Arc::new(LocalLeases::new(Arc::clone(&ledger))),
        work,
        config.at_a_time.max(1),
    );
    let services = Services::new().add(PreparationServiceServer::new(service));
    Ok(Assembled { services, workers, ledger })
}
