//! Prepared rows as learners see them: slots by column, target, weight, keys and units.

mod bytes;

use gristmill_model::{SlotsView, proto};
use serde::{Deserialize, Serialize};

use crate::{LearnError, Task};

/// One numeric slot.
#[derive(Debug, Clone, PartialEq)]
pub struct NumericSlot {
    /// The slot's number in the transform.
    pub slot: u32,
    /// The feature's name.
    pub name: String,
    /// One value per row, NaN where missing.
    pub values: Vec<f32>,
}

/// One category slot.
#[derive(Debug, Clone, PartialEq)]
pub struct CategorySlot {
    /// The slot's number in the transform.
    pub slot: u32,
    /// The feature's name.
    pub name: String,
    /// Number of ids: 0 missing, 1 unknown, then the vocabulary.
    pub ids: u32,
    /// One id per row.
    pub values: Vec<u32>,
}

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// Numbers with NaN for missing.
    NumericRaw,
    /// Numbers imputed and scaled.
    NumericPrepared,
    /// Category ids.
    Category,
    /// Category ids read as indicator columns.
    OneHot,
}

impl BlockKind {
    /// The kind as the model message names it.
    pub const fn to_proto(self) -> proto::block::Kind {
        match self {
            Self::NumericRaw => proto::block::Kind::NumericRaw,
            Self::NumericPrepared => proto::block::Kind::NumericPrepared,
            Self::Category => proto::block::Kind::Category,
            Self::OneHot => proto::block::Kind::OneHot,
        }
    }
}

/// A named group of slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockSlots {
    /// The block's name.
    pub name: String,
    /// What it holds.
    pub kind: BlockKind,
    /// Slots of the transform, numeric or category by kind.
    pub slots: Vec<u32>,
}

/// Rows in the form learners read; `n` rows everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// What is predicted.
    pub task: Task,
    /// Labels by class index; empty for regression.
    pub labels: Vec<String>,
    /// Groups of slots.
    pub blocks: Vec<BlockSlots>,
    /// Numeric slots that some block names, by slot number.
    pub numeric: Vec<NumericSlot>,
    /// Category slots that some block names, by slot number.
    pub category: Vec<CategorySlot>,
    /// Class index or value, n.
    pub target: Vec<f64>,
    /// Weight per row, n; all rows weigh 1 without.
    pub weight: Option<Vec<f64>>,
    /// Names of the rows, n.
    pub keys: Vec<i64>,
    /// Unit of dependence of each row as a code, n.
    pub units: Vec<u32>,
}

impl Matrix {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.target.len()
    }

    /// Number of scores a predictor gives for this target.
    pub fn outputs(&self) -> usize {
        if self.task == Task::Multiclass { self.labels.len() } else { 1 }
    }

    /// The numeric slots of the block of `kind`, in block order; empty if there is none.
    pub fn numeric_block(&self, kind: BlockKind) -> Vec<&NumericSlot> {
        self.block(kind)
            .filter_map(|slot| self.numeric.binary_search_by_key(&slot, |s| s.slot).ok())
            .filter_map(|at| self.numeric.get(at))
            .collect()
    }

    /// The category slots of the block of `kind`, in block order; empty if there is none.
    pub fn category_block(&self, kind: BlockKind) -> Vec<&CategorySlot> {
        self.block(kind)
            .filter_map(|slot| self.category.binary_search_by_key(&slot, |s| s.slot).ok())
            .filter_map(|at| self.category.get(at))
            .collect()
    }

    fn block(&self, kind: BlockKind) -> impl Iterator<Item = u32> + '_ {
        self.blocks.iter().filter(move |block| block.kind == kind).flat_map(|block| block.slots.iter().copied())
    }

    /// Lends the slots to a predictor of the model.
    ///
    /// # Errors
    /// [`LearnError::Matrix`] if a slot has another number of rows.
    pub fn view(&self) -> Result<SlotsView<'_>, LearnError> {
        let count = |last: Option<u32>| last.map_or(0, |slot| slot as usize + 1);
        let mut numeric = vec![None; count(self.numeric.last().map(|s| s.slot))];
        for slot in &self.numeric {
            if let Some(place) = numeric.get_mut(slot.slot as usize) {
                *place = Some(slot.values.as_slice());
            }
        }
        let mut category = vec![None; count(self.category.last().map(|s| s.slot))];
        for slot in &self.category {
            if let Some(place) = category.get_mut(slot.slot as usize) {
                *place = Some(slot.values.as_slice());
            }
        }
        SlotsView::new(self.rows(), numeric, category).map_err(|error| LearnError::Matrix(error.to_string()))
    }

    /// `self`'s rows followed by `other`'s.
    ///
    /// # Errors
    /// [`LearnError::Matrix`] if the two were not made by one transform.
    pub fn joined(&self, other: &Self) -> Result<Self, LearnError> {
        self.same_shape(other)?;
        let numeric = self.numeric.iter().zip(&other.numeric).map(|(a, b)| NumericSlot {
            slot: a.slot,
            name: a.name.clone(),
            values: [a.values.as_slice(), &b.values].concat(),
        });
        let category = self.category.iter().zip(&other.category).map(|(a, b)| CategorySlot {
            slot: a.slot,
            name: a.name.clone(),
            ids: a.ids,
            values: [a.values.as_slice(), &b.values].concat(),
        });
        let weight = match (&self.weight, &other.weight) {
            (None, None) => None,
            (a, b) => {
                let mut all = a.clone().unwrap_or_else(|| vec![1.0; self.rows()]);
                match b {
                    Some(b) => all.extend_from_slice(b),
                    None => all.resize(self.rows() + other.rows(), 1.0),
                }
                Some(all)
            }
        };
        // Units of the two are told apart: a code means nothing beyond its matrix.
        let shift = self.units.iter().max().map_or(0, |last| last.saturating_add(1));
        let units = self.units.iter().copied().chain(other.units.iter().map(|unit| unit.saturating_add(shift)));
        Ok(Self {
            task: self.task,
            labels: self.labels.clone(),
            blocks: self.blocks.clone(),
            numeric: numeric.collect(),
            category: category.collect(),
            target: [self.target.as_slice(), &other.target].concat(),
            weight,
            keys: [self.keys.as_slice(), &other.keys].concat(),
            units: units.collect(),
        })
    }

    /// Checks that two matrices were made by one transform.
    ///
    /// # Errors
    /// [`LearnError::Matrix`] says what differs.
    pub fn same_shape(&self, other: &Self) -> Result<(), LearnError> {
        let slots = |m: &Self| {
            let numeric: Vec<(u32, String)> = m.numeric.iter().map(|s| (s.slot, s.name.clone())).collect();
            let category: Vec<(u32, String, u32)> =
                m.category.iter().map(|s| (s.slot, s.name.clone(), s.ids)).collect();
            (numeric, category)
        };
        let differs = if self.task != other.task || self.labels != other.labels {
            "target"
        } else if self.blocks != other.blocks || slots(self) != slots(other) {
            "features"
        } else {
            return Ok(());
        };
        Err(LearnError::Matrix(format!("train and validation differ in their {differs}: prepare both in one job")))
    }
}
