//! Turns typed cells into slots: checked steps, and what they are made of.
//!
//! `columns` applies them to tables, `row` to one row; both go through the functions here and in `read`.

mod columns;
mod compile;
mod row;

pub(crate) use row::RowSlots;

use std::collections::HashSet;

use gristmill_types::{ColumnType, Columns, Limits, Micros};

use crate::calendar::{self, Zone};
use crate::slots::Slots;
use crate::vocabulary::Vocabulary;
use crate::{ModelError, Signature, proto, read};

/// A fitted transform together with the signature it reads: all of a model but its predictor.
#[derive(Debug, Clone)]
pub struct Transformer {
    signature: Signature,
    steps: Steps,
    blocks: Vec<Block>,
}

/// A named group of slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Name.
    pub name: String,
    /// What the slots are to be read as.
    pub kind: proto::block::Kind,
    /// Numeric or category slots, by kind.
    pub slots: Vec<usize>,
}

/// What the slots are: enough to check a predictor against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotShape {
    /// Number of numeric slots.
    pub numeric: usize,
    /// Number of ids of each category slot.
    pub category_sizes: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Steps {
    numeric: Vec<Numeric>,
    numeric_names: Vec<String>,
    category: Vec<Category>,
    category_names: Vec<String>,
    zones: Vec<Zone>,
}

#[derive(Debug, Clone)]
enum Numeric {
    Number { input: usize },
    DatePart { input: usize, part: proto::date_part::Part, zone: Option<usize> },
    Elapsed { from: usize, to: usize },
    Impute { slot: usize, value: f32 },
    Indicator { slot: usize },
    Standardise { slot: usize, mean: f64, scale: f64 },
    CategoryTable { category: usize, values: Vec<f32> },
    CategoryId { category: usize },
    Clip { slot: usize, low: f32, high: f32 },
}

#[derive(Debug, Clone)]
struct Category {
    input: usize,
    vocabulary: Vocabulary,
}

impl Transformer {
    /// Checks signature and transform of `message`; its predictor and output are not looked at.
    ///
    /// # Errors
    /// [`ModelError::Version`] or [`ModelError::Invalid`] with the path of the first wrong field.
    pub fn from_proto(message: &proto::Model) -> Result<Self, ModelError> {
        crate::file::check_format(message)?;
        let signature = message.signature.as_ref().ok_or_else(|| ModelError::invalid("signature", "is not there"))?;
        let transform = message.transform.as_ref().ok_or_else(|| ModelError::invalid("transform", "is not there"))?;
        Self::compile(signature, transform)
    }

    /// Reads a framed file that holds at least signature and transform.
    ///
    /// # Errors
    /// See [`crate::file::read`] and [`Self::from_proto`].
    pub fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        Self::from_proto(&crate::file::read(bytes, Limits::DEFAULT.model_bytes)?)
    }

    /// Checks a signature and the transform that reads it.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] with the path of the first wrong field.
    pub fn compile(signature: &proto::Signature, transform: &proto::Transform) -> Result<Self, ModelError> {
        let signature = Signature::compile(signature)?;
        let steps = Steps::compile(&signature, transform)?;
        let blocks = blocks(transform, &steps)?;
        Ok(Self { signature, steps, blocks })
    }

    /// What the transform reads.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Named groups of slots.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The block named `name`.
    pub fn block(&self, name: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| block.name == name)
    }

    /// Names of the numeric slots, as reports show them.
    pub fn numeric_names(&self) -> &[String] {
        &self.steps.numeric_names
    }

    /// Names of the category slots, as reports show them.
    pub fn category_names(&self) -> &[String] {
        &self.steps.category_names
    }

    /// Numbers of slots and ids.
    pub fn shape(&self) -> SlotShape {
        SlotShape {
            numeric: self.steps.numeric.len(),
            category_sizes: self.steps.category.iter().map(|c| c.vocabulary.size() as usize).collect(),
        }
    }

    /// Transforms a table. Columns are found by name, others are not looked at; see the README for what
    /// missing and unreadable values mean.
    ///
    /// # Errors
    /// [`ModelError::MissingColumns`], [`ModelError::WrongType`] or [`ModelError::BadValue`].
    pub fn transform(&self, table: &Columns) -> Result<Slots, ModelError> {
        let bound = self.signature.bind(table)?;
        Ok(columns::apply(self, &bound, table.rows()))
    }

    /// The slots of a table of which `slots` are the first, as a transform with fewer steps gave them: what fitting
    /// does between its two passes.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] if a step that is missing in `slots` reads cells, or the categories are others.
    pub fn complete(&self, slots: Slots) -> Result<Slots, ModelError> {
        let steps = &self.steps;
        let categories = slots.category.len() == steps.category.len();
        let added = steps.numeric.get(slots.numeric.len()..);
        let from_slots = added.is_some_and(|added| added.iter().all(|step| !step.reads_cells()));
        if !categories || !from_slots {
            return Err(ModelError::invalid("transform", "has steps that read cells after those already applied"));
        }
        Ok(columns::complete(self, slots))
    }
}

