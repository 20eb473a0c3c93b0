//! One attempt: model, baseline and live rows in, drift report out.

use gristmill_jobs::{Attempt, CrashPoint, JobError, Outcome, Work};
use gristmill_model::Model;
use gristmill_proto::monitoring::MonitoringSpec;
use gristmill_stage::{AttemptStore, job_error};
use gristmill_store::{LocalFile, Store};
use gristmill_types::{ArtifactKind, ArtifactRef, Columns};
use prost::Message;

use crate::monitor::{Findings, Settings, monitor};
use crate::service::Monitoring;
use crate::{MonitoringError, convert, page, rows};

/// Does monitoring jobs.
#[derive(Debug)]
pub(crate) struct MonitoringWork {
    pub store: Store,
}

/// A local file of rows and whether it is CSV.
struct RowsFile {
    file: LocalFile,
    csv: bool,
}

impl Work for MonitoringWork {
    const KIND: &'static str = "monitoring";

    async fn run(&self, attempt: Attempt) -> Result<Outcome, JobError> {
        let spec = MonitoringSpec::decode(attempt.payload()).map_err(|error| {
            JobError::permanent("INVALID_SPEC", "the stored spec cannot be read: submit the job again").caused_by(error)
        })?;
        let checked = convert::check(&spec)?;
        let store = AttemptStore::new::<Monitoring>(&self.store, &attempt, "any")?;

        attempt.progress("reading the model", 0.0, "");
        let bytes = store.read(&checked.model, "model.gmm").await?;
        let model = Model::read(&bytes).map_err(MonitoringError::Model)?;
        let baseline = baseline(&model, checked.baseline)?;
        let train = rows_file(&store, &baseline).await?;
        let mut live = Vec::with_capacity(checked.rows.len());
        for artifact in &checked.rows {
            live.push(rows_file(&store, artifact).await?);
        }
        attempt.progress("comparing", 0.2, "");
        let settings = checked.settings;
        let (findings, html) = attempt
            .blocking(move |cancel| {
                let train = read(&train)?;
                let live = rows::concat(live.iter().map(read).collect::<Result<_, _>>()?)?;
                cancel.check()?;
                Ok(judge(&model, &train, &live, &settings)?)
            })
            .await?;
        attempt.reach(CrashPoint::MidWork);
        attempt.progress("writing the report", 0.9, findings.summary());
        let document = serde_json::to_vec_pretty(&findings).map_err(MonitoringError::from)?;
        let inputs = [checked.model, baseline].into_iter().chain(checked.rows);
        attempt.reach(CrashPoint::BeforePut);
        let parts = [("drift.json", document), ("report.html", html.into_bytes())];
        let report = store.put(&attempt, ArtifactKind::DriftReport, inputs, parts).await?;
        attempt.reach(CrashPoint::AfterPut);
        let result = convert::result(report, &findings);
        Ok(Outcome::new(result.encode_to_vec()).output(report))
    }
}

fn judge(
    model: &Model,
    train: &Columns,
    live: &Columns,
    settings: &Settings,
) -> Result<(Findings, String), MonitoringError> {
    let findings = monitor(model, train, live, settings)?;
    let html = page(&findings).render();
    Ok((findings, html))
}

/// The training split: the one that the model names, which the spec may repeat.
fn baseline(model: &Model, given: Option<ArtifactRef>) -> Result<ArtifactRef, MonitoringError> {
    let named = model.proto().baseline.as_ref().map(|baseline| baseline.train.as_str()).filter(|text| !text.is_empty());
    match (named, given) {
        (None, None) => Err(MonitoringError::NoBaseline),
        (None, Some(given)) => Ok(given),
        (Some(named), given) => {
            let digest = named.parse().map_err(|_| MonitoringError::NoBaseline)?;
            match given {
                Some(given) if given.digest != digest => {
                    Err(MonitoringError::Baseline { expected: named.to_owned(), given: given.digest.to_string() })
                }
                _ => Ok(ArtifactRef { kind: ArtifactKind::Prepared, digest }),
            }
        }
    }
}

async fn rows_file(store: &AttemptStore, artifact: &ArtifactRef) -> Result<RowsFile, JobError> {
    let opened = store.open(artifact).await?;
    let csv = !opened.manifest().parts().iter().any(|part| part.name() == "rows.parquet");
    let part = opened.part(if csv { "rows.csv" } else { "rows.parquet" }).map_err(job_error)?;
    Ok(RowsFile { file: part.path().await.map_err(job_error)?, csv })
}

fn read(rows: &RowsFile) -> Result<Columns, MonitoringError> {
    if !rows.csv {
        return Ok(gristmill_frame::read_parquet(rows.file.as_ref())?);
    }
    let spec = gristmill_frame::SourceSpec::default();
    Ok(gristmill_frame::read_file(rows.file.as_ref(), "rows.csv", &spec, &gristmill_frame::Bounds::default())?)
}
