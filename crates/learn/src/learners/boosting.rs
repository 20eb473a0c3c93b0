//! Gradient boosting (Friedman, 2001; Chen and Guestrin, 2016) by hessboost's histogram method.

use std::ops::ControlFlow;

use gristmill_model::proto::output::Link;
use hessboost::objective::Multiclass;
use hessboost::prelude::*;
use serde::{Deserialize, Serialize};

use super::checkpoint;
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
        let (model, best) = boost(set, &settings, rounds, patience, context)?;
        let model = &model;
        let kept = best.map_or(model.num_boost_rounds(), |best| best as usize + 1);
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

/// Rounds watched for the best validation loss, as XGBoost's early stopping does: the first of equals is
/// the best, and a loss that is no number never is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Watch {
    best: u32,
    /// Bits of the loss at the best round.
    loss: u64,
    /// Rounds since then.
    since: u32,
}

impl Watch {
    const fn new() -> Self {
        Self { best: 0, loss: f64::INFINITY.to_bits(), since: 0 }
    }

    fn see(&mut self, round: u32, loss: f64) {
        if loss < f64::from_bits(self.loss) {
            *self = Self { best: round, loss: loss.to_bits(), since: 0 };
        } else {
            self.since += 1;
        }
    }
}

/// Boosts for at most `rounds` rounds; answers the model and the best round, from 0, if validation rows
/// were watched.
///
/// Boosting goes in stretches: one ends where a checkpoint is taken, and the next goes on from its trees.
/// Margins are sums in the order of the trees either way, and random draws are numbered by round, so
/// stretches leave no trace in the model.
fn boost(
    set: &TrainingSet,
    settings: &TrainingParams,
    rounds: u32,
    patience: u32,
    context: &FitContext<'_>,
) -> Result<(BoostedModel, Option<u32>), LearnError> {
    let failed = |error| LearnError::fit("boosting", error);
    let train = set.trees()?;
    let validation = if context.rounds.is_some() { None } else { set.validation_trees()? };
    let (mut model, mut watch) = match earlier(context, train.n_cols(), rounds) {
        Some((model, watch)) => (Some(model), watch),
        None => (None, Watch::new()),
    };
    loop {
        let done = model.as_ref().map_or(0, BoostedModel::num_boost_rounds);
        let mut trainer = Trainer::new(settings, train, (rounds as usize).saturating_sub(done));
        if let Some(model) = &model {
            trainer = trainer.init_model(model);
        }
        if let Some(validation) = validation {
            trainer = trainer.eval(validation, "validation");
        }
        let (mut stopped, mut due) = (false, false);
        let trained = trainer
            .on_round(|round| {
                // Rounds are at most u32::MAX: `rounds` is one.
                let number = round.iteration() as u32;
                let loss = round.values().last().copied();
                if let Some(loss) = loss {
                    watch.see(number, loss);
                    if watch.since >= patience {
                        return ControlFlow::Break(());
                    }
                }
                stopped = context.hook.round(number + 1, rounds, loss).is_break();
                // After the last round there is nothing to go on with.
                due = number + 1 < rounds && context.hook.checkpoint_due();
                if stopped || due { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .train()
            .map_err(failed)?
            .model;
        if due {
            let trees = trained.encode(ModelFormat::Binary).map_err(failed)?;
            context.hook.keep(checkpoint::write(context, &watch, &trees)?);
        }
        if stopped {
            return Err(LearnError::Cancelled);
        }
        let over = !due || trained.num_boost_rounds() >= rounds as usize;
        if over {
            return Ok((trained, validation.map(|_| watch.best)));
        }
        model = Some(trained);
    }
}

/// The trees and the watch of an earlier attempt, if it left a checkpoint that fits.
fn earlier(context: &FitContext<'_>, columns: usize, rounds: u32) -> Option<(BoostedModel, Watch)> {
    let (watch, trees) = checkpoint::read::<Watch>(context)?;
    let model = BoostedModel::decode(trees, ModelFormat::Binary).ok()?;
    let fits = model.n_features() == columns && model.num_boost_rounds() < rounds as usize;
    fits.then_some((model, watch))
}
