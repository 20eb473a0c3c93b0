//! The only wiring of the stage.

use std::sync::Arc;

use gristmill_jobs::{LedgerError, LocalLeases, Workers};
use gristmill_proto::evaluation::evaluation_service_server::EvaluationServiceServer;
use gristmill_rpc::Services;
use gristmill_stage::{Assembled, JobVerbs, StageDeps};
use gristmill_types::{ErrorCode, Name};

use crate::config::EvaluationConfig;
use crate::opened::Opened;
use crate::run::EvaluationWork;
use crate::service::{Evaluations, Service};

/// Raised when the same spec would give other bytes; part of every cache key.
pub const LOGIC_VERSION: u32 = 1;

/// Wires the stage with the default settings.
///
/// # Errors
/// [`LedgerError`] if the tables can't be opened.
pub async fn open(deps: &StageDeps) -> Result<Assembled, LedgerError> {
    open_with(deps, &EvaluationConfig::default()).await
}

/// Wires the stage: its tables, its ledger, its service and its workers.
///
/// # Errors
/// [`LedgerError`] if the tables can't be opened.
pub async fn open_with(deps: &StageDeps, config: &EvaluationConfig) -> Result<Assembled, LedgerError> {
    let name = Name::new("evaluation")
        .map_err(|error| LedgerError::Remote { code: ErrorCode::Internal, message: error.to_string() })?;
    let opened = Opened::open(deps.database.clone(), &name).await?;
    let ledger = deps.ledger(&name).await?;
    let service = Service(JobVerbs::new(Arc::clone(&ledger), Evaluations));
    let work = Arc::new(EvaluationWork { store: deps.store.clone(), opened });
    let leases = Arc::new(LocalLeases::new(Arc::clone(&ledger)));
    let workers = Workers::new("evaluation", deps.slots.clone()).serve(leases, work, config.at_a_time.max(1));
    let services = Services::new().add(EvaluationServiceServer::new(service));
    Ok(Assembled { services, workers, ledger })
}
