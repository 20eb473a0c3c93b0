//! `--source NAME=FILE`: the recorded integration of the run that made a model, on other files.
//!
//! What only the target, the population or the splits needed is left out, so that rows whose outcome is not known yet can be scored: the
//! dataset has the model's inputs and the id columns alone. A step stays when anything that is still needed comes from it; where that is in doubt, it
//! stays.

mod prune;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gristmill_frame::{Bounds, CsvOptions, FileFormat, SourceSpec, read_file};
use gristmill_proto::artifact::ArtifactRef;
use gristmill_proto::ingestion::{GetIngestionJobRequest, IngestionSpec, Source, source::Location};
use gristmill_proto::pipeline::{RunJob, Step};
use gristmill_proto::preparation::GetPreparationJobRequest;
use gristmill_proto::registry::ModelVersion;
use gristmill_training::ModelSummary;

use super::results::steps;
use super::{data, runs};
use crate::failure::{Exit, Failure};
use crate::progress::Bars;
use crate::session::Session;
use crate::transfer;

use prune::{Given, prune};

/// Files by the name of the source that each stands in for.
pub type Substitutes = [(String, PathBuf)];

/// Says at once what cannot be read.
///
/// # Errors
/// A usage failure that names the file, or the source that is named twice.
pub fn readable(sources: &Substitutes) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for (name, path) in sources {
        data::readable(path)?;
        if !seen.insert(name) {
            return Err(Failure::usage(format!("source `{name}` is given twice")));
        }
    }
    Ok(())
}

/// Runs the integration that made `version`'s dataset, with `substitutes` in place of its sources. Answers the
/// dataset, and says on standard error what was left out.
///
/// # Errors
/// The run is not known any more, it has no such source, a column is missing that the model needs, or the
/// integration fails.
pub async fn dataset(
    session: &Session,
    version: &ModelVersion,
    substitutes: &Substitutes,
    bars: &Bars,
) -> Result<ArtifactRef, Failure> {
    let run = made_by(session, version).await?;
    let (recorded, before) = recorded(session, &run).await?;
    let needed = needed(session, version, &run).await?;
    let mut spec = recorded;
    let mut given = BTreeMap::new();
    for (name, path) in substitutes {
        let names: Vec<String> = spec.sources.iter().map(|source| source.name.clone()).collect();
        let source =
            spec.sources.iter_mut().find(|source| source.name == *name).ok_or_else(|| {
                Failure::usage(format!("the run has no source `{name}`: it has {}", names.join(", ")))
            })?;
        let columns = columns(source, path).await?;
        let had = before.get(name).cloned().unwrap_or_default();
        given.insert(name.clone(), Given { columns, had });
        substitute(session, source, path, bars).await?;
    }
    let pruned = prune(spec, &needed, &before, &given).map_err(Failure::usage)?;
    for note in &pruned.notes {
        eprintln!("note: {note}");
    }
    integrate(session, pruned.spec, bars).await
}

/// The run that registered the version.
async fn made_by(session: &Session, version: &ModelVersion) -> Result<RunJob, Failure> {
    if version.run_id.is_empty() {
        let message = format!(
            "{} version {} was not registered by a run: score a table of its inputs with --input",
            version.name, version.version
        );
        return Err(Failure::usage(message));
    }
    runs::get(session, &version.run_id).await
}

fn step<'a>(run: &'a RunJob, stage: &str) -> Result<&'a Step, Failure> {
    let found = steps(run).iter().find(|step| step.stage == stage && !step.job_id.is_empty());
    found.ok_or_else(|| Failure::failed(format!("the run that made the model has no {stage} step")))
}

/// What ingestion was told, and the columns that each source had then.
async fn recorded(
    session: &Session,
    run: &RunJob,
) -> Result<(IngestionSpec, BTreeMap<String, BTreeSet<String>>), Failure> {
    let step = step(run, "ingestion")?;
    let request = GetIngestionJobRequest { project: session.project.clone(), id: step.job_id.clone() };
    let job = session.ingestion().get_ingestion_job(request).await?.into_inner().job.unwrap_or_default();
    let spec = job.spec.ok_or_else(|| Failure::failed("the recorded integration cannot be read"))?;
    let dataset = job.result.and_then(|result| result.dataset);
    let dataset = dataset.ok_or_else(|| Failure::failed("the run that made the model has no dataset"))?;
    let bytes = transfer::read(&mut session.artifacts(), &session.project, &dataset, "dataset.json").await?;
    let report: gristmill_frame::Report = serde_json::from_slice(&bytes).map_err(Failure::failed)?;
    let of = |source: gristmill_frame::SourceReport| {
        (source.name, source.columns.into_iter().map(|column| column.name).collect())
    };
    Ok((spec, report.sources.into_iter().map(of).collect()))
}

/// What the model reads, and what names a row.
async fn needed(session: &Session, version: &ModelVersion, run: &RunJob) -> Result<prune::Needed, Failure> {
    let model = version.model.clone().ok_or_else(|| Failure::failed("the version names no model artifact"))?;
    let bytes = transfer::read(&mut session.artifacts(), &session.project, &model, "model.json").await?;
    let summary: ModelSummary = serde_json::from_slice(&bytes).map_err(Failure::failed)?;
    let request =
        GetPreparationJobRequest { project: session.project.clone(), id: step(run, "preparation")?.job_id.clone() };
    let job = session.preparation().get_preparation_job(request).await?.into_inner().job.unwrap_or_default();
    let ids = job.spec.map(|spec| spec.id_columns).unwrap_or_default();
    Ok(prune::Needed { inputs: summary.inputs, ids })
}

/// The columns of a new file, read as the old one was.
async fn columns(source: &Source, path: &Path) -> Result<BTreeSet<String>, Failure> {
    let options = source.csv.clone().unwrap_or_default();
    let mut csv = CsvOptions { header: options.header.unwrap_or(true), ..CsvOptions::default() };
    csv.delimiter = options.delimiter.chars().next().unwrap_or(csv.delimiter);
    csv.quote = options.quote.chars().next().unwrap_or(csv.quote);
    let spec = SourceSpec { format: FileFormat::Auto, csv, ..SourceSpec::default() };
    let (path, name) = (path.to_owned(), source.name.clone());
    let read = tokio::task::spawn_blocking(move || read_file(&path, &name, &spec, &Bounds::default()));
    let read = read.await.map_err(Failure::failed)?.map_err(Failure::failed)?;
    Ok(read.into_columns().into_iter().map(|column| column.name).collect())
}

async fn substitute(session: &Session, source: &mut Source, path: &Path, bars: &Bars) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bar = bars.upload(&name);
    let artifact = transfer::upload(&mut session.artifacts(), &session.project, path, &bar).await?;
    source.location = Some(Location::Artifact(artifact));
    source.format = data::file_format(path).into();
    source.display_name = name;
    Ok(())
}

async fn integrate(session: &Session, spec: IngestionSpec, bars: &Bars) -> Result<ArtifactRef, Failure> {
    let what = "the recorded integration on the new sources";
    let done = data::integrate(session, spec, what, bars).await;
    let result = done.map_err(|failure| Failure { exit: Exit::Failed, ..failure })?;
    if result.filtered_rows > 0 {
        eprintln!(
            "note: {} rows are outside the population of the model and are not in the output",
            result.filtered_rows
        );
    }
    result.dataset.ok_or_else(|| Failure::failed("the job came without a dataset"))
}
