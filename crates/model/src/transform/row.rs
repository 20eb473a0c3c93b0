//! The transform applied to one row, without allocating.

use gristmill_types::{Cell, Micros};

use super::{Numeric, Transformer, date_part, elapsed, is_moment};
use crate::{ModelError, read};

/// Slots of one row, reused from row to row.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowSlots {
    /// `numeric[slot]`.
    pub numeric: Vec<f32>,
    /// `category[slot]`.
    pub category: Vec<u32>,
    /// Moments of the inputs that have one.
    moments: Vec<Micros>,
    /// Numbers of the inputs that have one.
    features: Vec<f32>,
    text: String,
}

impl Transformer {
    /// Transforms one row of cells in signature order; `number` is what errors call the row.
    pub(crate) fn transform_row(
        &self,
        cells: &[Cell<'_>],
        number: usize,
        slots: &mut RowSlots,
    ) -> Result<(), ModelError> {
        let inputs = self.signature.inputs();
        if cells.len() != inputs.len() {
            return Err(ModelError::CellCount { expected: inputs.len(), given: cells.len() });
        }
        let RowSlots { numeric, category, moments, features, text } = slots;
        moments.clear();
        features.clear();
        for (index, (cell, input)) in cells.iter().zip(inputs).enumerate() {
            let cell = self.signature.cell(index, number, *cell)?;
            let moment = is_moment(&input.column_type);
            moments.push(if moment { read::moment(cell) } else { read::NO_MOMENT });
            features.push(if moment { f32::NAN } else { read::feature(cell) });
        }
        category.clear();
        for step in &self.steps.category {
            let cell = cells.get(step.input).copied().unwrap_or(Cell::Missing);
            category.push(step.vocabulary.id(self.signature.cell(step.input, number, cell)?, text));
        }
        numeric.clear();
        for step in &self.steps.numeric {
            let moment = |input: usize| moments.get(input).copied().unwrap_or(read::NO_MOMENT);
            let value = match step {
                Numeric::Number { input } => features.get(*input).copied().unwrap_or(f32::NAN),
                Numeric::DatePart { input, part, zone } => {
                    date_part(moment(*input), *part, zone.and_then(|zone| self.steps.zones.get(zone)))
                }
                Numeric::Elapsed { from, to } => elapsed(moment(*from), moment(*to)),
                Numeric::Impute { slot, .. }
                | Numeric::Indicator { slot }
                | Numeric::Standardise { slot, .. }
                | Numeric::Clip { slot, .. } => step.of_slot(numeric.get(*slot).copied().unwrap_or(f32::NAN)),
                Numeric::CategoryTable { category: slot, .. } | Numeric::CategoryId { category: slot } => {
                    step.of_id(category.get(*slot).copied().unwrap_or(0))
                }
            };
            numeric.push(value);
        }
        Ok(())
    }
}
