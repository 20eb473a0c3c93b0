//! One attempt: dataset in, splits and transform out.

use gristmill_jobs::{Attempt, CrashPoint, JobError, Outcome, Work};
use gristmill_learn::Matrix;
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

    /// As many as there are: columns are prepared side by side.
    fn slots(&self) -> usize {
        usize::MAX
    }

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
                let prepared = prepare(rows, &facts, &settings)?;
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
    let splits =
        [(train_rows, Some(prepared.fitted.matrix)), (validation_rows, Some(prepared.validation)), (test_rows, None)];
    let encoded = attempt.blocking(move |_| Ok(encode(splits)?)).await?;
    let [train, validation, test] = encoded;
    let (train, validation, test) = futures::try_join!(
        put_split(attempt, store, dataset, train, &train_report),
        put_split(attempt, store, dataset, validation, &validation_report),
        put_split(attempt, store, dataset, test, &test_report),
    )?;
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

/// The bytes of one split's parts.
struct Encoded {
    rows: Vec<u8>,
    matrix: Option<Vec<u8>>,
}

/// Encodes the splits side by side in the attempt's threads; each gives up its rows once they are bytes.
fn encode(splits: [(Columns, Option<Matrix>); 3]) -> Result<[Encoded; 3], PreparationError> {
    let one = |(rows, matrix): (Columns, Option<Matrix>)| {
        let matrix = matrix.map(|matrix| matrix.to_bytes()).transpose()?;
        let mut bytes = Vec::new();
        gristmill_frame::write_parquet(&rows, &mut bytes)?;
        Ok(Encoded { rows: bytes, matrix })
    };
    let [train, validation, test] = splits;
    // Training is about as long as the other two.
    let (train, others): (Result<_, PreparationError>, (Result<_, PreparationError>, Result<_, PreparationError>)) =
        rayon::join(|| one(train), || (one(validation), one(test)));
    Ok([train?, others.0?, others.1?])
}

/// Writes one split: its raw rows, what it is, and for training and validation the matrix.
async fn put_split(
    attempt: &Attempt,
    store: &AttemptStore,
    dataset: ArtifactRef,
    encoded: Encoded,
    report: &SplitReport,
) -> Result<ArtifactRef, JobError> {
    let mut writer = store.write(ArtifactKind::Prepared, [dataset]);
    let document = serde_json::to_vec_pretty(report)
        .map_err(|error| JobError::internal("the split report cannot be written").caused_by(error))?;
    writer.part_bytes("split.json", document).await.map_err(job_error)?;
    if let Some(matrix) = encoded.matrix {
        writer.part_bytes("matrix.bin", matrix).await.map_err(job_error)?;
    }
    writer.part_bytes("rows.parquet", encoded.rows).await.map_err(job_error)?;
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
