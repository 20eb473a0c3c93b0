//! From the winning trial to `model.gmm`.

use std::sync::Arc;

use gristmill_jobs::JobError;
use gristmill_learn::{Finish, FinishedModel, Fitted, Outcome, TrialReport, finish, trial_fitted};
use gristmill_stats::metric::Metric;
use gristmill_types::{ArtifactKind, ArtifactRef, Columns, JobState};

use super::trials::{Trials, model_of};
use crate::board::{ModelSummary, VERSION};
use crate::sets::Loaded;
use crate::trial::MODEL_PART;
use crate::{TrainingError, cpu_class};

/// Rows of the model's example.
const EXAMPLE_ROWS: usize = 5;

/// The winner's predictors.
struct Winner {
    report: TrialReport,
    fitted: Fitted,
    refitted: Option<Fitted>,
}

impl Trials<'_> {
    /// Makes the model of the best trial of `board` and stores it.
    pub(super) async fn model(&self, board: &[TrialReport], study: ArtifactRef) -> Result<ArtifactRef, JobError> {
        let winner = self.winner(board).await?;
        self.attempt.progress("finishing the model", 0.95, winner.report.learner.as_str());
        let loaded = self.work.sets.get(self.attempt, self.store, &self.checked.inputs).await?;
        let inputs = self.checked.inputs;
        let train = self.store.open(&inputs.train).await?;
        let dataset = train.manifest().inputs().first().map(|artifact| artifact.digest.to_string());
        let baseline = (inputs.train.digest.to_string(), dataset.unwrap_or_default());
        let validation = self.store.open(&inputs.validation).await?;
        let rows = validation.part("rows.parquet").map_err(gristmill_stage::job_error)?;
        let rows = rows.path().await.map_err(gristmill_stage::job_error)?;
        let threshold = self.checked.threshold;
        let own = Arc::clone(&loaded);
        let (model, winner) = self
            .attempt
            .blocking(move |cancel| {
                let table = gristmill_frame::read_parquet(rows.as_ref())
                    .map_err(|error| TrainingError::input("rows.parquet", error))?;
                let few: Vec<usize> = (0..table.rows().min(EXAMPLE_ROWS)).collect();
                let example: Columns = table.take(&few);
                cancel.check()?;
                let finished = finish(&Finish {
                    transform: &own.transform,
                    set: &own.set,
                    winner: &winner.report,
                    fitted: &winner.fitted,
                    refitted: winner.refitted.as_ref(),
                    calibrate: true,
                    threshold,
                    baseline: (&baseline.0, &baseline.1),
                    example: Some(&example),
                    cpu_class: cpu_class(),
                });
                Ok((finished.map_err(TrainingError::Finish)?, winner))
            })
            .await?;
        let summary = serde_json::to_vec_pretty(&summary(&winner, &model, &loaded))
            .map_err(|error| JobError::internal("the model's summary cannot be written").caused_by(error))?;
        let from = [study, inputs.transform, inputs.train, inputs.validation];
        let parts = [(MODEL_PART, model.bytes), ("model.json", summary)];
        self.store.put(self.attempt, ArtifactKind::Model, from, parts).await
    }

    /// The best trial's predictor, and the one of its second fit if there is to be one.
    async fn winner(&self, board: &[TrialReport]) -> Result<Winner, JobError> {
        let report = board.first().filter(|report| report.loss().is_some()).ok_or_else(|| {
            let reasons = board.iter().filter_map(|report| match &report.outcome {
                Outcome::Failed { reason } => Some(format!("{}: {reason}", report.learner)),
                Outcome::Succeeded { .. } => None,
            });
            TrainingError::NoModel(reasons.take(3).collect::<Vec<_>>().join("; "))
        })?;
        let trial = report.trial();
        // Ended long ago: the request finds it.
        let fitted = self.child(&format!("trial-{}", trial.number), &trial, None).await?;
        let fitted = self.fitted(&fitted).await?;
        let time_split = self.facts.plan.method == "time";
        let refitted = if self.checked.refit.unwrap_or(time_split) {
            self.attempt.progress("fitting the winner again", 0.9, report.learner.as_str());
            let job = tokio::select! {
                stop = self.attempt.cancelled() => return Err(stop),
                job = self.child("refit", &trial, Some(report.rounds())) => job?,
            };
            if job.state != JobState::Succeeded {
                let message = job.error.map_or_else(|| "it was cancelled".into(), |error| error.message);
                return Err(TrainingError::TrialError { number: trial.number, message }.into());
            }
            Some(self.fitted(&job).await?)
        } else {
            None
        };
        Ok(Winner { report: report.clone(), fitted, refitted })
    }

    async fn fitted(&self, job: &gristmill_jobs::Job) -> Result<Fitted, JobError> {
        let bytes = self.store.read(&model_of(job)?, MODEL_PART).await?;
        Ok(trial_fitted(&bytes).map_err(|error| TrainingError::input(MODEL_PART, error))?)
    }
}

fn summary(winner: &Winner, model: &FinishedModel, loaded: &Loaded) -> ModelSummary {
    let train = loaded.set.train();
    let validation_rows = loaded.set.validation().map_or(0, gristmill_learn::Matrix::rows);
    let signature = loaded.transform.signature.as_ref();
    let (loss, metrics, importance) = match &winner.report.outcome {
        Outcome::Succeeded { loss, metrics, importance, .. } => (*loss, metrics.clone(), importance.clone()),
        Outcome::Failed { .. } => (f64::NAN, std::collections::BTreeMap::new(), Vec::new()),
    };
    let refitted = winner.refitted.is_some();
    ModelSummary {
        version: VERSION,
        task: train.task,
        target: signature.map(|s| s.target.clone()).unwrap_or_default(),
        labels: train.labels.clone(),
        learner: winner.report.learner.to_string(),
        params: winner.report.params.clone(),
        trial: winner.report.number,
        objective: Metric::primary(train.task).name().to_owned(),
        validation_loss: loss,
        validation_metrics: metrics,
        rounds: winner.report.rounds(),
        refitted,
        fitted_rows: train.rows() + if refitted { validation_rows } else { 0 },
        threshold: model.threshold,
        calibration: model.calibration.clone(),
        inputs: signature.map(|s| s.inputs.iter().map(|input| input.name.clone()).collect()).unwrap_or_default(),
        importance,
    }
}
