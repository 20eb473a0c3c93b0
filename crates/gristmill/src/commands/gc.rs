//! `gc`: delete artifacts that nothing names any more.

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
/// A live server holds the data, or the store cannot be swept.
pub async fn run(global: &Global, gc: Gc, process: Process) -> Result<Exit, Failure> {
    let project = Project::new(global.project.clone()).map_err(Failure::usage)?;
    let session = Session::open(global, process, None).await?;
    let swept = match session.node() {
        Some(node) => node.sweep(&project, gc.dry_run).await,
        None => Err(Failure::failed("a live server holds the data directory: end it, then collect garbage")),
    };
    session.close().await;
    let report = swept?;
    match gc.output {
        Format::Json => output::json(&json!({
            "dry_run": gc.dry_run,
            "deleted": report.deleted, "deleted_bytes": report.deleted_bytes,
            "spared": report.spared, "spared_bytes": report.spared_bytes,
            "kept": report.kept, "kept_bytes": report.kept_bytes,
        }))?,
        Format::Text => {
            let verb = if gc.dry_run { "would be deleted" } else { "deleted" };
            output::text(&format!(
                "{} objects of {} bytes {verb}; {} of {} bytes are young and spared; {} of {} bytes are in use\n",
                report.deleted,
                report.deleted_bytes,
                report.spared,
                report.spared_bytes,
                report.kept,
                report.kept_bytes
            ))?;
        }
    }
    Ok(Exit::Done)
}
