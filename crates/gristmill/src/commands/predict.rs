//! `predict`: score a file with a registered model.

use std::path::Path;

use gristmill_proto::serving::{CreatePredictionJobRequest, GetPredictionJobRequest, PredictionSpec};
use gristmill_proto::table::FileFormat;
use gristmill_runtime::Process;
use serde_json::json;

use super::{data, jobs, sources};
use crate::cli::{Global, Predict};
use crate::failure::{Exit, Failure};
use crate::names::ModelName;
use crate::progress::Bars;
use crate::session::Session;
use crate::{output, transfer};

/// Scores the file.
///
/// # Errors
/// As the exit codes say.
pub async fn run(global: &Global, predict: Predict, process: Process) -> Result<Exit, Failure> {
    predict.input.iter().try_for_each(|input| data::readable(input))?;
    sources::readable(&predict.source)?;
    let name = ModelName::parse(&predict.model)?;
    let session = Session::open(global, process, None).await?;
    let done = score(&session, global, &predict, name).await;
    session.close().await;
    done
}

async fn score(session: &Session, global: &Global, predict: &Predict, name: ModelName) -> Result<Exit, Failure> {
    let version = name.resolve(session).await?;
    let bars = Bars::new(global.quiet);
    let (input, input_format, what) = match &predict.input {
        Some(path) => {
            let bar = bars.upload(&path.file_name().unwrap_or_default().to_string_lossy());
            let input = transfer::upload(&mut session.artifacts(), &session.project, path, &bar).await?;
            (input, data::file_format(path), format!("scoring {}", path.display()))
        }
        None => {
            let input = sources::dataset(session, &version, &predict.source, &bars).await?;
            (input, FileFormat::Parquet, "scoring the new sources".to_owned())
        }
    };
    let output_format = data::file_format(&predict.output);
    let spec = PredictionSpec {
        model: version.model.clone(),
        input: Some(input),
        input_format: input_format.into(),
        csv: Some(data::csv_options(&predict.csv)),
        output_format: output_format.into(),
    };
    let project = session.project.clone();
    let request = CreatePredictionJobRequest { project, spec: Some(spec), ..CreatePredictionJobRequest::default() };
    let mut client = session.predictions();
    let created = client.create_prediction_job(request).await?.into_inner();
    let id = created.job.and_then(|job| job.job).map(|job| job.id).unwrap_or_default();
    let request = GetPredictionJobRequest { project: session.project.clone(), id };
    let look = async || client.get_prediction_job(request.clone()).await.map(tonic::Response::into_inner);
    let done =
        jobs::wait(session, &what, &bars.work("predict"), look, |answer| answer.job.as_ref()?.job.as_ref()).await?;
    let result = done.job.and_then(|job| job.result).unwrap_or_default();
    let artifact = result.predictions.ok_or_else(|| Failure::failed("the job came without predictions"))?;
    let part = if output_format == FileFormat::Parquet { "rows.parquet" } else { "rows.csv" };
    let path: &Path = &predict.output;
    transfer::download(&mut session.artifacts(), &session.project, &artifact, part, path).await?;
    for warning in &result.warnings {
        eprintln!("warning: {warning}");
    }
    if predict.json {
        output::json(&json!({
            "model": {"name": version.name, "version": version.version},
            "rows": result.rows,
            "output": path,
            "warnings": result.warnings,
            "artifact": {"kind": artifact.kind, "digest": artifact.digest},
        }))?;
    } else {
        let (name, number) = (&version.name, version.version);
        output::text(&format!("{} rows scored by {name} version {number}: {}\n", result.rows, path.display()))?;
    }
    Ok(Exit::Done)
}
