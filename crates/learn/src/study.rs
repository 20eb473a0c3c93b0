//! A study: which learner each trial tries, with which parameters, and what came of it.

use std::collections::BTreeMap;

use gristmill_stats::random::derive_seed;
use serde::{Deserialize, Serialize};

use crate::judge::judge;
use crate::learner::{FitContext, Fitted, Hook, Importance, LearnerKind, Params};
use crate::search::{Space, Tried, propose};
use crate::training_set::TrainingSet;
use crate::{LearnError, Task};

/// Trial n may look at trials up to n − LAG and starts once those are done, so that what it proposes
/// does not depend on how many workers there are.
pub const LAG: u32 = 4;
/// Features listed in a trial's report at most.
const REPORTED_FEATURES: usize = 50;
/// Trials of one study at most.
const MAX_TRIALS: u32 = 10_000;

/// What a study is to try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StudySpec {
    /// Seed of everything random in the study.
    pub seed: u64,
    /// Number of trials.
    pub trials: u32,
    /// Learners to try; empty for those of the task.
    pub learners: Vec<LearnerKind>,
    /// Ranges in the place of a learner's own.
    pub spaces: BTreeMap<LearnerKind, Space>,
    /// Trial n looks at trials up to n − lag.
    pub lag: u32,
}

impl Default for StudySpec {
    fn default() -> Self {
        Self { seed: 0, trials: 12, learners: Vec::new(), spaces: BTreeMap::new(), lag: LAG }
    }
}

/// One trial to be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialPlan {
    /// Its number, from 0.
    pub number: u32,
    /// What to learn with.
    pub learner: LearnerKind,
    /// Whether it is the learner's first, which takes the defaults.
    pub first: bool,
}

/// A planned trial with everything its fit depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number.
    pub number: u32,
    /// What to learn with.
    pub learner: LearnerKind,
    /// The parameters.
    pub params: Params,
    /// Seed of the fit.
    pub seed: u64,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A predictor was fitted and judged.
    Succeeded {
        /// Validation loss: what trials are ranked by.
        loss: f64,
        /// Every metric of the task on the validation rows.
        metrics: BTreeMap<String, f64>,
        /// Rounds kept, of learners that have rounds.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rounds: Option<u32>,
        /// Tree nodes that one row visits at most.
        nodes: u64,
        /// Multiplications for one row.
        multiplications: u64,
        /// Features by falling importance.
        importance: Vec<Importance>,
    },
    /// The learner could not learn from the data.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What came of one trial. The same bytes wherever it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialReport {
    /// Its number.
    pub number: u32,
    /// What was learned with.
    pub learner: LearnerKind,
    /// The parameters.
    pub params: Params,
    /// Seed of the fit.
    pub seed: u64,
    /// How it ended.
    pub outcome: Outcome,
}

impl TrialReport {
    /// The trial it reports on.
    pub fn trial(&self) -> Trial {
        Trial { number: self.number, learner: self.learner, params: self.params.clone(), seed: self.seed }
    }

    /// The validation loss; none if the trial failed.
    pub fn loss(&self) -> Option<f64> {
        match &self.outcome {
            Outcome::Succeeded { loss, .. } => Some(*loss),
            Outcome::Failed { .. } => None,
        }
    }

    /// Rounds kept, of learners that have rounds.
    pub fn rounds(&self) -> Option<u32> {
        match &self.outcome {
            Outcome::Succeeded { rounds, .. } => *rounds,
            Outcome::Failed { .. } => None,
        }
    }

    /// The trial as later proposals see it.
    pub fn tried(&self) -> Tried {
        Tried { number: self.number, learner: self.learner, params: self.params.clone(), score: self.loss() }
    }
}

