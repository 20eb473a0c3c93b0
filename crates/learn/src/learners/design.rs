//! Rows of a linear model: a few dense numbers and one index per category, never expanded.

use gristmill_model::proto;

use crate::learner::{Importance, shares};
use crate::{BlockKind, Matrix};

/// A matrix of n rows and p columns; indicator columns of a category are stored as the index of the
/// one that is 1.
#[derive(Debug)]
pub(crate) struct Design {
    pub rows: usize,
    /// Dense columns.
    pub dense: usize,
    /// Indices per row.
    pub hot: usize,
    /// All columns: dense ones first, then every category's ids.
    pub columns: usize,
    /// Row-major, rows × dense.
    numbers: Vec<f32>,
    /// Row-major, rows × hot; each is a column number.
    indices: Vec<u32>,
    /// Numeric slot and name of each dense column.
    dense_slots: Vec<(u32, String)>,
    /// Category slot, name, first column and ids of each category.
    hot_slots: Vec<(u32, String, usize, usize)>,
}

impl Design {
    /// Reads the prepared and the one-hot block.
    pub(crate) fn of(matrix: &Matrix) -> Self {
        let rows = matrix.rows();
        let numeric = matrix.numeric_block(BlockKind::NumericPrepared);
        let category = matrix.category_block(BlockKind::OneHot);
        let (dense, hot) = (numeric.len(), category.len());
        let mut numbers = vec![0.0; rows * dense];
        for (column, slot) in numeric.iter().enumerate() {
            for (row, value) in slot.values.iter().enumerate() {
                numbers[row * dense + column] = *value;
            }
        }
        let mut indices = vec![0; rows * hot];
        let mut first = dense;
        let mut hot_slots = Vec::with_capacity(hot);
        for (column, slot) in category.iter().enumerate() {
            for (row, id) in slot.values.iter().enumerate() {
                indices[row * hot + column] = first as u32 + id;
            }
            hot_slots.push((slot.slot, slot.name.clone(), first, slot.ids as usize));
            first += slot.ids as usize;
        }
        Self {
            rows,
            dense,
            hot,
            columns: first,
            numbers,
            indices,
            dense_slots: numeric.iter().map(|slot| (slot.slot, slot.name.clone())).collect(),
            hot_slots,
        }
    }

    /// Numbers and indices of one row.
    pub(crate) fn row(&self, row: usize) -> (&[f32], &[u32]) {
        let numbers = self.numbers.get(row * self.dense..(row + 1) * self.dense).unwrap_or_default();
        let indices = self.indices.get(row * self.hot..(row + 1) * self.hot).unwrap_or_default();
        (numbers, indices)
    }

    /// Row `row` times `weights` (one per column).
    pub(crate) fn dot(&self, row: usize, weights: &[f64]) -> f64 {
        let (numbers, indices) = self.row(row);
        let mut sum = 0.0;
        for (value, weight) in numbers.iter().zip(weights) {
            sum += f64::from(*value) * weight;
        }
        for index in indices {
            sum += weights[*index as usize];
        }
        sum
    }

    /// Adds `factor` times row `row` to `into` (one per column).
    pub(crate) fn add(&self, row: usize, factor: f64, into: &mut [f64]) {
        let (numbers, indices) = self.row(row);
        for (value, sum) in numbers.iter().zip(into.iter_mut()) {
            *sum += factor * f64::from(*value);
        }
        for index in indices {
            into[*index as usize] += factor;
        }
    }

    /// Adds `factor` times the squares of row `row` to `into`.
    pub(crate) fn add_squares(&self, row: usize, factor: f64, into: &mut [f64]) {
        let (numbers, indices) = self.row(row);
        for (value, sum) in numbers.iter().zip(into.iter_mut()) {
            *sum += factor * f64::from(*value) * f64::from(*value);
        }
        for index in indices {
            into[*index as usize] += factor;
        }
    }

    /// Dense column `column` of the expanded matrix.
    pub(crate) fn expand(&self, column: usize, out: &mut [f64]) {
        for (row, value) in out.iter_mut().enumerate() {
            let (numbers, indices) = self.row(row);
            *value = match numbers.get(column) {
                Some(number) => f64::from(*number),
                None => f64::from(u8::from(indices.contains(&(column as u32)))),
            };
        }
    }

    /// Coefficients as the model message holds them: `weights[output]` has one weight per column.
    pub(crate) fn predictor(&self, intercept: Vec<f64>, weights: &[Vec<f64>]) -> proto::Predictor {
        let at = |column: usize| weights.iter().map(move |w| w.get(column).copied().unwrap_or(0.0));
        let terms = self.dense_slots.iter().enumerate();
        let terms =
            terms.map(|(column, (slot, _))| proto::LinearTerm { slot: *slot, coefficient: at(column).collect() });
        let one_hot = self.hot_slots.iter().map(|(slot, _, first, ids)| proto::OneHotTerm {
            category: *slot,
            coefficient: (*first..first + ids).flat_map(at).collect(),
        });
        let linear = proto::Linear { intercept, terms: terms.collect(), one_hot: one_hot.collect() };
        proto::Predictor { predictor: Some(proto::predictor::Predictor::Linear(linear)) }
    }

    /// Shares of the summed absolute coefficients; indicator columns count by how often they are 1.
    pub(crate) fn importance(&self, weights: &[Vec<f64>]) -> Vec<Importance> {
        let mut counts = vec![0.0; self.columns];
        for index in &self.indices {
            counts[*index as usize] += 1.0 / self.rows as f64;
        }
        let size = |column: usize| -> f64 { weights.iter().filter_map(|w| w.get(column)).map(|w| w.abs()).sum() };
        let dense = self.dense_slots.iter().enumerate().map(|(column, (_, name))| (name.clone(), size(column)));
        let hot = self.hot_slots.iter().map(|(_, name, first, ids)| {
            let spread = (*first..first + ids).map(|c| size(c) * (counts[c] * (1.0 - counts[c])).max(0.0).sqrt()).sum();
            (name.clone(), spread)
        });
        shares(dense.chain(hot))
    }
}
