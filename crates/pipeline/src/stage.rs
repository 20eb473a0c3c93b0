//! The only wiring of the stage.

use std::sync::Arc;

use gristmill_jobs::{LocalLeases, Workers};
use gristmill_proto::pipeline::pipeline_service_server::PipelineServiceServer;
use gristmill_rpc::Services;
use gristmill_runtime::database::Schema;
use gristmill_stage::{Assembled, JobVerbs, StageDeps};
use gristmill_types::Name;

use crate::clients::Channels;
use crate::run::RunWork;
use crate::service::{Runs, Service};
use crate::steps::Steps;
use crate::{Config, PipelineError};

/// Wires the stage: its tables, its ledger, its service and its workers. `channels` are where the other
/// stages are.
///
/// # Errors
/// [`PipelineError`] if the stage's tables cannot be opened.
pub async fn open(deps: &StageDeps, config: &Config, channels: Channels) -> Result<Assembled, PipelineError> {
    let name = Name::new("pipeline")?;
    let ledger = deps.ledger(&name).await?;
    let clock = Arc::clone(&deps.process.clock);
    let steps = Steps::open(deps.database.clone(), &Schema::new(&name), clock).await?;
    let service =
        Service { verbs: JobVerbs::new(Arc::clone(&ledger), Runs), ledger: Arc::clone(&ledger), steps: steps.clone() };
    let work = Arc::new(RunWork { channels, steps });
    let leases = Arc::new(LocalLeases::new(Arc::clone(&ledger)));
    let workers = Workers::new("pipeline", deps.slots.clone()).serve(leases, work, config.runs_at_a_time);
    let services = Services::new().add(PipelineServiceServer::new(service));
    Ok(Assembled { services, workers, ledger })
}