impl StudySpec {
    /// Checks the specification against a task.
    ///
    /// # Errors
    /// [`LearnError::Study`] or [`LearnError::Parameter`] says what cannot be tried.
    pub fn check(&self, task: Task) -> Result<(), LearnError> {
        if self.trials == 0 || self.trials > MAX_TRIALS {
            return Err(LearnError::Study(format!("{} trials: ask for 1 to {MAX_TRIALS}", self.trials)));
        }
        if self.lag == 0 || self.lag > 1_000 {
            return Err(LearnError::Study(format!("a lag of {}: choose 1 to 1000", self.lag)));
        }
        for kind in self.learners.iter().chain(self.spaces.keys()) {
            if !kind.supports(task) {
                return Err(LearnError::Study(format!("{kind} cannot learn a {task} task")));
            }
        }
        for (kind, space) in &self.spaces {
            kind.learner().space(task, 1_000).overridden(*kind, space)?;
        }
        Ok(())
    }

    /// The learners tried, in the order of their first trials.
    pub fn learners(&self, task: Task) -> Vec<LearnerKind> {
        use LearnerKind as K;
        let all = match task {
            Task::Regression => [K::Constant, K::Linear, K::Boosting, K::RandomForest, K::ElasticNet],
            _ => [K::Constant, K::Logistic, K::Boosting, K::RandomForest, K::NaiveBayes],
        };
        if self.learners.is_empty() {
            return all.to_vec();
        }
        let mut asked = self.learners.clone();
        let mut seen = std::collections::BTreeSet::new();
        asked.retain(|kind| seen.insert(*kind));
        asked
    }

    /// What trial `number` tries: first every learner once with its defaults, then mostly boosting,
    /// every sixth trial a linear learner and every sixth a forest, of those there are.
    pub fn plan(&self, task: Task, number: u32) -> TrialPlan {
        let learners = self.learners(task);
        if let Some(learner) = learners.get(number as usize) {
            return TrialPlan { number, learner: *learner, first: true };
        }
        let has = |kind: LearnerKind| learners.contains(&kind).then_some(kind);
        let later = (number - learners.len() as u32) % 6;
        let wanted = match later {
            3 => has(LearnerKind::Logistic).or(has(LearnerKind::Linear)),
            5 => has(LearnerKind::RandomForest),
            _ => None,
        };
        // Without boosting, the learners that have something to search take turns.
        let searched: Vec<LearnerKind> = learners.iter().copied().filter(|k| *k != LearnerKind::Constant).collect();
        let turn = searched.get(number as usize % searched.len().max(1)).copied();
        let learner = wanted.or(has(LearnerKind::Boosting)).or(turn).unwrap_or(LearnerKind::Constant);
        TrialPlan { number, learner, first: false }
    }

    /// Numbers of the trials that must be done before trial `number` may start.
    pub fn needs(&self, number: u32) -> std::ops::Range<u32> {
        0..(number + 1).saturating_sub(self.lag)
    }

    /// A planned trial with its parameters; `earlier` holds the reports of [`Self::needs`], others are
    /// not looked at. `rows` is the number of training rows.
    ///
    /// # Errors
    /// [`LearnError::Parameter`] if an overridden range is not usable.
    pub fn trial(
        &self,
        plan: &TrialPlan,
        task: Task,
        rows: usize,
        earlier: &[TrialReport],
    ) -> Result<Trial, LearnError> {
        let params = self.params(plan, task, rows, earlier)?;
        let seed = derive_seed(self.seed, "trial", u64::from(plan.number));
        Ok(Trial { number: plan.number, learner: plan.learner, params, seed })
    }

    fn params(&self, plan: &TrialPlan, task: Task, rows: usize, earlier: &[TrialReport]) -> Result<Params, LearnError> {
        let mut space = plan.learner.learner().space(task, rows);
        if let Some(other) = self.spaces.get(&plan.learner) {
            space = space.overridden(plan.learner, other)?;
        }
        if plan.first {
            return Ok(space.defaults());
        }
        let needed = self.needs(plan.number);
        let tried: Vec<Tried> =
            earlier.iter().filter(|report| needed.contains(&report.number)).map(TrialReport::tried).collect();
        Ok(propose(&space, &tried, self.seed, plan.number))
    }
}

