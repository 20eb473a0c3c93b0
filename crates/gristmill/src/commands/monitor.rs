//! `monitor`: new rows against what a model was trained on.

use gristmill_pipeline::file::{Given, Interval, Monitoring, Pipeline};
use gristmill_proto::artifact::ArtifactRef;
use gristmill_proto::ingestion::{IngestionSpec, Integration, Source, source};
use gristmill_proto::monitoring::{
    ColumnDrift, CreateMonitoringJobRequest, GetMonitoringJobRequest, MonitoringResult, MonitoringSpec, MonitoringState,
};
use gristmill_proto::registry::ModelVersion;
use gristmill_proto::serving::FlushInferenceLogRequest;
use gristmill_runtime::Process;
use serde_json::{Value, json};

use super::{data, jobs, runs, sources};
use crate::cli::{Format, Global, Monitor, MonitorRows};
use crate::failure::{Exit, Failure};
use crate::names::ModelName;
use crate::output::{self, number, table};
use crate::progress::Bars;
use crate::session::Session;
use crate::transfer;

/// Runs one of the commands.
///
/// # Errors
/// As the exit codes say.
pub async fn run(global: &Global, monitor: Monitor, process: Process) -> Result<Exit, Failure> {
    let (rows, file) = match monitor {
        Monitor::Check(rows) => (rows, None),
        Monitor::Report { rows, file } => (rows, Some(file)),
    };
    if let Some(input) = &rows.input {
        data::readable(input)?;
    }
    sources::readable(&rows.source)?;
    let name = ModelName::parse(&rows.model)?;
    let session = Session::open(global, process, None).await?;
    let done = async {
        let version = name.resolve(&session).await?;
        let result = check(&session, global, &rows, &version).await?;
        if let Some(file) = &file {
            let report = result.report.clone().ok_or_else(|| Failure::failed("the job came without a report"))?;
            transfer::download(&mut session.artifacts(), &session.project, &report, "report.html", file).await?;
        }
        print(&version, &result, rows.output)?;
        Ok(match result.state() {
            MonitoringState::Alert => Exit::Refused,
            _ => Exit::Done,
        })
    };
    let done = done.await;
    session.close().await;
    done
}

async fn check(
    session: &Session,
    global: &Global,
    rows: &MonitorRows,
    version: &ModelVersion,
) -> Result<MonitoringResult, Failure> {
    let bars = Bars::new(global.quiet);
    let compared = match &rows.input {
        Some(_) => vec![dataset(session, rows, &bars).await?],
        None if !rows.source.is_empty() => vec![sources::dataset(session, version, &rows.source, &bars).await?],
        None => logged(session, version).await?,
    };
    // The first split that a version names is the one it was trained on.
    let baseline = version.seen.first().cloned();
    let baseline = baseline.ok_or_else(|| Failure::failed("the version does not name the rows it was trained on"))?;
    let said = said_by_run(session, version).await;
    let spec = MonitoringSpec {
        model: version.model.clone(),
        baseline: Some(baseline),
        rows: compared,
        min_rows: said.min_rows,
        exclude: said.exclude,
        seed: MonitoringSpec::default().seed,
    };
    let request = CreateMonitoringJobRequest {
        project: session.project.clone(),
        spec: Some(spec),
        ..CreateMonitoringJobRequest::default()
    };
    let mut client = session.monitoring();
    let created = client.create_monitoring_job(request).await?.into_inner();
    let id = created.job.and_then(|job| job.job).unwrap_or_default().id;
    let request = GetMonitoringJobRequest { project: session.project.clone(), id };
    let look = async || client.get_monitoring_job(request.clone()).await.map(tonic::Response::into_inner);
    let bar = bars.work("monitoring");
    let done = jobs::wait(session, "monitoring", &bar, look, |answer| answer.job.as_ref()?.job.as_ref()).await?;
    done.job.and_then(|job| job.result).ok_or_else(|| Failure::failed("the job came without a result"))
}

