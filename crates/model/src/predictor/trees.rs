//! Tree ensembles in the form they are walked in.
//!
//! On load every tree is laid out breadth first with its children side by side, so that a step is
//! `left + (value >= threshold)`, and leaves lead to themselves, so that every path has the tree's depth
//! and no step is a branch. Several walks are interleaved, because each waits for memory: several trees
//! for one row, several rows for one tree.
//!
//! NaN needs no test during a walk: the row holds one number per (slot, direction of the missing) that
//! the trees use, where a missing value is −∞ for the nodes that send it left and +∞ for the others.

mod compile;

use crate::ModelError;
use crate::slots::SlotsView;
use crate::transform::RowSlots;

/// Walks at a time.
const LANES: usize = 8;
/// Bytes of features that one block of rows may fill: half of a small L1 cache.
const BLOCK_BYTES: usize = 16 << 10;
/// Steps between two looks at whether all walks have arrived.
const STRIDE: u32 = 8;

#[derive(Debug, Clone)]
pub(super) struct Trees {
    base_score: Vec<f64>,
    divisor: f64,
    /// What a row's numbers are taken from; one more, −∞, follows them for leaves to compare.
    features: Vec<Feature>,
    nodes: Nodes,
    trees: Vec<Tree>,
    /// Greatest depth of each run of [`LANES`] trees.
    group_depth: Vec<u32>,
    leaves: Vec<f64>,
}

/// A slot as the nodes of one missing direction see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Feature {
    slot: usize,
    missing_left: bool,
}

#[derive(Debug, Clone, Copy)]
struct Tree {
    start: u32,
    depth: u32,
    output: u32,
}

/// Nodes of all trees, in the smaller form if the features can be numbered in it.
#[derive(Debug, Clone)]
enum Nodes {
    Narrow(Vec<NarrowNode>),
    Wide(Vec<WideNode>),
}

/// 12 bits of feature and 20 of left child: the limit on nodes of a tree is 2^20.
#[derive(Debug, Clone, Copy)]
struct NarrowNode {
    threshold: f32,
    packed: u32,
}

#[derive(Debug, Clone, Copy)]
struct WideNode {
    threshold: f32,
    feature: u32,
    left: u32,
}

const LEFT_BITS: u32 = 20;
const NARROW_FEATURES: usize = 1 << (32 - LEFT_BITS);

/// A node of either form. At a leaf `threshold` holds the number of its value as bits: a non-negative
/// float, which −∞ is always less than.
trait Node: Copy {
    fn new(threshold: f32, feature: u32, left: u32) -> Self;
    fn threshold(self) -> f32;
    fn feature(self) -> usize;
    /// Left child, counted from the tree's root.
    fn left(self) -> u32;
}

impl Node for NarrowNode {
    fn new(threshold: f32, feature: u32, left: u32) -> Self {
        Self { threshold, packed: feature << LEFT_BITS | left }
    }
    fn threshold(self) -> f32 {
        self.threshold
    }
    fn feature(self) -> usize {
        (self.packed >> LEFT_BITS) as usize
    }
    fn left(self) -> u32 {
        self.packed & ((1 << LEFT_BITS) - 1)
    }
}

impl Node for WideNode {
    fn new(threshold: f32, feature: u32, left: u32) -> Self {
        Self { threshold, feature, left }
    }
    fn threshold(self) -> f32 {
        self.threshold
    }
    fn feature(self) -> usize {
        self.feature as usize
    }
    fn left(self) -> u32 {
        self.left
    }
}

/// Space for one row.
#[derive(Debug, Clone, Default)]
pub(super) struct TreeScratch {
    features: Vec<f32>,
}

impl Trees {
    pub(super) const fn width(&self) -> usize {
        self.base_score.len()
    }

    pub(super) fn nodes_visited(&self) -> u64 {
        self.trees.iter().map(|tree| u64::from(tree.depth) + 1).sum()
    }

    /// Scores one row.
    pub(super) fn row(&self, slots: &RowSlots, scratch: &mut TreeScratch, out: &mut Vec<f64>) {
        let row = &mut scratch.features;
        row.clear();
        row.extend(self.features.iter().map(|f| f.read(slots.numeric.get(f.slot).copied().unwrap_or(f32::NAN))));
        row.push(f32::NEG_INFINITY);
        out.resize(self.width(), 0.0);
        match &self.nodes {
            Nodes::Narrow(nodes) => self.walk_row(nodes, row, out),
            Nodes::Wide(nodes) => self.walk_row(nodes, row, out),
        }
        self.finish(out);
    }

