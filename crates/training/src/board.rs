//! What a study leaves behind for people: `leaderboard.json` and `model.json`.

use std::collections::BTreeMap;

use gristmill_learn::{Importance, Outcome, Params, Task, TrialReport};
use gristmill_proto::training::LeaderboardRow;
use serde::{Deserialize, Serialize};

use crate::convert::parameters;

/// The version written into both documents.
pub(crate) const VERSION: u32 = 1;

/// `leaderboard.json`: every trial of a study, best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Board {
    /// Format of this document.
    pub version: u32,
    /// What is predicted.
    pub task: Task,
    /// What trials are ranked by; lower is better.
    pub objective: String,
    /// Training rows.
    pub train_rows: usize,
    /// Trials asked for.
    pub trials: u32,
    /// Trials done.
    pub done: u32,
    /// Why no more were proposed: `trials` or `time`.
    pub stopped_by: String,
    /// Seed of the study.
    pub seed: u64,
    /// Trial n looked at trials up to n − lag.
    pub lag: u32,
    /// What the validation scores are worth.
    pub note: String,
    /// Trials by rising loss, ties by number, failed ones last.
    pub leaderboard: Vec<TrialReport>,
}

/// `model.json`: what `model.gmm` holds, for people and reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// Format of this document.
    pub version: u32,
    /// What is predicted.
    pub task: Task,
    /// The target column.
    pub target: String,
    /// Labels by class index; the second of a binary task is positive.
    pub labels: Vec<String>,
    /// The learner that won.
    pub learner: String,
    /// Its parameters.
    pub params: Params,
    /// The trial that won.
    pub trial: u32,
    /// What trials were ranked by.
    pub objective: String,
    /// Its value on validation, of the fit on training rows alone.
    pub validation_loss: f64,
    /// Every metric on validation, of the fit on training rows alone.
    pub validation_metrics: BTreeMap<String, f64>,
    /// Rounds kept.
    pub rounds: Option<u32>,
    /// Whether the model was fitted again on training and validation rows together.
    pub refitted: bool,
    /// Rows of that last fit.
    pub fitted_rows: usize,
    /// The decision threshold of a binary task, chosen on validation.
    pub threshold: f64,
    /// What was done about calibration, and why.
    pub calibration: String,
    /// Inputs the model reads.
    pub inputs: Vec<String>,
    /// Features by falling importance.
    pub importance: Vec<Importance>,
}

/// The contract's rows of a leaderboard: the trials that succeeded.
pub(crate) fn rows(board: &[TrialReport]) -> Vec<LeaderboardRow> {
    let mut rows = Vec::new();
    for report in board {
        let Outcome::Succeeded { loss, metrics, rounds, .. } = &report.outcome else { continue };
        rows.push(LeaderboardRow {
            // At most the trials of a study.
            rank: rows.len() as u32 + 1,
            trial: report.number,
            learner: report.learner.to_string(),
            parameters: parameters(&report.params),
            score: *loss,
            metrics: metrics.clone(),
            rounds: rounds.unwrap_or(0),
        });
    }
    rows
}
