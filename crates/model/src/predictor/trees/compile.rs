//! Checks trees and lays them out for walking.

use std::collections::{BTreeSet, VecDeque};

use gristmill_types::Limits;

use super::{Feature, LANES, LEFT_BITS, NARROW_FEATURES, NarrowNode, Node, Nodes, Tree, Trees, WideNode};
use crate::predictor::{MAX_MAGNITUDE, bounded, numeric_slot};
use crate::proto;
use crate::transform::SlotShape;

/// Leaf numbers are kept as the bits of finite floats.
const MAX_LEAVES: usize = f32::INFINITY.to_bits() as usize;

impl Trees {
    pub(in crate::predictor) fn compile(message: &proto::TreeEnsemble, shape: &SlotShape) -> Result<Self, String> {
        let limits = Limits::DEFAULT;
        let base_score = bounded(&message.base_score, "a base score")?;
        if base_score.is_empty() || base_score.len() > limits.categories {
            return Err(format!("needs 1 to {} base scores, one per output", limits.categories));
        }
        if !(1e-100..=1e100).contains(&message.divisor) {
            return Err("needs a positive divisor".into());
        }
        if message.trees.len() > limits.trees {
            return Err(format!("has {} trees, the limit is {}", message.trees.len(), limits.trees));
        }
        let slots =
            message.feature_slots.iter().map(|slot| numeric_slot(*slot, shape)).collect::<Result<Vec<_>, _>>()?;
        for (index, tree) in message.trees.iter().enumerate() {
            check(tree, slots.len(), base_score.len()).map_err(|reason| format!("tree {index} {reason}"))?;
        }
        let features = features(message, &slots);
        let (nodes, trees, leaves) = if features.len() < NARROW_FEATURES && limits.tree_nodes <= 1 << LEFT_BITS {
            let (nodes, trees, leaves) = layout::<NarrowNode>(message, &slots, &features)?;
            (Nodes::Narrow(nodes), trees, leaves)
        } else {
            let (nodes, trees, leaves) = layout::<WideNode>(message, &slots, &features)?;
            (Nodes::Wide(nodes), trees, leaves)
        };
        let depths = trees.chunks(LANES).map(|group| group.iter().map(|tree| tree.depth).max().unwrap_or(0));
        let group_depth = depths.collect();
        Ok(Self { base_score, divisor: message.divisor, features, nodes, trees, group_depth, leaves })
    }
}

/// Checks one tree: equal lengths, children after their one parent, every node reached, sane numbers.
fn check(tree: &proto::Tree, features: usize, outputs: usize) -> Result<(), String> {
    let nodes = tree.left.len();
    if nodes == 0 || nodes > Limits::DEFAULT.tree_nodes {
        return Err(format!("has {nodes} nodes, allowed are 1 to {}", Limits::DEFAULT.tree_nodes));
    }
    let lengths =
        [tree.feature.len(), tree.threshold.len(), tree.right.len(), tree.missing_left.len(), tree.value.len()];
    if lengths.iter().any(|length| *length != nodes) || !matches!(tree.cover.len(), 0) && tree.cover.len() != nodes {
        return Err("has arrays of different lengths".into());
    }
    if tree.output as usize >= outputs {
        return Err(format!("adds to output {}, there are {outputs}", tree.output));
    }
    let mut has_parent = vec![false; nodes];
    for node in 0..nodes {
        let (left, right) = (tree.left[node] as usize, tree.right[node] as usize);
        if left == 0 && right == 0 {
            // Also refuses NaN.
            if !(-MAX_MAGNITUDE..=MAX_MAGNITUDE).contains(&tree.value[node]) {
                return Err(format!("has a leaf {node} whose value is not a number up to {MAX_MAGNITUDE:e}"));
            }
            continue;
        }
        for child in [left, right] {
            if child <= node || child >= nodes {
                return Err(format!("has a child {child} of node {node}: children come after their parent"));
            }
            if std::mem::replace(&mut has_parent[child], true) {
                return Err(format!("has a node {child} with two parents"));
            }
        }
        if tree.feature[node] as usize >= features {
            return Err(format!("reads feature {} in node {node}, there are {features}", tree.feature[node]));
        }
        // −∞ would send missing values that should go left to the right, and nothing is less than it.
        if tree.threshold[node].is_nan() || tree.threshold[node] == f32::NEG_INFINITY {
            return Err(format!("has a threshold in node {node} that is not a number above −∞"));
        }
    }
    if has_parent.iter().skip(1).any(|has| !has) {
        return Err("has a node that no path reaches".into());
    }
    Ok(())
}

/// The features that inner nodes use, each in the directions they use, in order.
fn features(message: &proto::TreeEnsemble, slots: &[usize]) -> Vec<Feature> {
    let inner = message.trees.iter().flat_map(|tree| {
        (0..tree.left.len()).filter(|node| tree.left[*node] != 0).map(|node| feature(tree, node, slots))
    });
    inner.collect::<BTreeSet<_>>().into_iter().collect()
}

fn feature(tree: &proto::Tree, node: usize, slots: &[usize]) -> Feature {
    Feature { slot: slots[tree.feature[node] as usize], missing_left: tree.missing_left[node] }
}

/// Nodes of all trees, the trees, and the values of their leaves.
type Layout<N> = (Vec<N>, Vec<Tree>, Vec<f64>);

/// Lays checked trees out breadth first with children side by side.
fn layout<N: Node>(message: &proto::TreeEnsemble, slots: &[usize], features: &[Feature]) -> Result<Layout<N>, String> {
    let number = |index: usize| u32::try_from(index).map_err(|_| "has more nodes than can be numbered".to_owned());
    let total = message.trees.iter().map(|tree| tree.left.len()).sum();
    let mut nodes: Vec<N> = Vec::with_capacity(total);
    let mut leaves: Vec<f64> = Vec::with_capacity(total / 2 + 1);
    let mut trees = Vec::with_capacity(message.trees.len());
    let mut queue = VecDeque::new();
    for tree in &message.trees {
        let start = number(nodes.len())?;
        let mut depth = 0;
        let mut next_child = 1;
        queue.push_back((0_usize, 0_u32));
        while let Some((node, level)) = queue.pop_front() {
            depth = level;
            if tree.left[node] == 0 {
                let leaf = number(leaves.len())?;
                if leaves.len() >= MAX_LEAVES {
                    return Err("has more leaves than can be numbered".into());
                }
                leaves.push(tree.value[node]);
                // To itself, whatever the row: −∞ is less than any leaf number.
                let itself = number(nodes.len())? - start;
                nodes.push(N::new(f32::from_bits(leaf), number(features.len())?, itself));
                continue;
            }
            let column = features.binary_search(&feature(tree, node, slots)).map_err(|_| "has an unlisted feature")?;
            nodes.push(N::new(tree.threshold[node], number(column)?, next_child));
            next_child += 2;
            queue.push_back((tree.left[node] as usize, level + 1));
            queue.push_back((tree.right[node] as usize, level + 1));
        }
        trees.push(Tree { start, depth, output: tree.output });
    }
    Ok((nodes, trees, leaves))
}
