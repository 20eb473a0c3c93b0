//! One attempt: model and rows in, predictions out.

use gristmill_frame::{write_csv, write_parquet};
use gristmill_jobs::{Attempt, CrashPoint, JobError, Outcome, Work};
use gristmill_model::Model;
use gristmill_proto::serving::{PredictionResult, PredictionSpec};
use gristmill_stage::{AttemptStore, job_error};
use gristmill_store::{Artifact, Store};
use gristmill_types::ArtifactKind;
use prost::Message;

use super::service::{Checked, OutputFormat, Prediction};
use super::{predict, read_dataset, read_input};
use crate::ServingError;
use crate::models::MODEL_PART;

/// Part of a dataset artifact that is its rows.
const ROWS_PART: &str = "rows.parquet";

/// Does prediction jobs.
#[derive(Debug)]
pub(crate) struct PredictionWork {
    pub store: Store,
}

impl Work for PredictionWork {
    const KIND: &'static str = "prediction";

    async fn run(&self, attempt: Attempt) -> Result<Outcome, JobError> {
        let spec = PredictionSpec::decode(attempt.payload()).map_err(|error| {
            JobError::permanent("INVALID_SPEC", "the stored spec cannot be read: submit the job again").caused_by(error)
        })?;
        let checked = Checked::of(&spec).map_err(|problem| JobError::permanent("INVALID_SPEC", problem.to_string()))?;
        let store = AttemptStore::new::<Prediction>(&self.store, &attempt, "any")?;
        attempt.progress("reading the model", 0.0, "");
        let file = store.read(&checked.model, MODEL_PART).await?;
        let input = store.open(&checked.input).await?;
        let part = file_part(&input)?;
        let rows_file = input.part(&part).map_err(job_error)?.path().await.map_err(job_error)?;
        attempt.progress("predicting", 0.2, "");
        let (is_dataset, format, output) =
            (checked.input.kind == ArtifactKind::Dataset, checked.format.clone(), checked.output);
        let (bytes, rows, warnings) = attempt
            .blocking(move |cancel| {
                let model = Model::read(&file).map_err(ServingError::from)?;
                let table = if is_dataset {
                    read_dataset(rows_file.as_ref())?
                } else {
                    read_input(rows_file.as_ref(), &format, &model)?
                };
                cancel.check()?;
                let (predictions, warnings) = predict(&model, &table)?;
                cancel.check()?;
                let mut bytes = Vec::new();
                match output {
                    OutputFormat::Parquet => write_parquet(&predictions, &mut bytes).map(drop),
                    OutputFormat::Csv => write_csv(&predictions, &mut bytes),
                }
                .map_err(ServingError::from)?;
                Ok((bytes, predictions.rows() as u64, warnings))
            })
            .await?;
        attempt.reach(CrashPoint::MidWork);
        attempt.progress("writing the predictions", 0.9, "");
        attempt.reach(CrashPoint::BeforePut);
        let inputs = [checked.model, checked.input];
        let predictions = store.put(&attempt, ArtifactKind::Predictions, inputs, [(output.part(), bytes)]).await?;
        attempt.reach(CrashPoint::AfterPut);
        let result = PredictionResult { predictions: Some(predictions.into()), rows, warnings };
        Ok(Outcome::new(result.encode_to_vec()).output(predictions))
    }
}

/// The part that is the table: a dataset's rows, or the only file of a source.
fn file_part(input: &Artifact) -> Result<String, JobError> {
    let parts = input.manifest().parts();
    match parts {
        [only] => Ok(only.name().to_owned()),
        _ if parts.iter().any(|part| part.name() == ROWS_PART) => Ok(ROWS_PART.to_owned()),
        _ => Err(JobError::permanent("INVALID_SPEC", "the input artifact is not one file: upload the table alone")),
    }
}

impl From<ServingError> for JobError {
    fn from(error: ServingError) -> Self {
        match error {
            ServingError::Store(error) => job_error(error),
            error => Self::permanent(error.reason(), error.to_string()).caused_by(error),
        }
    }
}
