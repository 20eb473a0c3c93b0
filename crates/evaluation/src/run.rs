//! One attempt: model, test split and champion in, figures, verdict and report out.

use gristmill_jobs::{Attempt, CrashPoint, Done, JobError, Outcome, Work};
use gristmill_model::Model;
use gristmill_proto::evaluation::{EvaluationResult, EvaluationSpec};
use gristmill_runtime::database::Tx;
use gristmill_stage::{AttemptStore, job_error};
use gristmill_store::{LocalFile, Store};
use gristmill_types::{ArtifactKind, ArtifactRef, Columns};
use prost::Message;
use serde::Deserialize;

use crate::convert::{self, Checked};
use crate::document::{Evaluation, VerdictFile};
use crate::evaluate::{Candidate, Inputs, evaluate, row_keys};
use crate::opened::{Opened, Opening};
use crate::service::Evaluations;
use crate::{EvaluationError, page};

/// Does evaluation jobs.
#[derive(Debug)]
pub(crate) struct EvaluationWork {
    pub store: Store,
    pub opened: Opened,
}

/// A model's file and the splits that it has seen, on local disk.
struct ModelFiles {
    artifact: ArtifactRef,
    version: Option<u32>,
    bytes: bytes::Bytes,
    seen: Vec<LocalFile>,
}

/// The part of `split.json` that says what a unit is.
#[derive(Deserialize)]
struct SplitFile {
    #[serde(default)]
    unit: String,
}

fn spec_of(payload: &[u8]) -> Result<Checked, JobError> {
    let spec = EvaluationSpec::decode(payload).map_err(|error| {
        JobError::permanent("INVALID_SPEC", "the stored spec cannot be read: submit the job again").caused_by(error)
    })?;
    Ok(convert::check(&spec)?)
}

impl Work for EvaluationWork {
    const KIND: &'static str = "evaluation";

    fn slots(&self) -> usize {
        // Resamples are independent; the bytes do not depend on how many threads share them.
        2
    }

    async fn run(&self, attempt: Attempt) -> Result<Outcome, JobError> {
        let checked = spec_of(attempt.payload())?;
        let store = AttemptStore::new::<Evaluations>(&self.store, &attempt, "any")?;
        attempt.progress("reading the models", 0.0, "");
        let candidate = model_files(&store, checked.model, None, &checked.seen).await?;
        let champion = match &checked.champion {
            None => None,
            Some(champion) => Some(model_files(&store, champion.model, champion.version, &champion.seen).await?),
        };
        attempt.progress("reading the test rows", 0.1, "");
        let test = store.open(&checked.test).await?;
        let rows = test.part("rows.parquet").map_err(job_error)?.path().await.map_err(job_error)?;
        let split = store.read(&checked.test, "split.json").await?;
        let test_opened = self.opened.count(attempt.project(), &checked.model_name).await?.saturating_add(1);
        let inputs = artifacts(&checked);

        attempt.progress("measuring", 0.3, "");
        let (evaluation, verdict, html) = attempt
            .blocking(move |cancel| {
                let split: SplitFile = serde_json::from_slice(&split)
                    .map_err(|source| EvaluationError::Document { part: "split.json", source })?;
                let champion = champion.map(|files| load(files, EvaluationError::Champion)).transpose()?;
                let inputs = Inputs {
                    candidate: load(candidate, EvaluationError::Model)?,
                    champion,
                    test: checked.test,
                    rows: read_rows(&rows)?,
                    unit: if split.unit.is_empty() { "row".to_owned() } else { split.unit },
                    test_opened,
                    settings: checked.settings,
                };
                cancel.check()?;
                let (evaluation, verdict) = evaluate(&inputs)?;
                cancel.check()?;
                let html = page(&evaluation, &verdict).render();
                Ok((evaluation, verdict, html))
            })
            .await?;
        attempt.reach(CrashPoint::MidWork);
        attempt.progress("writing the report", 0.9, &verdict.summary);
        let artifact = put(&attempt, &store, inputs, (&evaluation, &verdict, html)).await?;
        let result = convert::result(artifact, &evaluation, &verdict);
        Ok(Outcome::new(result.encode_to_vec()).output(artifact))
    }

    async fn rows(&self, tx: &mut Tx, done: Done<'_>) -> Result<(), JobError> {
        let checked = spec_of(&done.job.payload)?;
        let result = EvaluationResult::decode(done.result)
            .map_err(|error| JobError::internal("the result cannot be read").caused_by(error))?;
        let opening = Opening {
            project: &done.job.project,
            model_name: &checked.model_name,
            number: result.test_opened,
            test: checked.test,
            job: done.job.id,
        };
        self.opened.write(tx, &opening).await
    }
}

/// What the artifact was made from.
fn artifacts(checked: &Checked) -> Vec<ArtifactRef> {
    let mut inputs = vec![checked.model, checked.test];
    inputs.extend(&checked.seen);
    if let Some(champion) = &checked.champion {
        inputs.push(champion.model);
        inputs.extend(&champion.seen);
    }
    inputs.sort_unstable();
    inputs.dedup();
    inputs
}

async fn put(
    attempt: &Attempt,
    store: &AttemptStore,
    inputs: Vec<ArtifactRef>,
    (evaluation, verdict, html): (&Evaluation, &VerdictFile, String),
) -> Result<ArtifactRef, JobError> {
    let json = |part, bytes: Result<Vec<u8>, serde_json::Error>| {
        bytes.map_err(|source| EvaluationError::Document { part, source })
    };
    let parts = [
        ("evaluation.json", json("evaluation.json", serde_json::to_vec_pretty(evaluation))?),
        ("verdict.json", json("verdict.json", serde_json::to_vec_pretty(verdict))?),
        ("report.html", html.into_bytes()),
    ];
    attempt.reach(CrashPoint::BeforePut);
    let artifact = store.put(attempt, ArtifactKind::Evaluation, inputs, parts).await?;
    attempt.reach(CrashPoint::AfterPut);
    Ok(artifact)
}

async fn model_files(
    store: &AttemptStore,
    artifact: ArtifactRef,
    version: Option<u32>,
    splits: &[ArtifactRef],
) -> Result<ModelFiles, JobError> {
    let bytes = store.read(&artifact, "model.gmm").await?;
    let mut seen = Vec::with_capacity(splits.len());
    for split in splits {
        let opened = store.open(split).await?;
        seen.push(opened.part("rows.parquet").map_err(job_error)?.path().await.map_err(job_error)?);
    }
    Ok(ModelFiles { artifact, version, bytes, seen })
}

fn load(
    files: ModelFiles,
    unreadable: fn(gristmill_model::ModelError) -> EvaluationError,
) -> Result<Candidate, EvaluationError> {
    let model = Model::read(&files.bytes).map_err(unreadable)?;
    let mut seen = Vec::new();
    for file in &files.seen {
        seen.extend_from_slice(row_keys(&read_rows(file)?)?);
    }
    seen.sort_unstable();
    seen.dedup();
    Ok(Candidate { artifact: files.artifact, version: files.version, model, seen })
}

fn read_rows(file: &LocalFile) -> Result<Columns, EvaluationError> {
    Ok(gristmill_frame::read_parquet(file.as_ref())?)
}
