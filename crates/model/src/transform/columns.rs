//! The transform applied to a table, slot by slot.

use gristmill_types::{Cell, Column, ColumnType, Micros, Values};

use super::{Category, Numeric, Transformer, date_part, elapsed};
use crate::read;
use crate::signature::{Bound, Input};
use crate::slots::Slots;
use crate::vocabulary::MISSING;

/// Transforms `rows` rows of checked columns.
pub(super) fn apply(transformer: &Transformer, bound: &Bound<'_>, rows: usize) -> Slots {
    let inputs = Inputs { inputs: transformer.signature.inputs(), bound, rows };
    let steps = &transformer.steps;
    let category: Vec<Vec<u32>> = steps.category.iter().map(|step| ids(step, &inputs)).collect();
    let mut moments: Vec<Option<Vec<Micros>>> = vec![None; bound.len()];
    let mut numeric: Vec<Vec<f32>> = Vec::with_capacity(steps.numeric.len());
    for step in &steps.numeric {
        let values = match step {
            Numeric::Number { input } => inputs.features(*input),
            Numeric::DatePart { input, part, zone } => {
                let zone = zone.and_then(|zone| steps.zones.get(zone));
                let moments = inputs.moments(*input, &mut moments);
                moments.iter().map(|micros| date_part(*micros, *part, zone)).collect()
            }
            Numeric::Elapsed { from, to } => {
                let from = inputs.moments(*from, &mut moments).to_vec();
                let to = inputs.moments(*to, &mut moments);
                from.iter().zip(to).map(|(from, to)| elapsed(*from, *to)).collect()
            }
            Numeric::Impute { slot, .. }
            | Numeric::Indicator { slot }
            | Numeric::Standardise { slot, .. }
            | Numeric::Clip { slot, .. } => numeric[*slot].iter().map(|value| step.of_slot(*value)).collect(),
            Numeric::CategoryTable { category: slot, .. } | Numeric::CategoryId { category: slot } => {
                category[*slot].iter().map(|id| step.of_id(*id)).collect()
            }
        };
        numeric.push(values);
    }
    Slots { rows, numeric, category }
}

/// Bound columns with the types they are read as.
struct Inputs<'a> {
    inputs: &'a [Input],
    bound: &'a Bound<'a>,
    rows: usize,
}

impl<'a> Inputs<'a> {
    fn column(&self, input: usize) -> Option<(&'a ColumnType, &'a Column)> {
        let column = self.bound.get(input).copied().flatten()?;
        Some((&self.inputs.get(input)?.column_type, column))
    }

    fn features(&self, input: usize) -> Vec<f32> {
        let Some((column_type, column)) = self.column(input) else { return vec![f32::NAN; self.rows] };
        let masked = |row: usize, value: f32| if column.is_valid(row) { value } else { f32::NAN };
        match (column_type, &column.values) {
            // What almost every column is, without going through cells.
            (ColumnType::Float, Values::Float(values)) => {
                values.iter().enumerate().map(|(row, v)| masked(row, read::to_f32(*v))).collect()
            }
            (ColumnType::Int, Values::Int(values)) => {
                values.iter().enumerate().map(|(row, v)| masked(row, *v as f32)).collect()
            }
            _ => (0..self.rows).map(|row| read::feature(cell(column_type, column, row))).collect(),
        }
    }

    /// Moments of an input, read once for all steps.
    fn moments<'c>(&self, input: usize, cache: &'c mut [Option<Vec<Micros>>]) -> &'c [Micros] {
        let Some(slot) = cache.get_mut(input) else { return &[] };
        slot.get_or_insert_with(|| match self.column(input) {
            None => vec![read::NO_MOMENT; self.rows],
            Some((column_type, column)) => {
                (0..self.rows).map(|row| read::moment(cell(column_type, column, row))).collect()
            }
        })
    }
}

/// A typed cell of a column whose values were checked.
fn cell<'a>(column_type: &ColumnType, column: &'a Column, row: usize) -> Cell<'a> {
    read::typed(column_type, column.cell(row)).unwrap_or(Cell::Missing)
}

fn ids(step: &Category, inputs: &Inputs<'_>) -> Vec<u32> {
    let Some((column_type, column)) = inputs.column(step.input) else { return vec![MISSING; inputs.rows] };
    let mut scratch = String::new();
    match (column_type, &column.values) {
        // Each distinct text is looked up once.
        (ColumnType::Text, Values::Text(text)) => {
            let by_code: Vec<u32> = text.values.iter().map(|value| step.vocabulary.text_id(value)).collect();
            let id = |code: &u32| by_code.get(*code as usize).copied().unwrap_or(MISSING);
            let codes = text.codes.iter().enumerate();
            codes.map(|(row, code)| if column.is_valid(row) { id(code) } else { MISSING }).collect()
        }
        _ => (0..inputs.rows).map(|row| step.vocabulary.id(cell(column_type, column, row), &mut scratch)).collect(),
    }
}
