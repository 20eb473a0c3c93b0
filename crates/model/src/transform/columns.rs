//! The transform applied to a table, slot by slot.

use gristmill_types::{Cell, Column, ColumnType, Micros, Values};

use super::{Category, Numeric, Transformer, date_part, elapsed};
use crate::read;
use crate::signature::{Bound, Input};
use crate::slots::Slots;
use crate::vocabulary::MISSING;

/// Tables of fewer rows are not worth other threads.
#[cfg(feature = "parallel")]
const PARALLEL_ROWS: usize = 16_384;

/// Transforms `rows` rows of checked columns.
pub(super) fn apply(transformer: &Transformer, bound: &Bound<'_>, rows: usize) -> Slots {
    let inputs = Inputs { inputs: transformer.signature.inputs(), bound, rows };
    let steps = &transformer.steps;
    let category = each(&steps.category, rows, |step| ids(step, &inputs));
    let mut timed: Vec<usize> = steps.numeric.iter().flat_map(Numeric::moments).collect();
    timed.sort_unstable();
    timed.dedup();
    let moments = each(&timed, rows, |input| inputs.moments(*input));
    let moments = |input: usize| timed.binary_search(&input).ok().and_then(|at| moments.get(at)).map_or(&[][..], |m| m);
    let read = |step: &Numeric| match step {
        Numeric::Number { input } => inputs.features(*input),
        Numeric::DatePart { input, part, zone } => {
            let zone = zone.and_then(|zone| steps.zones.get(zone));
            moments(*input).iter().map(|micros| date_part(*micros, *part, zone)).collect()
        }
        Numeric::Elapsed { from, to } => {
            moments(*from).iter().zip(moments(*to)).map(|(from, to)| elapsed(*from, *to)).collect()
        }
        _ => Vec::new(),
    };
    let numeric = numeric(&steps.numeric, Vec::new(), &category, rows, read);
    Slots { rows, numeric, category }
}

/// Adds to `slots` what the steps after theirs give; none of those reads a cell.
pub(super) fn complete(transformer: &Transformer, slots: Slots) -> Slots {
    let Slots { rows, numeric: known, category } = slots;
    let numeric = numeric(&transformer.steps.numeric, known, &category, rows, |_| Vec::new());
    Slots { rows, numeric, category }
}

/// The numeric slots after `known`, level by level: a step stands above the slot that it reads.
fn numeric(
    steps: &[Numeric],
    known: Vec<Vec<f32>>,
    category: &[Vec<u32>],
    rows: usize,
    read: impl Fn(&Numeric) -> Vec<f32> + Sync,
) -> Vec<Vec<f32>> {
    let mut levels = vec![0_usize; steps.len()];
    for (at, step) in steps.iter().enumerate() {
        // A step reads earlier slots only.
        levels[at] = step.slot().map_or(0, |slot| levels[slot] + 1);
    }
    let from = known.len();
    let mut made = known;
    made.resize_with(steps.len(), Vec::new);
    for level in 0..=levels.iter().copied().max().unwrap_or(0) {
        let wave: Vec<usize> = (from..steps.len()).filter(|at| levels[*at] == level).collect();
        let values = each(&wave, rows, |at| {
            let step = &steps[*at];
            match step {
                Numeric::Number { .. } | Numeric::DatePart { .. } | Numeric::Elapsed { .. } => read(step),
                Numeric::Impute { slot, .. }
                | Numeric::Indicator { slot }
                | Numeric::Standardise { slot, .. }
                | Numeric::Clip { slot, .. } => made[*slot].iter().map(|value| step.of_slot(*value)).collect(),
                Numeric::CategoryTable { category: slot, .. } | Numeric::CategoryId { category: slot } => {
                    category[*slot].iter().map(|id| step.of_id(*id)).collect()
                }
            }
        });
        for (at, values) in wave.into_iter().zip(values) {
            made[at] = values;
        }
    }
    made
}

#[cfg(feature = "parallel")]
fn each<T: Sync, U: Send>(items: &[T], rows: usize, make: impl Fn(&T) -> U + Sync + Send) -> Vec<U> {
    use rayon::prelude::*;
    if rows < PARALLEL_ROWS { items.iter().map(make).collect() } else { items.par_iter().map(make).collect() }
}

#[cfg(not(feature = "parallel"))]
fn each<T, U>(items: &[T], _rows: usize, make: impl Fn(&T) -> U) -> Vec<U> {
    items.iter().map(make).collect()
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
    fn moments(&self, input: usize) -> Vec<Micros> {
        match self.column(input) {
            None => vec![read::NO_MOMENT; self.rows],
            Some((column_type, column)) => {
                (0..self.rows).map(|row| read::moment(cell(column_type, column, row))).collect()
            }
        }
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
