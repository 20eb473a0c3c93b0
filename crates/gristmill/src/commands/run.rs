//! `run`: a pipeline file, or one file with data, to a registered model and a report.

mod file;
mod starter;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gristmill_pipeline::file::Pipeline as Checked;
use gristmill_proto::artifact::ArtifactRef;
use gristmill_proto::pipeline::{CreateRunJobRequest, RunSpec};
use gristmill_runtime::Process;

use super::results::RunResults;
use super::{data, runs};
use crate::cli::{Format, Global, Run};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::progress::Bars;
use crate::report::{Documents, run_report};
use crate::session::Session;
use crate::transfer;

/// A pipeline file as it was read or made up.
struct Pipeline {
    text: String,
    /// Where it is, or will be written.
    path: PathBuf,
}

/// Runs a pipeline to its end.
///
/// # Errors
/// As the exit codes say.
pub async fn run(global: &Global, run: Run, process: Process) -> Result<Exit, Failure> {
    data::readable(&run.path)?;
    let pipeline = match &run.target {
        Some(target) => starter::write(&run, target)?,
        None => file::read(&run.path)?,
    };
    let checked = file::check(&pipeline, &run)?;
    let session = Session::open(global, process, run.workers).await?;
    let done = work(&session, global, &run, &pipeline, &checked).await;
    session.close().await;
    done
}

async fn work(
    session: &Session,
    global: &Global,
    run: &Run,
    pipeline: &Pipeline,
    checked: &Checked,
) -> Result<Exit, Failure> {
    let mut bars = Bars::new(global.quiet);
    let uploads = upload(session, pipeline, checked, &bars).await?;
    let spec = RunSpec {
        pipeline: pipeline.text.clone(),
        parameters: run.params.iter().cloned().collect(),
        uploads,
        interval_start: run.interval_start.clone().unwrap_or_default(),
        interval_end: run.interval_end.clone().unwrap_or_default(),
    };
    let request = CreateRunJobRequest {
        project: session.project.clone(),
        request_id: String::new(),
        spec: Some(spec),
        fresh: run.fresh,
    };
    let created = session.pipelines().create_run_job(request).await.map_err(|status| in_file(pipeline, status))?;
    let id = created.into_inner().job.and_then(|run| run.job).unwrap_or_default().id;
    if !global.quiet {
        eprintln!("run {id}");
    }
    let followed = runs::follow(session, &id, &mut bars).await;
    bars.clear();
    let results = RunResults::gather(session, followed?).await?;
    let report = report(session, &results, checked, run).await?;
    match run.output {
        Format::Json => output::json(&results.object())?,
        Format::Text => output::text(&(results.text() + &next_steps(&results, pipeline, &report)))?,
    }
    if let Some(error) = results.object().error {
        eprintln!("error: {}: {} ({})", error.stage, error.message, error.reason);
    }
    Ok(results.exit())
}

/// A status about the pipeline's text, under the file's name.
fn in_file(pipeline: &Pipeline, status: tonic::Status) -> Failure {
    let failure = Failure::from(status);
    Failure { message: format!("{}: {}", pipeline.path.display(), failure.message), ..failure }
}

/// Uploads every file that the pipeline names, by the path it gives them. The same bytes are the same
/// artifact, so doing it again costs one reading.
async fn upload(
    session: &Session,
    pipeline: &Pipeline,
    checked: &Checked,
    bars: &Bars,
) -> Result<BTreeMap<String, ArtifactRef>, Failure> {
    let beside = pipeline.path.parent().unwrap_or(Path::new(""));
    let mut uploads = BTreeMap::new();
    for named in file::paths(checked) {
        let path = beside.join(&named);
        data::readable(&path).map_err(|failure| Failure {
            message: format!("{}: source {}", pipeline.path.display(), failure.message),
            ..failure
        })?;
        let bar = bars.upload(&path.file_name().unwrap_or_default().to_string_lossy());
        let artifact = transfer::upload(&mut session.artifacts(), &session.project, &path, &bar).await?;
        uploads.insert(named, artifact);
    }
    Ok(uploads)
}

/// Writes the page of a run, and answers where it is.
async fn report(session: &Session, results: &RunResults, checked: &Checked, run: &Run) -> Result<PathBuf, Failure> {
    let documents = Documents::gather(session, results, &checked.name).await?;
    let path = match &run.report {
        Some(path) => path.clone(),
        None => {
            let folder = session.data_dir.join("reports");
            tokio::fs::create_dir_all(&folder).await?;
            folder.join(format!("{}-{}.html", checked.name, results.object().run_id))
        }
    };
    let unwritable = |error| Failure::failed(format!("{}: {error}", path.display()));
    tokio::fs::write(&path, run_report(&documents)).await.map_err(unwritable)?;
    Ok(path)
}

/// What to do next, in commands that can be copied.
fn next_steps(results: &RunResults, pipeline: &Pipeline, report: &Path) -> String {
    let mut text = format!("\nreport    {}\n", report.display());
    text.push_str(&format!("pipeline  {}\n", pipeline.path.display()));
    let Some(model) = results.object().model else { return text };
    let name = match model.aliases.first() {
        Some(alias) => format!("{}@{alias}", model.name),
        None => format!("{}:{}", model.name, model.version),
    };
    text.push_str(&format!("predict   gristmill predict --model {name} --input ROWS.csv --output SCORED.csv\n"));
    if !model.aliases.is_empty() {
        text.push_str(&format!(
            "serve     gristmill up    then POST http://127.0.0.1:7780/v1/models/{}:predict\n",
            model.name
        ));
    }
    text.push_str(&format!("watch     gristmill monitor check --model {name} --input NEW.csv\n"));
    text
}
