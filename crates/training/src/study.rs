//! A study: proposes trials, waits for them, and makes a model of the winner.

mod finish;
mod trials;

use std::sync::Arc;

use gristmill_jobs::{Attempt, CrashPoint, JobError, Ledger, Outcome, Work};
use gristmill_learn::{StudySpec, Task, TrialReport, leaderboard};
use gristmill_proto::training::{StudyResult, StudySpec as SpecMessage};
use gristmill_stage::AttemptStore;
use gristmill_stats::metric::Metric;
use gristmill_store::Store;
use gristmill_types::{ArtifactKind, Clock};
use prost::Message;
use serde::Deserialize;

use crate::board::{self, Board, VERSION};
use crate::convert::{self, Checked};
use crate::service::Studies;
use crate::sets::Sets;
use crate::{TrainingError, cpu_class};
use trials::Trials;

const NOTE: &str = "scored on validation rows, which also stopped the rounds and chose the winner: optimistic";

/// Does study jobs.
#[derive(Debug)]
pub(crate) struct StudyWork {
    pub store: Store,
    pub ledger: Arc<dyn Ledger>,
    pub sets: Arc<Sets>,
    pub clock: Arc<dyn Clock>,
}

/// What `split.json` of the training split says, as far as a study needs it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct SplitFacts {
    rows: usize,
    task: Task,
    plan: SplitPlan,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct SplitPlan {
    method: String,
}

/// The done trials of a study.
struct Ended {
    reports: Vec<TrialReport>,
    stopped_by: &'static str,
}

impl Work for StudyWork {
    const KIND: &'static str = "study";

    /// It waits for its trials; what it computes itself is short.
    fn slots(&self) -> usize {
        0
    }

    async fn run(&self, attempt: Attempt) -> Result<Outcome, JobError> {
        let spec = SpecMessage::decode(attempt.payload()).map_err(|error| {
            JobError::permanent("INVALID_SPEC", "the stored spec cannot be read: submit the job again").caused_by(error)
        })?;
        let checked = convert::check(&spec)?;
        let done = self.study(&attempt, &checked).await;
        // Whatever came of it: rows are not kept in memory for a study that is over.
        self.sets.release(attempt.project(), &checked.inputs).await;
        done
    }
}

impl StudyWork {
    async fn study(&self, attempt: &Attempt, checked: &Checked) -> Result<Outcome, JobError> {
        let store = AttemptStore::new::<Studies>(&self.store, attempt, cpu_class())?;
        let facts = store.read(&checked.inputs.train, "split.json").await?;
        let facts: SplitFacts =
            serde_json::from_slice(&facts).map_err(|error| TrainingError::input("split.json", error))?;
        let study = checked.for_task(facts.task, facts.rows)?;
        let trials = Trials { work: self, attempt, store: &store, checked, study: &study, facts: &facts };
        let ended = trials.run().await?;
        attempt.reach(CrashPoint::MidWork);
        let board = leaderboard(ended.reports);
        let document = document(&study, &facts, ended.stopped_by, board.clone());
        let inputs = [checked.inputs.transform, checked.inputs.train, checked.inputs.validation];
        let bytes = serde_json::to_vec_pretty(&document)
            .map_err(|error| JobError::internal("the leaderboard cannot be written").caused_by(error))?;
        attempt.reach(CrashPoint::BeforePut);
        let study_ref = store.put(attempt, ArtifactKind::Study, inputs, [("leaderboard.json", bytes)]).await?;
        let model = trials.model(&board, study_ref).await?;
        attempt.reach(CrashPoint::AfterPut);
        let result = StudyResult {
            study: Some(study_ref.into()),
            model: Some(model.into()),
            leaderboard: board::rows(&board),
            objective: document.objective,
            stopped_by: document.stopped_by,
        };
        Ok(Outcome::new(result.encode_to_vec()).output(study_ref).output(model))
    }
}

fn document(study: &StudySpec, facts: &SplitFacts, stopped_by: &str, leaderboard: Vec<TrialReport>) -> Board {
    Board {
        version: VERSION,
        task: facts.task,
        objective: Metric::primary(facts.task).name().to_owned(),
        train_rows: facts.rows,
        // A study that stopped early equals one that was asked for what it did.
        trials: leaderboard.len() as u32,
        done: leaderboard.len() as u32,
        stopped_by: stopped_by.to_owned(),
        seed: study.seed,
        lag: study.lag,
        note: NOTE.to_owned(),
        leaderboard,
    }
}
