//! One attempt: dataset in, splits and transform out.

use gristmill_jobs::{Attempt, CrashPoint, JobError, Outcome, Work};
use gristmill_proto::preparation::{PreparationResult, PreparationSpec};
use gristmill_stage::{AttemptPin, AttemptStore, job_error};
use gristmill_store::Store;
use gristmill_types::{ArtifactKind, ArtifactRef, Columns};
use prost::Message;

use crate::prepare::{DatasetFacts, Prepared, SplitReport, prepare};
use crate::service::Preparation;
use crate::split::Method;
use crate::{PreparationError, convert};

/// Does preparation jobs.
#[derive(Debug)]
pub(crate) struct PreparationWork {
    pub store: Store,
}

impl Work for PreparationWork {
    const KIND: &'static str = "preparation";

    async fn run(&self, attempt: Attempt) -> Result<Outcome, JobError> {
        let spec = PreparationSpec::decode(attempt.payload()).map_err(|error| {
            JobError::permanent("INVALID_SPEC", "the stored spec cannot be read: submit the job again").caused_by(error)
        })?;
        let checked = convert::check(&spec)?;
        let store = AttemptStore::new::<Preparation>(&self.store, &attempt, "any")?;

        attempt.progress("reading the dataset", 0.0, "");
        let dataset = store.open(&checked.dataset).await?;
        let rows_file = dataset.part("rows.parquet").map_err(job_error)?.path().await.map_err(job_error)?;
        let facts = store.read(&checked.dataset, "dataset.json").await?;
        let settings = checked.settings;
        let prepared = attempt
            .blocking(move |cancel| {
                let rows = gristmill_frame::read_parquet(rows_file.as_ref()).map_err(PreparationError::from)?;
                cancel.check()?;
                let facts: DatasetFacts = serde_json::from_slice(&facts)
                    .map_err(|source| PreparationError::Document { part: "dataset.json", source })?;
                let prepared = prepare(&rows, &facts, &settings)?;
                cancel.check()?;
                Ok(prepared)
            })
            .await?;
        attempt.reach(CrashPoint::MidWork);
        attempt.progress("writing the splits", 0.7, &prepared.reports[0].plan.reason);
        let result = put(&attempt, &store, checked.dataset, prepared).await?;
        Ok(outcome(&result))
    }
}

/// Writes the four artifacts.
async fn put(
    attempt: &Attempt,
    store: &AttemptStore,
    dataset: ArtifactRef,
    prepared: Prepared,
) -> Result<PreparationResult, JobError> {
    let recipe = prepared.recipe.to_json().map_err(PreparationError::from)?;
    let transform = prepared.fitted.to_model().encode_to_vec();
    attempt.reach(CrashPoint::BeforePut);
    let transform = store
        .put(attempt, ArtifactKind::Transform, [dataset], [("recipe.json", recipe), ("transform.pb", transform)])
        .await?;
    let [train_rows, validation_rows, test_rows] = prepared.rows;
    let [train_report, validation_report, test_report] = prepared.reports;
    let bytes = |matrix: &gristmill_learn::Matrix| matrix.to_bytes().map_err(PreparationError::from);
    let matrices = (bytes(&prepared.fitted.matrix)?, bytes(&prepared.validation)?);
    let train = put_split(attempt, store, dataset, train_rows, &train_report, Some(matrices.0)).await?;
    let validation = put_split(attempt, store, dataset, validation_rows, &validation_report, Some(matrices.1)).await?;
    let test = put_split(attempt, store, dataset, test_rows, &test_report, None).await?;
    attempt.reach(CrashPoint::AfterPut);
    let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
    Ok(PreparationResult {
        transform: Some(transform.into()),
        train: Some(train.into()),
        validation: Some(validation.into()),
        test: Some(test.into()),
        train_rows: count(train_report.rows),
        validation_rows: count(validation_report.rows),
        test_rows: count(test_report.rows),
        task: train_report.task.as_str().into(),
        labels: train_report.labels.clone(),
        split: train_report.plan.reason.clone(),
        time_split: train_report.plan.method == Method::Time,
    })
}

/// Writes one split: its raw rows, what it is, and for training and validation the matrix.
async fn put_split(
    attempt: &Attempt,
    store: &AttemptStore,
    dataset: ArtifactRef,
    rows: Columns,
    report: &SplitReport,
    matrix: Option<Vec<u8>>,
) -> Result<ArtifactRef, JobError> {
    let mut writer = store.write(ArtifactKind::Prepared, [dataset]);
    let document = serde_json::to_vec_pretty(report)
        .map_err(|error| JobError::internal("the split report cannot be written").caused_by(error))?;
    writer.part_bytes("split.json", document).await.map_err(job_error)?;
    if let Some(matrix) = matrix {
        writer.part_bytes("matrix.bin", matrix).await.map_err(job_error)?;
    }
    let parquet = attempt
        .blocking(move |_| {
            let mut bytes = Vec::new();
            gristmill_frame::write_parquet(&rows, &mut bytes).map_err(PreparationError::from)?;
            Ok(bytes)
        })
        .await?;
    writer.part_bytes("rows.parquet", parquet).await.map_err(job_error)?;
    writer.finish(&AttemptPin(attempt)).await.map_err(job_error)
}

fn outcome(result: &PreparationResult) -> Outcome {
    let outputs = [&result.transform, &result.train, &result.validation, &result.test];
    outputs
        .into_iter()
        .flatten()
        .filter_map(|artifact| ArtifactRef::try_from(artifact).ok())
        .fold(Outcome::new(result.encode_to_vec()), Outcome::output)
}
