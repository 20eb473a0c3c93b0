//! hessboost's matrices and trees, turned from and into ours.
//!
//! hessboost routes a row left when its value is less than the threshold, in f32, and a missing one by
//! the node's default direction; leaves hold f32 that already include the learning rate. The model
//! message means the same, so conversion copies numbers and never rounds.

use gristmill_model::proto;
use hessboost::data::DMatrix;
use hessboost::model::BoostedModel;
use hessboost::tree::{Node, RegTree};
use prost::Message;

use crate::learner::{Importance, shares};
use crate::training_set::Scale;
use crate::{BlockKind, LearnError, Matrix};

/// The raw block row by row, with the target (on `scale` for regression) as labels.
pub(crate) fn tree_matrix(matrix: &Matrix, scale: Scale) -> Result<DMatrix, String> {
    let slots = matrix.numeric_block(BlockKind::NumericRaw);
    let (rows, columns) = (matrix.rows(), slots.len());
    if columns == 0 {
        return Err("no feature is prepared for trees".into());
    }
    let mut values = vec![f32::NAN; rows * columns];
    for (column, slot) in slots.iter().enumerate() {
        let places = values.iter_mut().skip(column).step_by(columns);
        for (place, value) in places.zip(&slot.values) {
            *place = *value;
        }
    }
    let labels: Vec<f32> = matrix.target.iter().map(|y| scale.to_unit(*y) as f32).collect();
    let made = DMatrix::from_dense_vec(values, rows, columns).and_then(|m| m.with_labels(&labels));
    let made = match &matrix.weight {
        Some(weight) => {
            let weight: Vec<f32> = weight.iter().map(|w| *w as f32).collect();
            made.and_then(|m| m.with_weights(&weight))
        }
        None => made,
    };
    made.map_err(|error| error.to_string())
}

/// Trees of an ensemble in the making.
#[derive(Debug, Default)]
pub(super) struct Forest {
    trees: Vec<proto::Tree>,
    gains: Vec<f64>,
}

impl Forest {
    /// Adds the trees of the first `rounds` rounds (all if none), leaves times `factor`.
    pub(super) fn add(&mut self, model: &BoostedModel, rounds: Option<usize>, factor: f64) -> Result<(), LearnError> {
        let take = rounds.map_or(model.num_trees(), |rounds| rounds * model.trees_per_iteration());
        let weights = model.tree_weights().collect::<Vec<_>>();
        if weights.iter().any(|weight| *weight != 1.0) {
            return Err(LearnError::fit("trees", "a tree is weighted, which the conversion does not know"));
        }
        for (tree, outputs) in model.trees().iter().zip(model.tree_outputs()).take(take) {
            if tree.has_categorical_splits() || tree.linear_leaves().is_some() {
                return Err(LearnError::fit("trees", "a tree splits or ends in a way the conversion does not know"));
            }
            self.count_gains(tree, model.n_features());
            for (place, output) in outputs.enumerate() {
                let vector = tree.is_vector_leaf().then_some(place);
                self.trees.push(convert(tree, output as u32, vector, factor)?);
            }
        }
        Ok(())
    }

    fn count_gains(&mut self, tree: &RegTree, features: usize) {
        self.gains.resize(features, 0.0);
        for node in tree.nodes().iter().filter(|node| !node.is_leaf()) {
            if let Some(gain) = self.gains.get_mut(node.split_feature as usize) {
                *gain += f64::from(node.split_gain);
            }
        }
    }

    /// The trees and gains so far, for a checkpoint.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // An ensemble has no room for gains: they travel as its base scores, which a forest in the making has not.
        proto::TreeEnsemble { trees: self.trees.clone(), base_score: self.gains.clone(), ..Default::default() }
            .encode_to_vec()
    }

    /// What [`Forest::to_bytes`] wrote; none if it is something else.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let ensemble = proto::TreeEnsemble::decode(bytes).ok()?;
        Some(Self { trees: ensemble.trees, gains: ensemble.base_score })
    }

    /// The predictor over the raw block of `matrix`, and the features' shares of the gain.
    pub(super) fn finish(
        self,
        matrix: &Matrix,
        base_score: Vec<f64>,
        divisor: f64,
    ) -> (proto::Predictor, Vec<Importance>) {
        let slots = matrix.numeric_block(BlockKind::NumericRaw);
        let importance = shares(slots.iter().zip(&self.gains).map(|(slot, gain)| (slot.name.clone(), *gain)));
        let trees = proto::TreeEnsemble {
            base_score,
            feature_slots: slots.iter().map(|slot| slot.slot).collect(),
            trees: self.trees,
            divisor,
        };
        (proto::Predictor { predictor: Some(proto::predictor::Predictor::Trees(trees)) }, importance)
    }
}