    /// Scores all rows, block by block.
    pub(super) fn scores(&self, slots: &SlotsView<'_>) -> Result<Vec<f64>, ModelError> {
        let columns = self.features.iter().map(|f| Ok((*f, slots.numeric(f.slot)?)));
        let columns: Vec<(Feature, &[f32])> = columns.collect::<Result<_, ModelError>>()?;
        let (width, stride) = (self.width(), self.features.len() + 1);
        let block = (BLOCK_BYTES / (stride * 4)).clamp(LANES, 256).next_multiple_of(LANES);
        let mut scores = vec![0.0; slots.rows() * width];
        // Rows that pad the last block read leaves' −∞ only: they go somewhere and are not summed.
        let mut features = vec![f32::NEG_INFINITY; block * stride];
        for (number, sums) in scores.chunks_mut(block * width).enumerate() {
            let first = number * block;
            for (column, (feature, values)) in columns.iter().enumerate() {
                for (row, value) in values.iter().skip(first).take(block).enumerate() {
                    features[row * stride + column] = feature.read(*value);
                }
            }
            match &self.nodes {
                Nodes::Narrow(nodes) => self.walk_block(nodes, &features, stride, sums),
                Nodes::Wide(nodes) => self.walk_block(nodes, &features, stride, sums),
            }
        }
        scores.chunks_exact_mut(width).for_each(|row| self.finish(row));
        Ok(scores)
    }

    /// Adds every tree's leaf to `sums`, in tree order.
    fn walk_row<N: Node>(&self, nodes: &[N], row: &[f32], sums: &mut [f64]) {
        for (group, depth) in self.trees.chunks(LANES).zip(&self.group_depth) {
            let mut start = [0; LANES];
            for (start, tree) in start.iter_mut().zip(group) {
                *start = tree.start;
            }
            let leaves = walk(nodes, start, [0; LANES], *depth, row);
            for (tree, leaf) in group.iter().zip(leaves) {
                sums[tree.output as usize] += self.leaves[leaf];
            }
        }
    }

    /// Adds every tree's leaves to the sums of a block of rows: per row in tree order, as above.
    fn walk_block<N: Node>(&self, nodes: &[N], features: &[f32], stride: usize, sums: &mut [f64]) {
        let width = self.width();
        for tree in &self.trees {
            for (lanes, sums) in sums.chunks_mut(LANES * width).enumerate() {
                let rows = std::array::from_fn(|lane| (lanes * LANES + lane) * stride);
                let leaves = walk(nodes, [tree.start; LANES], rows, tree.depth, features);
                for (sums, leaf) in sums.chunks_exact_mut(width).zip(leaves) {
                    sums[tree.output as usize] += self.leaves[leaf];
                }
            }
        }
    }

    fn finish(&self, sums: &mut [f64]) {
        for (sum, base) in sums.iter_mut().zip(&self.base_score) {
            *sum = base + *sum / self.divisor;
        }
    }
}

impl Feature {
    fn read(self, value: f32) -> f32 {
        match (value.is_nan(), self.missing_left) {
            (false, _) => value,
            (true, true) => f32::NEG_INFINITY,
            (true, false) => f32::INFINITY,
        }
    }
}

/// Walks from the roots at `start` over the numbers that begin at `row` in `features`; returns the leaves'
/// numbers.
#[inline]
fn walk<N: Node>(
    nodes: &[N],
    start: [u32; LANES],
    row: [usize; LANES],
    depth: u32,
    features: &[f32],
) -> [usize; LANES] {
    let mut at = start;
    let mut left = depth;
    while left > 0 {
        let before = at;
        for _ in 0..left.min(STRIDE) {
            for lane in 0..LANES {
                let node = nodes[at[lane] as usize];
                // Neither side is ever NaN.
                let right = features[row[lane] + node.feature()] >= node.threshold();
                at[lane] = start[lane] + node.left() + u32::from(right);
            }
        }
        left = left.saturating_sub(STRIDE);
        // Deep trees are lopsided: most walks arrive long before the deepest leaf.
        if at == before {
            break;
        }
    }
    at.map(|at| nodes[at as usize].threshold().to_bits() as usize)
}