/// Runs one trial: fits on the training rows, stops and judges on the validation rows. Call it within
/// the rayon pool of the declared size.
///
/// A learner that cannot learn from the data makes a failed report, not an error.
///
/// # Errors
/// [`LearnError::Cancelled`] if the hook said so, [`LearnError::Parameter`] for parameters out of range,
/// [`LearnError::Matrix`] if there are no validation rows.
pub fn run_trial(
    set: &TrainingSet,
    trial: &Trial,
    hook: &dyn Hook,
) -> Result<(TrialReport, Option<Fitted>), LearnError> {
    let validation =
        set.validation().ok_or_else(|| LearnError::Matrix("a trial needs validation rows to be judged by".into()))?;
    let learner = trial.learner.learner();
    let report = |outcome: Outcome| TrialReport {
        number: trial.number,
        learner: trial.learner,
        params: trial.params.clone(),
        seed: trial.seed,
        outcome,
    };
    if let Some(reason) = learner.refusal(set) {
        return Ok((report(Outcome::Failed { reason }), None));
    }
    let context = FitContext { seed: trial.seed, rounds: None, hook };
    let judged = learner.fit(set, &trial.params, &context).and_then(|fitted| {
        let judged = judge(&fitted, validation, None)?;
        Ok((fitted, judged))
    });
    match judged {
        Err(error @ (LearnError::Fit { .. } | LearnError::Model(_))) => {
            Ok((report(Outcome::Failed { reason: error.to_string() }), None))
        }
        Err(error) => Err(error),
        Ok((fitted, judged)) => {
            let mut importance = fitted.importance.clone();
            importance.truncate(REPORTED_FEATURES);
            let outcome = Outcome::Succeeded {
                loss: judged.loss,
                metrics: judged.metrics,
                rounds: fitted.rounds,
                nodes: judged.cost.nodes,
                multiplications: judged.cost.multiplications,
                importance,
            };
            Ok((report(outcome), Some(fitted)))
        }
    }
}

/// Fits a trial again on training and validation rows together, for exactly the rounds it kept.
///
/// # Errors
/// As [`run_trial`], and [`LearnError::Fit`] if the learner cannot learn from the joined rows.
pub fn refit(set: &TrainingSet, trial: &Trial, rounds: Option<u32>, hook: &dyn Hook) -> Result<Fitted, LearnError> {
    let joined = set.joined()?;
    let context = FitContext { seed: trial.seed, rounds, hook };
    trial.learner.learner().fit(&joined, &trial.params, &context)
}

/// The reports by rising loss, ties by trial number, failed ones last.
pub fn leaderboard(mut reports: Vec<TrialReport>) -> Vec<TrialReport> {
    reports.sort_by(|a, b| {
        let key = |report: &TrialReport| report.loss().unwrap_or(f64::INFINITY);
        a.loss().is_none().cmp(&b.loss().is_none()).then(key(a).total_cmp(&key(b))).then(a.number.cmp(&b.number))
    });
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_learner_is_tried_first() {
        let spec = StudySpec { trials: 20, ..StudySpec::default() };
        let plans: Vec<TrialPlan> = (0..20).map(|n| spec.plan(Task::Binary, n)).collect();
        assert!(plans[..5].iter().all(|plan| plan.first) && plans[5..].iter().all(|plan| !plan.first));
        let boosted = plans.iter().filter(|plan| plan.learner == LearnerKind::Boosting).count();
        assert!(boosted >= 10, "{boosted}");
        assert!(plans[5..].iter().all(|plan| plan.learner != LearnerKind::Constant));
    }

    #[test]
    fn a_trial_waits_for_those_beyond_the_lag() {
        let spec = StudySpec { lag: 4, ..StudySpec::default() };
        assert_eq!(spec.needs(3), 0..0);
        assert_eq!(spec.needs(4), 0..1);
        assert_eq!(spec.needs(10), 0..7);
    }

    #[test]
    fn a_study_checks_its_learners() {
        let spec = StudySpec { learners: vec![LearnerKind::NaiveBayes], ..StudySpec::default() };
        assert!(spec.check(Task::Regression).unwrap_err().to_string().contains("naive_bayes cannot learn"));
        assert!(spec.check(Task::Binary).is_ok());
    }
}