/// One tree of one output, nodes in breadth-first order so that children come after their parent.
fn convert(tree: &RegTree, output: u32, vector: Option<usize>, factor: f64) -> Result<proto::Tree, LearnError> {
    let broken = || LearnError::fit("trees", "a tree's child is out of place");
    let nodes = tree.nodes();
    let mut order = vec![0_usize];
    let mut children = Vec::new();
    let mut next = 0;
    while let Some(index) = order.get(next).copied() {
        let node: &Node = nodes.get(index).ok_or_else(broken)?;
        if node.is_leaf() {
            children.push((0, 0));
        } else {
            if order.len() + 2 > nodes.len() {
                return Err(broken());
            }
            let left = order.len() as u32;
            order.push(usize::try_from(node.left).map_err(|_| broken())?);
            order.push(usize::try_from(node.right).map_err(|_| broken())?);
            children.push((left, left + 1));
        }
        next += 1;
    }
    let mut out = proto::Tree { output, ..proto::Tree::default() };
    for (index, (left, right)) in order.iter().zip(children) {
        let node = nodes.get(*index).ok_or_else(broken)?;
        let leaf = node.is_leaf();
        let value = match vector {
            _ if !leaf => 0.0,
            None => node.leaf_value,
            Some(place) => tree.leaf_vector(*index).get(place).copied().ok_or_else(broken)?,
        };
        out.feature.push(if leaf { 0 } else { node.split_feature });
        out.threshold.push(if leaf { 0.0 } else { node.split_cond });
        out.left.push(left);
        out.right.push(right);
        out.missing_left.push(!leaf && node.default_left);
        out.value.push(f64::from(value) * factor);
        out.cover.push(f64::from(node.sum_hess));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gristmill_model::proto::output::Link;
    use gristmill_model::{Output, Predictor};
    use hessboost::objective::Multiclass;
    use hessboost::prelude::*;

    use super::*;
    use crate::Task;
    use crate::judge::{output, shape};
    use crate::matrix::{BlockSlots, NumericSlot};
    use crate::training_set::TrainingSet;

    /// Numbers with ties and missing values, and a target that needs several of them.
    fn matrix(task: Task, rows: usize) -> Matrix {
        let mut state = 7_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f32 / (1_u64 << 31) as f32
        };
        let columns: Vec<Vec<f32>> = (0..6)
            .map(|column| {
                let value = |v: f32| if column % 2 == 0 { v } else { (v * 9.0).floor() };
                (0..rows).map(|_| if draw() < 0.1 { f32::NAN } else { value(draw()) }).collect()
            })
            .collect();
        let classes = match task {
            Task::Regression => 0,
            Task::Binary => 2,
            Task::Multiclass => 3,
        };
        let target = (0..rows).map(|row| {
            let sum: f32 = columns.iter().map(|c| if c[row].is_nan() { 0.3 } else { c[row] % 1.1 }).sum();
            if classes == 0 { f64::from(sum) * 1e3 + 5e5 } else { ((sum * 1.3) as u32 % classes) as f64 }
        });
        let target = target.collect();
        let slots = (0..6).map(|slot| slot * 2).collect();
        Matrix {
            task,
            labels: (0..classes).map(|c| c.to_string()).collect(),
            blocks: vec![BlockSlots { name: "raw".into(), kind: BlockKind::NumericRaw, slots }],
            numeric: columns
                .into_iter()
                .enumerate()
                .map(|(i, values)| NumericSlot { slot: i as u32 * 2, name: format!("f{i}"), values })
                .collect(),
            category: Vec::new(),
            target,
            weight: None,
            keys: vec![0; rows],
            units: vec![0; rows],
        }
    }

    fn settings(task: Task, parallel: usize) -> TrainingParams {
        let objective = match task {
            Task::Regression => Objective::SquaredError(RegLoss::default()),
            Task::Binary => Objective::BinaryLogistic(RegLoss::default()),
            Task::Multiclass => Objective::Softprob(Multiclass::new(3).unwrap()),
        };
        let builder = TrainingParams::builder().objective(objective).tree_method(TreeMethod::Hist);
        builder.max_depth(7).eta(0.3).subsample(0.8).num_parallel_tree(parallel).seed(5).build().unwrap()
    }

    #[test]
    fn converted_trees_score_as_hessboost_does() {
        for task in [Task::Binary, Task::Multiclass, Task::Regression] {
            for parallel in [1, 4] {
                let set = TrainingSet::new(Arc::new(matrix(task, 3_000)), None).unwrap();
                let model = train(&settings(task, parallel), set.trees().unwrap(), 25).unwrap();
                let mut forest = Forest::default();
                forest.add(&model, None, set.scale().spread).unwrap();
                let base = model.base_scores().iter().map(|b| set.scale().of_unit(f64::from(*b))).collect();
                let (predictor, importance) = forest.finish(set.train(), base, 1.0);
                let link = match task {
                    Task::Regression => Link::Identity,
                    Task::Binary => Link::Logistic,
                    Task::Multiclass => Link::Softmax,
                };
                let out = Output::compile(&output(set.train(), link, None, 0.5)).unwrap();
                let compiled = Predictor::compile(&predictor, &shape(set.train()), &out).unwrap();
                let ours = compiled.scores(&set.train().view().unwrap()).unwrap();
                let theirs = model.predict_margin(set.trees().unwrap(), Iterations::Best).unwrap();
                assert_eq!(ours.len(), theirs.as_slice().len());
                for (ours, theirs) in ours.iter().zip(theirs.as_slice()) {
                    let theirs = set.scale().of_unit(f64::from(*theirs));
                    // hessboost adds in f32, we in f64.
                    let scale = if task == Task::Regression { theirs.abs() } else { theirs.abs().max(1.0) };
                    assert!((ours - theirs).abs() <= 1e-6 * scale.max(1.0), "{task}: {ours} and {theirs}");
                }
                assert!((importance.iter().map(|i| i.share).sum::<f64>() - 1.0).abs() < 1e-9);
            }
        }
    }
}
