//! The only wiring of the stage.

use std::sync::Arc;
use std::time::Duration;

use gristmill_jobs::{LeaseServer, LedgerError, LocalLeases, Options, RemoteLeases, Workers};
use gristmill_proto::job::lease_service_client::LeaseServiceClient;
use gristmill_proto::keda::external_scaler_server::ExternalScalerServer;
use gristmill_proto::training::training_service_server::TrainingServiceServer;
use gristmill_rpc::{Channel, Services};
use gristmill_runtime::slots::Slots;
use gristmill_stage::{Assembled, JobVerbs, StageDeps};
use gristmill_store::Store;
use gristmill_types::{Clock, ErrorCode, Name};

use crate::scaler::Scaler;
use crate::service::{Service, Studies};
use crate::sets::Sets;
use crate::study::StudyWork;
use crate::trial::TrialWork;

/// Raised when the same spec would give other bytes; part of every cache key.
pub const LOGIC_VERSION: u32 = 1;

/// Studies of one process at a time; they only wait for their trials.
const STUDIES: usize = 4;

/// How this process works on trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Trials at a time; 0 leaves them to workers elsewhere.
    pub trial_workers: usize,
    /// CPU slots, and with them threads, of one trial.
    pub trial_threads: usize,
    /// How long a job stays with a worker that is not heard of.
    pub lease: Duration,
}

/// How long that is unless something else is said.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

impl Settings {
    /// So many trials at a time, of so many threads each.
    pub const fn new(trial_workers: usize, trial_threads: usize) -> Self {
        Self { trial_workers, trial_threads, lease: LEASE }
    }

    /// One trial per CPU slot.
    pub fn of(slots: &Slots) -> Self {
        Self::new(slots.total(), 1)
    }
}

/// Wires the stage with one trial per CPU slot.
///
/// # Errors
/// [`LedgerError`] if the ledger's tables can't be opened.
pub async fn open(deps: &StageDeps) -> Result<Assembled, LedgerError> {
    open_with(deps, Settings::of(&deps.slots)).await
}

/// Wires the stage: its ledger, its service, the lease service for workers elsewhere, and its workers.
///
/// # Errors
/// [`LedgerError`] if the ledger's tables can't be opened.
pub async fn open_with(deps: &StageDeps, settings: Settings) -> Result<Assembled, LedgerError> {
    let name = Name::new("training")
        .map_err(|error| LedgerError::Remote { code: ErrorCode::Internal, message: error.to_string() })?;
    let options = Options { lease: settings.lease, ..deps.ledger_options() };
    let ledger = deps.ledger_with(&name, options).await?;
    let sets = Arc::new(Sets::default());
    let trials = Arc::new(TrialWork {
        store: deps.store.clone(),
        sets: Arc::clone(&sets),
        clock: Arc::clone(&deps.process.clock),
        threads: settings.trial_threads.max(1),
    });
    let studies = Arc::new(StudyWork {
        store: deps.store.clone(),
        ledger: Arc::clone(&ledger),
        sets,
        clock: Arc::clone(&deps.process.clock),
    });
    let leases = || Arc::new(LocalLeases::new(Arc::clone(&ledger)));
    let mut workers = Workers::new("training", deps.slots.clone()).serve(leases(), studies, STUDIES);
    if settings.trial_workers > 0 {
        workers = workers.serve(leases(), Arc::clone(&trials), settings.trial_workers);
    }
    let service = Service(JobVerbs::new(Arc::clone(&ledger), Studies));
    let services = Services::new()
        .add(TrainingServiceServer::new(service))
        .add(ExternalScalerServer::new(Scaler(Arc::clone(&ledger))))
        .add(LeaseServer::new(Arc::clone(&ledger)).accept(trials).into_service());
    Ok(Assembled { services, workers, ledger })
}

/// Workers that lease trials from the stage behind `channel`: they need the store, and no database.
pub fn trial_workers(
    name: &str,
    store: Store,
    slots: Slots,
    clock: Arc<dyn Clock>,
    channel: Channel,
    settings: Settings,
) -> Workers {
    let leases = Arc::new(RemoteLeases::new(LeaseServiceClient::new(channel)));
    let work = TrialWork { store, sets: Arc::default(), clock, threads: settings.trial_threads.max(1) };
    Workers::new(name, slots).serve(leases, Arc::new(work), settings.trial_workers.max(1))
}
