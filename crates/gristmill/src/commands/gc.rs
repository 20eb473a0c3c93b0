//! `gc`: delete artifacts that nothing names any more.

use gristmill_proto::artifact::{SweepArtifactsRequest, SweepArtifactsResponse};
use gristmill_runtime::Process;
use gristmill_types::Project;
use serde_json::json;

use crate::cli::{Format, Gc, Global};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;

/// Sweeps the project's artifacts.
///
/// # Errors
/// The caller may not, a stage does not say what it holds, or the store cannot be swept.
pub async fn run(global: &Global, gc: Gc, process: Process) -> Result<Exit, Failure> {
    Project::new(global.project.clone()).map_err(Failure::usage)?;
    let session = Session::open(global, process, None).await?;
    let request = SweepArtifactsRequest {
        project: session.project.clone(),
        dry_run: gc.dry_run,
        forget_holders: gc.forget.clone(),
    };
    let swept = session.artifacts().sweep_artifacts(request).await;
    session.close().await;
    print(&gc, &swept?.into_inner())
}

fn print(gc: &Gc, swept: &SweepArtifactsResponse) -> Result<Exit, Failure> {
    match gc.output {
        Format::Json => output::json(&json!({
            "dry_run": gc.dry_run,
            "deleted": swept.deleted, "deleted_bytes": swept.deleted_bytes,
            "spared": swept.spared, "spared_bytes": swept.spared_bytes,
            "kept": swept.kept, "kept_bytes": swept.kept_bytes,
        }))?,
        Format::Text => {
            let verb = if gc.dry_run { "would be deleted" } else { "deleted" };
            output::text(&format!(
                "{} objects of {} bytes {verb}; {} of {} bytes are young and spared; {} of {} bytes are in use\n",
                swept.deleted, swept.deleted_bytes, swept.spared, swept.spared_bytes, swept.kept, swept.kept_bytes
            ))?;
        }
    }
    Ok(Exit::Done)
}