/// What the pipeline that made a version says about monitoring it; the defaults where the run is gone.
async fn said_by_run(session: &Session, version: &ModelVersion) -> Monitoring {
    if version.run_id.is_empty() {
        return Monitoring::default();
    }
    let spec = runs::get(session, &version.run_id).await.ok().and_then(|run| run.spec);
    let parsed = spec.and_then(|spec| {
        let interval = Interval { start: spec.interval_start, end: spec.interval_end };
        Pipeline::parse(&spec.pipeline, &Given { parameters: spec.parameters, interval }).ok()
    });
    parsed.map(|pipeline| pipeline.monitoring).unwrap_or_default()
}

/// New rows as a dataset.
async fn dataset(session: &Session, rows: &MonitorRows, bars: &Bars) -> Result<ArtifactRef, Failure> {
    let Some(input) = &rows.input else { return Err(Failure::usage("name new rows with --input")) };
    let display_name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bar = bars.upload(&display_name);
    let artifact = transfer::upload(&mut session.artifacts(), &session.project, input, &bar).await?;
    let source = Source {
        name: "rows".into(),
        location: Some(source::Location::Artifact(artifact)),
        format: data::file_format(input).into(),
        csv: Some(data::csv_options(&rows.csv)),
        display_name,
        ..Source::default()
    };
    let spec = IngestionSpec {
        sources: vec![source],
        integration: Some(Integration { base: "rows".into(), ..Integration::default() }),
        ..IngestionSpec::default()
    };
    let result = data::integrate(session, spec, &format!("reading {}", input.display()), bars).await?;
    result.dataset.ok_or_else(|| Failure::failed("the job came without a dataset"))
}

/// What the model has been asked online.
async fn logged(session: &Session, version: &ModelVersion) -> Result<Vec<ArtifactRef>, Failure> {
    let request = FlushInferenceLogRequest { project: session.project.clone(), name: version.name.clone() };
    let logs = session.serving().flush_inference_log(request).await?.into_inner().logs;
    if logs.is_empty() {
        let message = format!("{} has not been asked anything online yet: name new rows with --input", version.name);
        return Err(Failure::usage(message));
    }
    Ok(logs)
}

fn print(version: &ModelVersion, result: &MonitoringResult, format: Format) -> Result<(), Failure> {
    let state = state_name(result.state());
    match format {
        Format::Json => {
            let column = |c: &ColumnDrift| json!({"column": c.column, "psi": c.psi, "threshold": c.threshold, "verdict": c.verdict, "reason": c.reason});
            output::json(&json!({
                "model": {"name": version.name, "version": version.version},
                "state": state,
                "summary": result.summary,
                "rows": result.rows,
                "columns": result.columns.iter().map(column).collect::<Vec<Value>>(),
                "prediction": result.prediction.as_ref().map(column),
                "quality": result.quality,
            }))
        }
        Format::Text => {
            let row = |c: &ColumnDrift| {
                vec![c.column.clone(), number(c.psi), number(c.threshold), c.verdict.clone(), c.reason.clone()]
            };
            let rows: Vec<Vec<String>> = result.prediction.iter().chain(&result.columns).map(row).collect();
            let (name, number) = (&version.name, version.version);
            let mut text = format!(
                "{name} version {number}: {} ({} rows)\n{}\n",
                state.replace('_', " "),
                result.rows,
                result.summary
            );
            text.push_str(&format!("\n{}", table(&["column", "psi", "threshold", "verdict", "why"], &rows)));
            for fault in &result.quality {
                text.push_str(&format!("quality: {fault}\n"));
            }
            output::text(&text)
        }
    }
}

const fn state_name(state: MonitoringState) -> &'static str {
    match state {
        MonitoringState::Unspecified => "unknown",
        MonitoringState::Ok => "ok",
        MonitoringState::Warning => "warning",
        MonitoringState::Alert => "alert",
        MonitoringState::NotEnoughData => "not_enough_data",
    }
}
