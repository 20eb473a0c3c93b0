//! Gradient boosting (Friedman, 2001; Chen and Guestrin, 2016) by hessboost's histogram method.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use gristmill_model::proto::output::Link;
use hessboost::objective::Multiclass;
use hessboost::prelude::*;
use hessboost::training::TrainResult;

use super::trees::Forest;
use crate::learner::{FitContext, Fitted, Learner, LearnerKind, Params, refused};
use crate::search::Space;
use crate::training_set::TrainingSet;
use crate::{LearnError, Task};

/// Boosted trees with early stopping on the validation rows.
#[derive(Debug)]
pub(crate) struct Boosting;

/// Rounds at most, where nothing says otherwise.
const MAX_ROUNDS: u32 = 500;
/// Rounds without a better validation loss after which boosting stops.
const PATIENCE: u32 = 30;

impl Learner for Boosting {
    fn kind(&self) -> LearnerKind {
        LearnerKind::Boosting
    }

    fn space(&self, _task: Task, rows: usize) -> Space {
        // A child must hold more rows the more there are, but a small table must still split.
        let child = (rows as f64 / 500.0).clamp(2.0, 200.0);
        Space::default()
            .log_float("eta", 0.02, 0.3, 0.1)
            .int("max_depth", 3, 10, 6)
            .log_float("min_child_weight", 0.1, child, 1.0)
            .float("subsample", 0.5, 1.0, 1.0)
            .float("colsample_bytree", 0.4, 1.0, 1.0)
            .log_float("lambda", 1e-3, 100.0, 1.0)
            .fixed_int("max_rounds", i64::from(MAX_ROUNDS))
            .fixed_int("patience", i64::from(PATIENCE))
    }

    fn fit(&self, set: &TrainingSet, params: &Params, context: &FitContext<'_>) -> Result<Fitted, LearnError> {
        let most = params.count(self.kind(), "max_rounds", MAX_ROUNDS)?.max(1);
        let rounds = context.rounds.unwrap_or(most);
        let patience = params.count(self.kind(), "patience", PATIENCE)?.max(1);
        let settings = settings(set, params, context.seed)?;
        let trained = boost(set, &settings, rounds, patience, context)?;
        let model = &trained.model;
        let kept = model.best_iteration().map_or(model.num_boost_rounds(), |best| best + 1);
        let scale = set.scale();
        let mut forest = Forest::default();
        forest.add(model, Some(kept), scale.spread)?;
        let base: Vec<f64> = model.base_scores().iter().map(|base| scale.of_unit(f64::from(*base))).collect();
        let (predictor, importance) = forest.finish(set.train(), base, 1.0);
        let link = match set.train().task {
            Task::Regression => Link::Identity,
            Task::Binary => Link::Logistic,
            Task::Multiclass => Link::Softmax,
        };
        Ok(Fitted { predictor, link, rounds: u32::try_from(kept).ok(), importance })
    }
}

fn settings(set: &TrainingSet, params: &Params, seed: u64) -> Result<TrainingParams, LearnError> {
    let kind = LearnerKind::Boosting;
    let (objective, metric) = match set.train().task {
        Task::Regression => (Objective::SquaredError(RegLoss::default()), EvalMetric::Rmse),
        Task::Binary => (Objective::BinaryLogistic(RegLoss::default()), EvalMetric::LogLoss),
        Task::Multiclass => {
            let classes =
                Multiclass::new(set.train().labels.len()).map_err(|error| LearnError::fit("boosting", error))?;
            (Objective::Softprob(classes), EvalMetric::MLogLoss)
        }
    };
    let depth = params.count(kind, "max_depth", 6)?;
    if !(1..=20).contains(&depth) {
        return Err(refused(kind, "max_depth", format!("{depth} is not between 1 and 20")));
    }
    let mut builder = TrainingParams::builder()
        .objective(objective)
        .eval_metric(metric)
        .tree_method(TreeMethod::Hist)
        .max_bin(256)
        .seed(seed)
        .max_depth(depth as usize)
        .eta(params.float(kind, "eta", 0.1)?)
        .min_child_weight(params.float(kind, "min_child_weight", 1.0)?)
        .subsample(params.float(kind, "subsample", 1.0)?)
        .colsample_bytree(params.float(kind, "colsample_bytree", 1.0)?)
        .lambda(params.float(kind, "lambda", 1.0)?)
        .alpha(params.float(kind, "alpha", 0.0)?)
        .gamma(params.float(kind, "gamma", 0.0)?);
    let leaves = params.count(kind, "max_leaves", 0)?;
    if leaves > 0 {
        builder = builder.grow_policy(hessboost::config::GrowPolicy::LossGuide).max_leaves(leaves as usize);
    }
    builder.build().map_err(|error| LearnError::fit("boosting", error))
}

fn boost(
    set: &TrainingSet,
    settings: &TrainingParams,
    rounds: u32,
    patience: u32,
    context: &FitContext<'_>,
) -> Result<TrainResult, LearnError> {
    let failed = |error| LearnError::fit("boosting", error);
    let train = set.trees()?;
    let validation = if context.rounds.is_some() { None } else { set.validation_trees()? };
    let mut cancelled = false;
    let mut trainer = Trainer::new(settings, train, rounds as usize);
    if let Some(validation) = validation {
        trainer = trainer.eval(validation, "validation");
        if let Some(patience) = NonZeroUsize::new(patience as usize) {
            trainer = trainer.early_stopping_rounds(patience);
        }
    }
    let trained = trainer
        .on_round(|round| {
            // Rounds are at most u32::MAX: `rounds` is one.
            let number = round.iteration() as u32 + 1;
            let go_on = context.hook.round(number, rounds, round.values().last().copied());
            cancelled = go_on == ControlFlow::Break(());
            go_on
        })
        .train();
    if cancelled {
        return Err(LearnError::Cancelled);
    }
    trained.map_err(failed)
}
