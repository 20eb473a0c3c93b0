//! The only wiring of the stage.

use std::sync::Arc;

use gristmill_jobs::{LedgerError, LocalLeases, Workers};
use gristmill_proto::ingestion::ingestion_service_server::IngestionServiceServer;
use gristmill_rpc::Services;
use gristmill_stage::{Assembled, JobVerbs, StageDeps};
use gristmill_types::{ErrorCode, Name};

use crate::Settings;
use crate::run::IngestionWork;
use crate::service::{Ingestion, Service};

/// Raised when the same spec would give other bytes; part of every cache key.
pub const LOGIC_VERSION: u32 = 1;

/// Wires the stage with the default settings: uploaded sources only, and this program as its child.
///
/// # Errors
/// [`LedgerError`] if the ledger's tables can't be opened.
pub async fn open(deps: &StageDeps) -> Result<Assembled, LedgerError> {
    open_with(deps, Settings::default()).await
}

/// Wires the stage: its ledger, its service and its workers.
///
/// # Errors
/// [`LedgerError`] if the ledger's tables can't be opened.
pub async fn open_with(deps: &StageDeps, settings: Settings) -> Result<Assembled, LedgerError> {
    let at_a_time = settings.at_a_time.max(1);
    let name = Name::new("ingestion")
        .map_err(|error| LedgerError::Remote { code: ErrorCode::Internal, message: error.to_string() })?;
    let ledger = deps.ledger(&name).await?;
    let service = Service(JobVerbs::new(Arc::clone(&ledger), Ingestion(settings.clone())));
    let work = Arc::new(IngestionWork { store: deps.store.clone(), settings });
    let workers = Workers::new("ingestion", deps.slots.clone()).serve(
        Arc::new(LocalLeases::new(Arc::clone(&ledger))),
        work,
        at_a_time,
    );
    let services = Services::new().add(IngestionServiceServer::new(service));
    Ok(Assembled { services, workers, ledger })
}