impl Numeric {
    /// The numeric slot that the step reads, if it does.
    const fn slot(&self) -> Option<usize> {
        match self {
            Self::Impute { slot, .. }
            | Self::Indicator { slot }
            | Self::Standardise { slot, .. }
            | Self::Clip { slot, .. } => Some(*slot),
            _ => None,
        }
    }

    /// The inputs that the step reads as moments.
    fn moments(&self) -> Vec<usize> {
        match self {
            Self::DatePart { input, .. } => vec![*input],
            Self::Elapsed { from, to } => vec![*from, *to],
            _ => Vec::new(),
        }
    }

    const fn reads_cells(&self) -> bool {
        matches!(self, Self::Number { .. } | Self::DatePart { .. } | Self::Elapsed { .. })
    }

    /// The step's value from an earlier numeric slot.
    fn of_slot(&self, value: f32) -> f32 {
        match self {
            Self::Impute { value: fill, .. } => {
                if value.is_nan() {
                    *fill
                } else {
                    value
                }
            }
            Self::Indicator { .. } => f32::from(u8::from(value.is_nan())),
            Self::Standardise { mean, scale, .. } => read::to_f32((f64::from(value) - mean) / scale),
            // NaN stays: clamp of NaN is NaN.
            Self::Clip { low, high, .. } => value.clamp(*low, *high),
            _ => value,
        }
    }

    /// The step's value from a category id.
    fn of_id(&self, id: u32) -> f32 {
        match self {
            Self::CategoryTable { values, .. } => values.get(id as usize).copied().unwrap_or(f32::NAN),
            _ => id as f32,
        }
    }
}

/// A calendar part as a feature.
fn date_part(micros: Micros, part: proto::date_part::Part, zone: Option<&Zone>) -> f32 {
    if micros == read::NO_MOMENT { f32::NAN } else { read::to_f32(calendar::part(micros, part, zone)) }
}

/// Seconds between two moments as a feature.
fn elapsed(from: Micros, to: Micros) -> f32 {
    if from == read::NO_MOMENT || to == read::NO_MOMENT {
        return f32::NAN;
    }
    let micros = i128::from(to) - i128::from(from);
    read::to_f32(micros as f64 / calendar::MICROS_PER_SECOND as f64)
}

/// Whether cells of this type are read as moments.
const fn is_moment(column_type: &ColumnType) -> bool {
    matches!(column_type, ColumnType::Date | ColumnType::Timestamp { .. })
}

fn blocks(transform: &proto::Transform, steps: &Steps) -> Result<Vec<Block>, ModelError> {
    use proto::block::Kind;
    let mut names = HashSet::new();
    let mut blocks = Vec::with_capacity(transform.blocks.len());
    for (index, block) in transform.blocks.iter().enumerate() {
        let invalid = |reason: &str| ModelError::invalid(format!("transform.blocks[{index}]"), reason);
        if block.name.is_empty() || !names.insert(block.name.as_str()) {
            return Err(invalid("has no name or repeats one"));
        }
        let kind = Kind::try_from(block.kind).map_err(|_| invalid("has an unknown kind"))?;
        let slots = match kind {
            Kind::Unspecified => return Err(invalid("has no kind")),
            Kind::NumericRaw | Kind::NumericPrepared => steps.numeric.len(),
            Kind::Category | Kind::OneHot => steps.category.len(),
        };
        if block.slots.iter().any(|slot| *slot as usize >= slots) {
            return Err(invalid("names a slot that is not there"));
        }
        let slots = block.slots.iter().map(|slot| *slot as usize).collect();
        blocks.push(Block { name: block.name.clone(), kind, slots });
    }
    Ok(blocks)
}
