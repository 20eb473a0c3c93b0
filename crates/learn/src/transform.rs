//! A recipe fitted on training rows: the model's transform, and the matrix learners see.

mod build;
mod encode;
mod stats;

use gristmill_model::{Slots, Transformer, proto};
use gristmill_types::{Column, Columns, Values};

use crate::folds::Folds;
use crate::matrix::{BlockKind, BlockSlots, CategorySlot, Matrix, NumericSlot};
use crate::{LearnError, Recipe, TargetPlan};

/// The column that names a row.
pub const ROW_KEY: &str = "_row_key";
/// The column that holds a row's unit of dependence.
pub const UNIT: &str = "_unit";

/// A fitted recipe.
#[derive(Debug, Clone)]
pub struct FittedTransform {
    /// What a caller sends.
    pub signature: proto::Signature,
    /// Steps for unseen rows, fitted on all training rows.
    pub transform: proto::Transform,
    /// The training rows; target encodings are cross-fitted.
    pub matrix: Matrix,
}

impl FittedTransform {
    /// Fits `recipe` on the rows of `train`.
    ///
    /// Unsupervised steps (medians, scales, vocabularies) read all rows of `train`. Target encodings in
    /// the returned matrix are cross-fitted by `folds`, so that no row's encoding knows its own target;
    /// the returned transform holds the encodings of all rows, for rows that were not seen.
    ///
    /// # Errors
    /// [`LearnError`] if a column of the recipe is missing or has another type, if a target is null,
    /// or if the interpreter refuses the steps.
    pub fn fit(recipe: &Recipe, train: &Columns, folds: &Folds) -> Result<Self, LearnError> {
        build::fit(recipe, train, folds)
    }

    /// Signature and transform as a model message, for `transform.pb` and for the model to come.
    pub fn to_model(&self) -> proto::Model {
        proto::Model {
            format_version: gristmill_model::file::FORMAT_VERSION,
            signature: Some(self.signature.clone()),
            transform: Some(self.transform.clone()),
            ..proto::Model::default()
        }
    }

    /// The matrix of rows that were not seen in fitting, by the interpreter every prediction uses.
    ///
    /// # Errors
    /// See [`unseen_matrix`].
    pub fn unseen(&self, target: &TargetPlan, rows: &Columns) -> Result<Matrix, LearnError> {
        unseen_matrix(&self.signature, &self.transform, target, rows)
    }
}

/// The matrix of rows that were not seen in fitting.
///
/// # Errors
/// [`LearnError::Model`] if the interpreter refuses the transform or the rows, [`LearnError::Target`]
/// if a row's target is null or was not seen in training.
pub fn unseen_matrix(
    signature: &proto::Signature,
    transform: &proto::Transform,
    target: &TargetPlan,
    rows: &Columns,
) -> Result<Matrix, LearnError> {
    let transformer = Transformer::compile(signature, transform).map_err(model)?;
    let slots = transformer.transform(rows).map_err(model)?;
    let labels = labels_of(target, rows)?;
    assemble(&transformer, slots, target, labels, rows)
}

pub(crate) fn model(error: gristmill_model::ModelError) -> LearnError {
    LearnError::Model(error.to_string())
}

/// The encoded target; every row must have one.
fn labels_of(target: &TargetPlan, rows: &Columns) -> Result<Vec<f64>, LearnError> {
    let column = rows.get(&target.name).ok_or_else(|| LearnError::target(&target.name, "no such column"))?;
    let encoded = target.encode(column)?;
    if let Some((label, count)) = encoded.unseen.first_key_value() {
        let reason = format!("{count} rows have the label `{label}`, which no training row has: filter or pool it");
        return Err(LearnError::target(&target.name, reason));
    }
    if encoded.missing > 0 {
        let reason = format!("{} rows have no value: filter them before the split", encoded.missing);
        return Err(LearnError::target(&target.name, reason));
    }
    Ok(encoded.values)
}

/// Row keys, or row numbers where there are none.
fn keys_of(rows: &Columns) -> Vec<i64> {
    match rows.get(ROW_KEY).map(|column| &column.values) {
        Some(Values::Int(keys)) => keys.clone(),
        _ => (0..rows.rows() as i64).collect(),
    }
}

/// Unit codes in order of first appearance, or row numbers where there are none.
fn units_of(rows: &Columns) -> Vec<u32> {
    match rows.get(UNIT) {
        Some(Column { values: Values::Text(text), .. }) => text.codes.clone(),
        // Rows are fewer than u32::MAX: their text codes would not fit otherwise.
        _ => (0..rows.rows() as u32).collect(),
    }
}

/// Puts the slots that blocks name into a matrix.
fn assemble(
    transformer: &Transformer,
    slots: Slots,
    target: &TargetPlan,
    labels: Vec<f64>,
    rows: &Columns,
) -> Result<Matrix, LearnError> {
    let mut blocks = Vec::new();
    let (mut numeric_used, mut category_used) = (Vec::new(), Vec::new());
    for block in transformer.blocks() {
        let kind = match block.kind {
            proto::block::Kind::NumericRaw => BlockKind::NumericRaw,
            proto::block::Kind::NumericPrepared => BlockKind::NumericPrepared,
            proto::block::Kind::Category => BlockKind::Category,
            proto::block::Kind::OneHot => BlockKind::OneHot,
            proto::block::Kind::Unspecified => continue,
        };
        let used = match kind {
            BlockKind::NumericRaw | BlockKind::NumericPrepared => &mut numeric_used,
            BlockKind::Category | BlockKind::OneHot => &mut category_used,
        };
        used.extend(block.slots.iter().copied());
        // The interpreter checked every slot number against its u32 steps.
        let slots = block.slots.iter().map(|slot| *slot as u32).collect();
        blocks.push(BlockSlots { name: block.name.clone(), kind, slots });
    }
    numeric_used.sort_unstable();
    numeric_used.dedup();
    category_used.sort_unstable();
    category_used.dedup();
    let sizes = transformer.shape().category_sizes;
    let mut from = slots.numeric.into_iter().map(Some).collect::<Vec<_>>();
    let numeric = numeric_used.into_iter().map(|slot| NumericSlot {
        slot: slot as u32,
        name: transformer.numeric_names().get(slot).cloned().unwrap_or_default(),
        values: from.get_mut(slot).and_then(Option::take).unwrap_or_default(),
    });
    let numeric = numeric.collect();
    let mut from = slots.category.into_iter().map(Some).collect::<Vec<_>>();
    let category = category_used.into_iter().map(|slot| CategorySlot {
        slot: slot as u32,
        name: transformer.category_names().get(slot).cloned().unwrap_or_default(),
        ids: sizes.get(slot).copied().unwrap_or(0) as u32,
        values: from.get_mut(slot).and_then(Option::take).unwrap_or_default(),
    });
    Ok(Matrix {
        task: target.task,
        labels: target.labels.clone(),
        blocks,
        numeric,
        category: category.collect(),
        target: labels,
        weight: None,
        keys: keys_of(rows),
        units: units_of(rows),
    })
}
