//! One trial: a learner fitted on the training rows and judged on the validation rows.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use gristmill_jobs::{Attempt, Cancel, CrashPoint, JobError, Outcome, Work};
use gristmill_learn::{Hook, LearnError, Outcome as Judgement, TrialReport, refit, run_trial, trial_model};
use gristmill_proto::training::{TrialResult, TrialSpec};
use gristmill_stage::AttemptStore;
use gristmill_store::Store;
use gristmill_types::{ArtifactKind, ArtifactRef, Clock};
use prost::Message;
use tokio::sync::watch;

use crate::checkpoint::{self, Pace};
use crate::convert::{self, CheckedTrial};
use crate::service::Trials;
use crate::sets::{Loaded, Sets};
use crate::{TrainingError, cpu_class};

/// The model of a trial.
pub(crate) const MODEL_PART: &str = "model.gmm";
/// The report of a trial.
pub(crate) const TRIAL_PART: &str = "trial.json";

/// Does trial jobs.
#[derive(Debug)]
pub(crate) struct TrialWork {
    pub store: Store,
    pub sets: Arc<Sets>,
    /// Says when work is worth keeping.
    pub clock: Arc<dyn Clock>,
    /// CPU slots, and with them threads, of one trial.
    pub threads: usize,
}

/// What a fit gives to be stored.
struct Fit {
    model: Vec<u8>,
    report: Option<TrialReport>,
    rounds: u32,
}

/// Passes rounds on as progress, checkpoints on to be stored, and the wish to stop back.
struct Rounds<'a> {
    attempt: &'a Attempt,
    cancel: &'a Cancel,
    pace: Pace,
    due: AtomicBool,
    taken: watch::Sender<Option<Vec<u8>>>,
    earlier: Option<Bytes>,
}

impl Hook for Rounds<'_> {
    fn round(&self, round: u32, of: u32, score: Option<f64>) -> ControlFlow<()> {
        if self.cancel.is_cancelled() {
            // Elsewhere, or here after a restart, it goes on; after a cancellation it does not.
            self.due.store(self.cancel.is_drained(), Ordering::Relaxed);
            return ControlFlow::Break(());
        }
        self.due.store(self.pace.round(), Ordering::Relaxed);
        let message = score.map_or_else(String::new, |score| format!("validation loss {score:.5}"));
        self.attempt.progress("fitting", f64::from(round) / f64::from(of.max(1)), message);
        ControlFlow::Continue(())
    }

    fn checkpoint_due(&self) -> bool {
        self.due.load(Ordering::Relaxed)
    }

    fn keep(&self, checkpoint: Vec<u8>) {
        self.taken.send_replace(Some(checkpoint));
        self.pace.taken();
    }

    fn checkpoint(&self) -> Option<&[u8]> {
        self.earlier.as_deref()
    }
}

impl Work for TrialWork {
    const KIND: &'static str = "trial";

    fn slots(&self) -> usize {
        self.threads
    }

    async fn run(&self, attempt: Attempt) -> Result<Outcome, JobError> {
        let spec = TrialSpec::decode(attempt.payload()).map_err(|error| {
            JobError::permanent("INVALID_SPEC", "the stored spec cannot be read: submit the job again").caused_by(error)
        })?;
        let checked = convert::check_trial(&spec)?;
        let store = AttemptStore::new::<Trials>(&self.store, &attempt, cpu_class())?;
        attempt.progress("reading", 0.0, "");
        let loaded = self.sets.get(&attempt, &store, &checked.inputs).await?;
        attempt.reach(CrashPoint::MidWork);
        let inputs = checked.inputs;
        let earlier = checkpoint::earlier(&attempt, &store).await;
        let (taken, waiting) = watch::channel(None);
        let (own, clock) = (attempt.clone(), Arc::clone(&self.clock));
        let fitting = attempt.blocking(move |cancel| {
            let due = AtomicBool::new(false);
            let hook = Rounds { attempt: &own, cancel, pace: Pace::new(clock), due, taken, earlier };
            fit(&loaded, &checked, &hook).map_err(JobError::from)
        });
        let (fit, ()) = tokio::join!(fitting, checkpoint::store(&attempt, &store, &inputs, waiting));
        let mut fit = fit?;
        let mut parts = vec![(MODEL_PART, std::mem::take(&mut fit.model))];
        if let Some(report) = &fit.report {
            let document = serde_json::to_vec_pretty(report)
                .map_err(|error| JobError::internal("the trial's report cannot be written").caused_by(error))?;
            parts.push((TRIAL_PART, document));
        }
        attempt.reach(CrashPoint::BeforePut);
        let from = [inputs.transform, inputs.train, inputs.validation];
        let model = store.put(&attempt, ArtifactKind::Model, from, parts).await?;
        attempt.reach(CrashPoint::AfterPut);
        Ok(Outcome::new(result(model, &fit).encode_to_vec()).output(model))
    }
}

fn fit(loaded: &Loaded, checked: &CheckedTrial, hook: &dyn Hook) -> Result<Fit, TrainingError> {
    let trial = &checked.trial;
    let (fitted, report, rounds) = match checked.refit {
        Some(rounds) => (refit(&loaded.set, trial, rounds, hook).map_err(trial_error)?, None, rounds),
        None => {
            let (report, fitted) = run_trial(&loaded.set, trial, hook).map_err(trial_error)?;
            match (fitted, &report.outcome) {
                (_, Judgement::Failed { reason }) => return Err(TrainingError::Trial(reason.clone())),
                (None, _) => return Err(TrainingError::Trial("it gave no predictor".into())),
                (Some(fitted), _) => {
                    let rounds = report.rounds();
                    (fitted, Some(report), rounds)
                }
            }
        }
    };
    let model = trial_model(&loaded.transform, loaded.set.train(), trial, &fitted, cpu_class()).map_err(trial_error)?;
    Ok(Fit { model, report, rounds: rounds.unwrap_or(0) })
}

fn trial_error(error: LearnError) -> TrainingError {
    match error {
        LearnError::Cancelled => TrainingError::Interrupted,
        LearnError::Parameter { .. } => TrainingError::Study(error),
        error => TrainingError::Trial(error.to_string()),
    }
}

fn result(model: ArtifactRef, fit: &Fit) -> TrialResult {
    let judged = fit.report.as_ref().map(|report| &report.outcome);
    let (score, metrics) = match judged {
        Some(Judgement::Succeeded { loss, metrics, .. }) => (*loss, metrics.clone()),
        _ => (0.0, std::collections::BTreeMap::new()),
    };
    TrialResult { model: Some(model.into()), score, rounds: fit.rounds, metrics }
}
