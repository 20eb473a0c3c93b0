//! Random forest (Breiman, 2001) on hessboost's histogram trees.
//!
//! Every tree is fitted on its own sample of rows, columns drawn anew at each node. Trees minimise
//! the squared error of the class indicators, which is Gini's criterion, so that leaves hold class
//! shares: the forest's answer is their mean, a probability as it stands. Leaves are drawn by a tenth
//! of a row's worth towards the base rate (of several classes: towards equal shares), which keeps probabilities
//! off 0 and 1.

use gristmill_model::proto::output::Link;
use gristmill_stats::random::derive_seed;
use hessboost::config::MultiStrategy;
use hessboost::data::DMatrix;
use hessboost::prelude::*;
use serde::{Deserialize, Serialize};

use super::checkpoint;
use super::trees::Forest;
use crate::learner::{FitContext, Fitted, Learner, LearnerKind, Params, refused};
use crate::search::Space;
use crate::training_set::TrainingSet;
use crate::{BlockKind, LearnError, Matrix, Task};

/// Averaged trees.
#[derive(Debug)]
pub(crate) struct RandomForest;

/// Trees grown between two looks at the hook.
const BATCH: u32 = 5;
const TREES: i64 = 100;
/// Rows that the prior counts for in a leaf.
const PRIOR_ROWS: f64 = 0.1;
/// Share of rows that each tree sees: what a bootstrap of all rows holds of distinct ones.
const SAMPLE: f64 = 0.632;

impl Learner for RandomForest {
    fn kind(&self) -> LearnerKind {
        LearnerKind::RandomForest
    }

    fn space(&self, _task: Task, rows: usize) -> Space {
        // Leaves of a few rows out of very many make models of gigabytes and no better ones.
        let least = (rows / 20_000).max(1) as i64;
        let most = (rows / 200).max(10) as i64;
        Space::default()
            .fixed_int("trees", TREES)
            .int("max_depth", 6, 16, 12)
            .log_int("min_leaf", least, most.max(least + 1), (least * 4).min(most))
            .float("features", 0.2, 1.0, 0.5)
    }

    fn fit(&self, set: &TrainingSet, params: &Params, context: &FitContext<'_>) -> Result<Fitted, LearnError> {
        let kind = self.kind();
        let trees = params.count(kind, "trees", TREES as u32)?;
        if trees == 0 || trees % BATCH != 0 {
            return Err(refused(kind, "trees", format!("{trees} is not a multiple of {BATCH}")));
        }
        let train = set.train();
        let scale = set.scale();
        let labelled;
        let data = if train.task == Task::Multiclass {
            labelled = indicators(set)?;
            &labelled
        } else {
            set.trees()?
        };
        let batches = trees / BATCH;
        let (mut forest, mut grown) = earlier(context).unwrap_or_default();
        while grown.batches < batches {
            let batch = grown.batches;
            let settings = settings(set, params, derive_seed(context.seed, "forest", u64::from(batch)))?;
            let model = hessboost::prelude::train(&settings, data, 1)
                .map_err(|error| LearnError::fit("random_forest", error))?;
            forest.add(&model, None, scale.spread)?;
            let base = model.base_scores().iter().map(|base| scale.of_unit(f64::from(*base)).to_bits());
            grown = Grown { batches: batch + 1, base: base.collect() };
            let told = context.round(grown.batches * BATCH, trees, None);
            if context.hook.checkpoint_due() {
                context.hook.keep(checkpoint::write(context, &grown, &forest.to_bytes())?);
            }
            told?;
        }
        let base = grown.base.into_iter().map(f64::from_bits).collect();
        let (predictor, importance) = forest.finish(train, base, f64::from(batches));
        let link = if train.task == Task::Regression { Link::Identity } else { Link::Probability };
        Ok(Fitted { predictor, link, rounds: Some(trees), importance })
    }
}

/// How far a forest is, beside its trees.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Grown {
    batches: u32,
    /// Bits of the base scores.
    base: Vec<u64>,
}

/// The trees of an earlier attempt, if it left a checkpoint that can be read.
fn earlier(context: &FitContext<'_>) -> Option<(Forest, Grown)> {
    let (grown, trees) = checkpoint::read::<Grown>(context)?;
    Some((Forest::from_bytes(trees)?, grown))
}

/// The number that trees are fitted as differences from, and that leaves are drawn towards: zero on the
/// unit scale of a regression, the base rate of two classes, equal shares of several.
fn start(train: &Matrix) -> f64 {
    match train.task {
        Task::Regression => 0.0,
        Task::Binary => train.target.iter().sum::<f64>() / train.rows().max(1) as f64,
        Task::Multiclass => 1.0 / train.labels.len().max(1) as f64,
    }
}

/// The rows of `set` with one 0/1 label per class.
fn indicators(set: &TrainingSet) -> Result<DMatrix, LearnError> {
    let train = set.train();
    let classes = train.labels.len();
    let mut labels = vec![0.0; train.rows() * classes];
    for (row, class) in labels.chunks_exact_mut(classes).zip(&train.target) {
        if let Some(place) = row.get_mut(*class as usize) {
            *place = 1.0;
        }
    }
    set.trees()?.clone().with_label_matrix(&labels, classes).map_err(|error| LearnError::fit("random_forest", error))
}

fn settings(set: &TrainingSet, params: &Params, seed: u64) -> Result<TrainingParams, LearnError> {
    let kind = LearnerKind::RandomForest;
    let depth = params.count(kind, "max_depth", 12)?;
    if !(1..=20).contains(&depth) {
        return Err(refused(kind, "max_depth", format!("{depth} is not between 1 and 20")));
    }
    let columns = set.train().numeric_block(BlockKind::NumericRaw).len();
    let features = params.float(kind, "features", 0.5)?;
    // At least one column per node, whatever share was asked for.
    let features = features.clamp(1.0 / columns.max(1) as f64, 1.0);
    TrainingParams::builder()
        .objective(Objective::SquaredError(RegLoss::default()))
        .base_score(start(set.train()))
        .tree_method(TreeMethod::Hist)
        .multi_strategy(MultiStrategy::MultiOutputTree)
        .max_bin(256)
        .seed(seed)
        .eta(1.0)
        .lambda(PRIOR_ROWS)
        .num_parallel_tree(BATCH as usize)
        .subsample(SAMPLE)
        .colsample_bynode(features)
        .max_depth(depth as usize)
        .min_child_weight(f64::from(params.count(kind, "min_leaf", 5)?.max(1)))
        .build()
        .map_err(|error| LearnError::fit("random_forest", error))
}
